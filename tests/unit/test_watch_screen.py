"""`status --watch`: one frame for any view fits any terminal, and says the same without colours."""

from __future__ import annotations

import datetime as dt
from typing import Any

import pytest

from hactl.cli.status_data import document
from hactl.cli.watch_around import Around, Follower, latency
from hactl.cli.watch_screen import PLAIN, Signs, Size, frame, sparkline
from hactl.decide.health import judge
from hactl.errors import Unreachable
from hactl.view.cluster import ClusterView
from hactl.view.model import Probe, State, Unknown
from tests.support.views import after, archive, demo_spec, healthy, host_lost, keys, paused, vip

LOST = after(host_lost("db1"), vip("database", None))
SIZES = [Size(80, 24), Size(120, 40), Size(40, 12)]


def data(view: ClusterView) -> dict[str, Any]:
    return document(demo_spec(), view, judge(demo_spec(), view))


def event(number: int) -> dict[str, Any]:
    at = dt.datetime(2026, 11, 22, 3, 0, number % 60, tzinfo=dt.UTC).isoformat()
    return {
        "at": at,
        "what": "drain-archive",
        "subject": f"arc{number}",
        "result": "it is to leave " * 9,
        "ok": True,
    }


AROUND = Around((0.01, None, 0.02), "", tuple(event(n) for n in range(40)))


def lines(
    view: ClusterView, size: Size = SIZES[0], around: Around = AROUND, signs: Signs = PLAIN
) -> list[str]:
    return [line.plain for line in frame(data(view), around, size, signs)]


@pytest.mark.parametrize("size", SIZES, ids=str)
@pytest.mark.parametrize(
    "view",
    [
        pytest.param(healthy(), id="healthy"),
        pytest.param(LOST, id="host lost"),
        pytest.param(after(paused()), id="paused"),
        pytest.param(after(keys(incident="{")), id="an incident that cannot be read"),
        pytest.param(after(archive("arc1", L2=Probe(State.FAILED, "late " * 99))), id="a long reason"),
    ],
)
def test_a_frame_fits_its_terminal(view: ClusterView, size: Size) -> None:
    for signs in (Signs(), PLAIN):
        found = lines(view, size, signs=signs)
        assert len(found) <= size.height
        assert max(map(len, found)) <= size.width
    assert "\n".join(lines(view, size)).isascii()


def test_a_screen_of_eighty_by_twenty_four_has_everything() -> None:
    text = "\n".join(lines(healthy()))
    for word in (
        "HEALTHY", "192.0.2.100 on db1", "db2      standby  streaming", "lag 0 B  synchronous",
        "commit +x@ 20 ms, worst 20", "192.0.2.101 on arc1", "L0 o L1 o L2 o", "etcd 3 of 3, leader wit1",
        "drain-archive arc39",
    ):  # fmt: skip
        assert word in text, text


def test_the_verdict_and_its_reasons_come_first() -> None:
    found = lines(LOST)
    assert found[0].startswith("demo  FAILED, ")
    assert "PRIMARY_UNREACHABLE db1" in found[1]
    assert any(line.startswith("  next: ") for line in found)
    assert "silent: db1" in "\n".join(found)


def _many(count: int) -> dict[str, Any]:
    found = data(healthy())
    node = found["archive"]["nodes"][0]
    states = ["failed", "degraded", *["healthy"] * (count - 2)]
    found["archive"]["nodes"] = [{**node, "name": f"arc{n}", "state": s} for n, s in enumerate(states)]
    return found


@pytest.mark.parametrize("size", SIZES, ids=str)
def test_a_thousand_archive_nodes_are_a_grid_with_the_worst_first(size: Size) -> None:
    found = [line.plain for line in frame(_many(1000), AROUND, size, PLAIN)]
    assert len(found) <= size.height
    assert any(line.startswith("  x~ooo") for line in found)
    assert any(line.startswith("  1000 nodes: 1 failed, 1 degraded, 99") for line in found)


def test_what_nobody_measures_is_said() -> None:
    around = Around((None, None), "no controller is active, so nobody measures", (), "etcd: no majority")
    text = "\n".join(lines(after(keys(active=None)), around=around))
    assert "commit unknown: no controller is active" in text
    assert "etcd: no majority" in text


def test_no_commit_now_is_not_the_last_latency() -> None:
    text = "\n".join(lines(healthy(), around=Around((0.01, None))))
    assert "commit @x none now" in text


@pytest.mark.parametrize(
    ("values", "shown"),
    [((), ""), ((0.0,), "."), ((0.1, 0.2), "+@"), ((None, 0.2), "x@"), ((0.07, 0.0), "@.")],
)
def test_sparklines(values: tuple[float | None, ...], shown: str) -> None:
    assert sparkline(values, PLAIN) == shown


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        pytest.param("hactl_heartbeat_seconds 0.012\nhactl_heartbeat_misses 0\n", 0.012, id="a commit"),
        pytest.param(
            "hactl_heartbeat_misses 0.0\nhactl_heartbeat_seconds 1e-2\n", 0.01, id="in another order"
        ),
        pytest.param(
            "hactl_heartbeat_seconds 0.012\nhactl_heartbeat_misses 2\n", None, id="the next one failed"
        ),
        pytest.param("", None, id="none was seen"),
    ],
)
def test_the_latency_is_the_controllers(text: str, expected: float | None) -> None:
    assert latency(text) == expected


def test_a_source_that_fails_says_why_and_keeps_what_was_there() -> None:
    answers: list[Any] = [[event(1)], Unreachable("etcd: no majority")]

    def events() -> list[dict[str, Any]]:
        answer = answers.pop(0)
        if isinstance(answer, Unreachable):
            raise answer
        return list(answer)

    def metrics(node: str) -> str:
        raise Unreachable(f"{node} is silent")

    follower = Follower(metrics, events)
    follower.measure()
    assert follower.around().latencies == (), "nobody looked yet who is active"
    follower.active("db2")
    for act in (follower.measure, follower.read, follower.read):
        act()
    found = follower.around()
    assert (found.latencies, found.no_latency) == ((None,), "db2 is silent")
    assert ([e["subject"] for e in found.events], found.no_events) == (["arc1"], "etcd: no majority")
    follower.active(None)
    follower.measure()
    assert "no controller is active" in follower.around().no_latency


def test_a_view_of_nothing_is_a_frame_too() -> None:
    view = after(keys(), vip("database", Unknown("late")), vip("archive", Unknown("late")))
    assert "on no known node" in "\n".join(lines(view))
