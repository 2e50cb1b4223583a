"""Commands by hand in the lab, as typed: explained, interrupted, two at once, without who they rely on."""

from __future__ import annotations

import json
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager

import pytest

from tests.support.labs import Site

WHY = ("--reason", "acceptance")
STATES = {"0.2": "before the lock", "1.5": "soon after it", "4": "at work"}


def argv(site: Site, *words: str) -> list[str]:
    return [sys.executable, "-m", "hactl", "--spec", str(site.lab.folder.spec), *words]


def typed(site: Site, *words: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(argv(site, *words), capture_output=True, text=True, timeout=300, check=False)


def operation(site: Site) -> object:
    return site.status()["operation"]


@contextmanager
def stopped(site: Site, unit: str, nodes: list[str]) -> Iterator[None]:
    for node in nodes:
        site.lab.exec(node, ["systemctl", "stop", unit], within=60)
    try:
        yield
    finally:
        for node in nodes:
            site.lab.exec(node, ["systemctl", "start", unit], within=60)


@pytest.mark.parametrize(
    "words",
    [
        ("switchover",), ("pause", *WHY), ("mute", "STANDBY_LOST", *WHY), ("node", "restart", "--all"),
        ("node", "stop", "{standby}"), ("node", "maintenance", "{standby}", "on"),
        ("node", "fence", "{primary}", "--force"), ("node", "reinit", "{standby}", "--force"),
        ("config", "edit", "--set", "work_mem=32MB"), ("archive", "drain", "{archive}"),
    ],
    ids=lambda words: " ".join(words[:2]),
)  # fmt: skip
def test_each_explains_itself_and_nothing_is_touched(site: Site, words: tuple[str, ...]) -> None:
    names = {"standby": site.standby, "primary": site.primary, "archive": next(iter(site.lab.spec.archives))}
    before = site.status()
    found = typed(site, *(w.format(**names) for w in words), "--explain", "-o", "json")
    assert found.returncode == 0, found.stderr
    told = json.loads(found.stdout)
    assert told["would"] is True, told
    assert {a["said"] for a in told["asked"]} <= {"no veto", "not asked"}
    after = site.status()
    for key in ("pause", "muted", "scheduled", "fences", "operation"):
        assert after[key] == before[key]


@pytest.mark.parametrize("seconds", STATES)
def test_ctrl_c_while_a_standby_is_stopped_says_how_to_go_on(site: Site, seconds: str) -> None:
    standby = site.standby
    with subprocess.Popen(
        argv(site, "node", "stop", standby, "--for", "10min", "--yes", *WHY),
        stderr=subprocess.PIPE,
        text=True,
    ) as child:
        time.sleep(float(seconds))
        child.send_signal(signal.SIGINT)
        said = child.communicate(timeout=60)[1]
    assert child.returncode in {0, 130}, said
    time.sleep(1)
    assert operation(site) is None
    if child.returncode == 130 and "leaves" in said:
        assert f"hactl node start {standby}" in said
    assert typed(site, "node", "start", standby, "--yes", *WHY).returncode == 0
    site.healthy()


def test_of_two_at_once_the_second_is_told_who_is_at_work(site: Site) -> None:
    standby = site.standby
    with subprocess.Popen(
        argv(site, "node", "restart", standby, "--yes", *WHY), stderr=subprocess.DEVNULL
    ) as first:
        site.until("at work", lambda s: s["operation"] is not None, 30)
        second = typed(site, "node", "stop", standby, "--yes", *WHY)
        assert first.wait(120) == 0
    assert second.returncode in {3, 6}, second.stderr
    if second.returncode == 6:
        assert f"node restart {standby}, by operator " in second.stderr
    site.healthy()


def test_without_any_controller_a_switchover_is_done(site: Site) -> None:
    primary, voters = site.primary, [*site.lab.spec.voters]
    with stopped(site, "hactl-controller.service", voters):
        found = typed(site, "switchover", "--yes", *WHY)
        assert found.returncode == 0, found.stderr
    assert site.primary != primary
    site.healthy()


def test_without_a_majority_of_etcd_everything_is_refused_and_nothing_done(site: Site) -> None:
    standby = site.standby
    with stopped(site, "etcd.service", [standby, *site.lab.spec.witnesses]):
        for words in (("switchover",), ("pause",), ("node", "stop", standby), ("node", "fence", standby)):
            found = typed(site, *words, "--yes", *WHY)
            assert found.returncode in {3, 4}, found.stderr
            assert "etcd" in found.stderr
    status = site.healthy()
    assert (status["pause"], status["fences"], status["operation"]) == (None, [], None)
