"""One measurement: etcd, so many archive nodes, one controller, and what it needs for them."""

from __future__ import annotations

import contextlib
import itertools
import json
import math
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any, Final

from hactl import layout
from tests.bench.scale_place import BAD, ME, Place
from tests.bench.scale_watch import Scraper, sample
from tests.support.servers import program

EVERY: Final = 2.0  # s between two looks and scrapes; Prometheus comes each 10 s
ENDS: Final = 15.0


def measure(count: int, *, faulty: int, warm: float, seconds: float) -> dict[str, Any]:
    """Raises RuntimeError: a process ended, or the controller did not become active."""
    with tempfile.TemporaryDirectory(prefix="hactl-scale-") as name:
        place = Place(Path(name) / "place", count, faulty)
        place.make()
        with _process(place, "etcd", _etcd(place)), _process(place, "sim", _ours("scale_sim", place)) as sim:
            _wait((place.folder / "ready").exists, "the simulator", sim, within=120)
            with _process(place, "controller", _ours("scale_controller", place)) as controller:
                looks = _watch(place, controller, warm, seconds)
            sim.terminate()
            sim.wait(ENDS)
        asked = json.loads((place.folder / "asked.json").read_text())
        return record(place, looks, asked, seconds)


def _watch(place: Place, controller: subprocess.Popen[bytes], warm: float, seconds: float) -> dict[str, Any]:
    scraper, began = Scraper(place), time.monotonic()
    looks: list[dict[str, Any]] = []
    while (now := time.monotonic() - began) < warm + seconds:
        if controller.poll() is not None:
            raise RuntimeError(f"the controller ended: {_tail(place, 'controller')}")
        looks.append({**sample(controller.pid, began, scraper), "warm": now < warm})
        time.sleep(max(0.0, EVERY - (time.monotonic() - began - now)))
    return {"looks": looks, "from": began + warm, "to": time.monotonic()}


def record(place: Place, watched: dict[str, Any], asked: dict[str, Any], seconds: float) -> dict[str, Any]:
    """What was measured in the window, in figures; `looks` are the raw lines."""
    looks = watched["looks"]
    steady = [look for look in looks if not look["warm"]]
    faults, first, last = place.faults(), steady[0], steady[-1]
    bad = {node for node, fault in faults.items() if fault in BAD}
    found = {node for look in looks for node in look.get("failed", ())}
    wronged = {node for look in looks for node in look.get("failed", ()) if node not in bad}
    well = [times for node, times in asked.items() if node not in bad]
    scrapes = [look["scrape"] for look in steady if look["scrape"] is not None]
    return {
        "nodes": place.count, "faulty": len(bad), "slow": len(faults) - len(bad), "seconds": seconds,
        "cores": round((last["cpu"] - first["cpu"]) / (last["at"] - first["at"]), 4),
        "rss_mib": round(max(look["rss_kib"] for look in looks) / 1024, 1),
        "rss_grows_mib": round((last["rss_kib"] - first["rss_kib"]) / 1024, 1),
        "threads": max(look["threads"] for look in looks), "threads_steady": last["threads"],
        "files": max(look["files"] for look in looks), "series": last.get("series"),
        "bytes": last.get("bytes"), "scrapes": len(scrapes), "scrapes_lost": len(steady) - len(scrapes),
        "scrape": spread(scrapes),
        **{f"cycle_{line}": spread(gaps(well, line, watched)) for line in ("http", "dicom")},
        "not_found": sorted(bad - found), "wronged": sorted(wronged), "healthy": last.get("healthy"),
        "looks": looks,
    }  # fmt: skip


def gaps(nodes: Sequence[dict[str, list[float]]], line: str, window: dict[str, Any]) -> list[float]:
    """Seconds between two questions at one node, as it saw them; a silence at an end counts as well."""
    found: list[float] = []
    for times in nodes:
        inside = [at for at in times[line] if window["from"] <= at <= window["to"]]
        edges = [window["from"], *inside, window["to"]]
        inner = [b - a for a, b in itertools.pairwise(inside)]
        silent = max(b - a for a, b in itertools.pairwise(edges))
        found += inner if inner and silent <= max(inner) else [*inner, silent]
    return found


def spread(values: Sequence[float]) -> dict[str, float] | None:
    """Median, the 99th of a hundred, the largest; None without values."""
    if not values:
        return None
    ranked = sorted(values)
    at = {"p50": 0.5, "p99": 0.99, "max": 1.0}
    return {name: round(ranked[max(0, math.ceil(part * len(ranked)) - 1)], 4) for name, part in at.items()}


def _ours(module: str, place: Place) -> list[str]:
    return [
        sys.executable,
        "-m",
        f"tests.bench.{module}",
        str(place.folder),
        str(place.count),
        str(place.faulty),
    ]


def _etcd(place: Place) -> list[str]:
    """One member, durable, with mutual TLS, as on a node."""
    pki, address = place.folder / "pki", place.address(ME)
    client, peer = (f"https://{address}:{p}" for p in (layout.PORT_ETCD_CLIENT, layout.PORT_ETCD_PEER))
    tls = [f"--{for_}{what}" for for_ in ("", "peer-") for what in (
        f"cert-file={pki / 'etcd.crt'}", f"key-file={pki / 'etcd.key'}", f"trusted-ca-file={pki / 'ca.crt'}",
        "client-cert-auth",
    )]  # fmt: skip
    return [
        program("etcd", "etcd-server"), "--name", ME, "--data-dir", str(place.folder / "etcd"),
        "--listen-client-urls", client, "--advertise-client-urls", client, "--listen-peer-urls", peer,
        "--initial-advertise-peer-urls", peer, "--initial-cluster", f"{ME}={peer}", *tls,
    ]  # fmt: skip


@contextlib.contextmanager
def _process(place: Place, name: str, argv: list[str]) -> Iterator[subprocess.Popen[bytes]]:
    with (place.folder / f"{name}.log").open("wb") as log:
        process = subprocess.Popen(argv, stdin=subprocess.DEVNULL, stdout=log, stderr=log)
    try:
        yield process
    finally:
        process.terminate()
        try:
            process.wait(ENDS)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait(ENDS)


def _wait(done: Any, what: str, process: subprocess.Popen[bytes], *, within: float) -> None:
    end = time.monotonic() + within
    while not done():
        if process.poll() is not None or time.monotonic() > end:
            raise RuntimeError(f"{what} is not ready within {within:g} s")
        time.sleep(0.05)


def _tail(place: Place, name: str) -> str:
    return (place.folder / f"{name}.log").read_text(errors="replace")[-2000:]
