"""The image storage under load: unmounted, read-only on one node, full for all. Nothing is lost."""

from __future__ import annotations

import time
from typing import Any

from hactl.lab import faults
from tests.support.archive_load import acts, loaded, told
from tests.support.archive_nodes import ORTHANC, active, facts, has_vip, holder, may_serve, other_than, until
from tests.support.labs import Site

GUARD = 2.0  # seconds: the address has gone by then, and what the lab's own commands take
READ_ONLY = 20.0
LIMIT = 6.0


def lost(site: Site, node: str) -> bool:
    found = facts(site, node)
    return found is not None and bool(found.storage.failed)


def disk(site: Site, node: str, unit: str = "") -> str:
    """The device number of the storage as it is there, or as a unit has it. Empty: it does not run."""
    pid = 'pid=$(systemctl show --value -p MainPID "$2"); [ "$pid" != 0 ] && exec nsenter -t "$pid" -m '
    look = ["sh", "-c", f'{pid if unit else ""}stat -c %d "$1"', "look", site.lab.spec.archive.storage, unit]
    return site.lab.exec(node, look, check=False).out.strip()


def heal(site: Site, kind: str, node: str) -> None:
    chosen = faults.fault(kind)
    assert chosen.heal is not None
    chosen.heal(site.lab, node)


def test_without_its_storage_a_node_takes_nothing(site: Site) -> None:
    node, storage = holder(site), site.lab.spec.archive.storage
    with loaded(site, "unmount-storage") as load:
        begin = time.monotonic()
        faults.fault("unmount-storage").inject(site.lab, node)
        gone = until("the address goes", lambda: not has_vip(site, node), 10)
        load.works(5, since=begin, within=LIMIT)
        silence = load.silence(begin)
        until("its agent says so", lambda: lost(site, node), 10)
        until("Orthanc is stopped", lambda: not active(site, node), 30)
        stood = site.lab.exec(node, ["find", storage, "-mindepth", "1"], within=10).out
        assert stood == "", "something was written to the disk under the mount"
        heal(site, "unmount-storage", node)
        until("Orthanc runs again", lambda: active(site, node), 30)
        back = until("it may serve again", lambda: may_serve(site, node), 30)
    told("unmount-storage", address_gone=f"{gone:.2f} s", silence=silence, served_again=f"{back:.1f} s")
    assert gone < GUARD + 0.5
    assert acts(site, load) == []


def test_another_disk_with_our_marker_is_not_served(site: Site) -> None:
    """Orthanc writes to the disk it was started on until the guard has seen the other: nothing is lost."""
    node = holder(site)
    with loaded(site, "swap-storage") as load:
        begin = time.monotonic()
        faults.fault("swap-storage").inject(site.lab, node)
        gone = until("the address goes", lambda: not has_vip(site, node), 10)
        load.works(5, since=begin, within=LIMIT)
        silence = load.silence(begin)
        until("Orthanc was started on it", lambda: active(site, node), 60)
        time.sleep(6)
        assert not may_serve(site, node), "it has none of the images"
        heal(site, "swap-storage", node)
        back = until("it may serve again", lambda: may_serve(site, node), 60)
        until("Orthanc has the right disk", lambda: disk(site, node, ORTHANC) == disk(site, node), 30)
    told("swap-storage", address_gone=f"{gone:.2f} s", silence=silence, served_again=f"{back:.1f} s")
    assert gone < GUARD + 0.5
    assert acts(site, load) == []


def test_a_node_that_may_only_read_its_storage_hands_over(site: Site) -> None:
    """It refuses what it cannot write, and shows what is there; whoever can write takes over."""
    node = holder(site)
    with loaded(site, "readonly-storage") as load:
        begin = time.monotonic()
        faults.fault("readonly-storage").inject(site.lab, node)
        until("another has the address", lambda: has_vip(site, other_than(site, node)), READ_ONLY)
        moved = time.monotonic() - begin
        load.works(5, since=time.monotonic(), within=LIMIT)
        silence = load.silence(begin)
        heal(site, "readonly-storage", node)
        begin = time.monotonic()
        until("it is let in again", lambda: may_serve(site, node), 60)
        again = time.monotonic() - begin
    told("readonly-storage", moved=f"{moved:.1f} s", silence=silence, let_in_again=f"{again:.1f} s")
    assert silence.query < LIMIT
    assert acts(site, load) == [f"drain-archive {node}", f"undrain-archive {node}"]


def test_a_full_storage_refuses_images_and_shows_them(site: Site) -> None:
    """All nodes share it, so that nobody could do better: nothing is restarted or moved."""
    node = holder(site)
    with loaded(site, "fill-storage") as load:
        begin = time.monotonic()
        faults.fault("fill-storage").inject(site.lab, node)
        site.until("said that it is full", full, within=30)
        said = time.monotonic() - begin
        time.sleep(5)
        heal(site, "fill-storage", node)
        healed = time.monotonic()
        load.works(5, since=healed, within=LIMIT)
        silence, queries = load.silence(healed), load.silence(begin).query
        assert has_vip(site, node)
    told("fill-storage", said=f"{said:.1f} s", queries=f"{queries:.2f} s", after=silence)
    assert queries < LIMIT
    assert acts(site, load) == []


def full(status: dict[str, Any]) -> bool:
    said = {r["subject"] for r in status["reasons"] if r["code"].startswith("STORAGE_")}
    return said >= {node["name"] for node in status["archive"]["nodes"]}
