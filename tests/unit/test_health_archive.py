"""What is found about archive nodes, and the state that is shown, by whoever looks once."""

from __future__ import annotations

import dataclasses
from typing import Any

import pytest

from hactl.decide.archive_shown import shown
from hactl.decide.health import judge
from hactl.view.archive import GIVEN_UP, ArchiveFacts, ArchiveMark, ArchiveState, Drain, DrainBy, EndToEnd
from hactl.view.archive_levels import (
    FAILS_OVER,
    NO_AGENT,
    end_to_end_level,
    storage_level,
    worst,
)
from hactl.view.cluster import ClusterView
from hactl.view.model import ArchiveView, Probe, State, Unknown, VipView
from tests.support.views import agent, demo_spec, healthy, look

OK, BAD, DARK = Probe(State.OK), Probe(State.FAILED, "bad"), Probe(State.UNKNOWN, "dark")
WELL = ArchiveFacts(OK, OK, last_check=EndToEnd(True, 90.0, {"store": 0.1, "find": 0.2}))
DRAIN = Drain("arc1", DrainBy.OPERATOR, "new disk", "2026-11-22T12:00:00+00:00")


def seen(levels: dict[str, Probe] | None = None, archive: ArchiveFacts = WELL, **changes: Any) -> ClusterView:
    """arc1 so, arc2 well and with the address. `changes` are of the keys, but for `storage`, of the agent."""
    view = healthy()
    facts = agent("arc1", storage=changes.pop("storage", OK), archive=archive, boottime=100.0, vips=())
    keys = look(**changes)
    keys = dataclasses.replace(keys, facts={**keys.facts, "arc1": facts})
    found = dict.fromkeys(("L0", "L1", "L2", "L3", "L4"), OK) | (levels or {})
    vips = {**view.vips, "archive": VipView("192.0.2.101", "arc2")}
    nodes = {**view.archives, "arc1": ArchiveView(found)}
    return dataclasses.replace(view, control=keys, archives=nodes, vips=vips)


def mark(state: ArchiveState, rung: str = "") -> dict[str, Any]:
    return {"archive_states": {"arc1": ArchiveMark(state, "because", rung)}}


FINDINGS = [
    pytest.param(seen(), [], id="all is well"),
    pytest.param(seen({"L2": BAD}), ["ARCHIVE_INDEX_UNREACHABLE"], id="an index that waits"),
    pytest.param(
        seen({"L2": BAD}, **mark(ArchiveState.FAILED, "restart:orthanc.service")), ["ARCHIVE_HUNG_POOL"],
        id="one that the controller restarts Orthanc for",
    ),
    pytest.param(
        seen({"L2": Probe(State.UNKNOWN, FAILS_OVER)}), [], id="not asked while the database fails over"
    ),
    pytest.param(seen({"L2": DARK}), ["SOURCE_UNKNOWN"], id="not known otherwise"),
    pytest.param(seen(storage=BAD), ["STORAGE_IDENTITY_LOST"], id="the wrong storage"),
    pytest.param(seen(archive=ArchiveFacts(OK, BAD)), ["STORAGE_NOT_WRITABLE"], id="it takes nothing"),
    pytest.param(seen(archive=ArchiveFacts(BAD, OK)), ["STORAGE_NEARLY_FULL"], id="it has no room"),
    pytest.param(seen(archive=ArchiveFacts(DARK, DARK)), [], id="unknown is said by who is silent"),
    pytest.param(seen({"L4": BAD}), ["ARCHIVE_END_TO_END"], id="an image that did not come back"),
    pytest.param(
        seen({"L0": BAD, "L4": BAD}), ["ARCHIVE_NODE_DOWN"], id="of a node that is down, that is what is said"
    ),
    pytest.param(seen(drains={"arc1": DRAIN}), ["ARCHIVE_DRAINED"], id="drained"),
    pytest.param(seen(**mark(ArchiveState.FAILED, GIVEN_UP)), ["ARCHIVE_GIVEN_UP"], id="given up"),
]  # fmt: skip


@pytest.mark.parametrize(("view", "expected"), FINDINGS)
def test_what_is_found(view: ClusterView, expected: list[str]) -> None:
    found = [f.code.name for f in judge(demo_spec(), view).findings if f.subject == "arc1"]
    assert found == expected


SHOWN = [
    pytest.param(seen(**mark(ArchiveState.FAILED)), "failed", id="the active controller's word"),
    pytest.param(seen(active=None, **mark(ArchiveState.FAILED)), "healthy", id="not that of one who is gone"),
    pytest.param(seen({"L2": BAD}, archive_states={}), "failed", id="without a word: what is seen"),
    pytest.param(seen({"L1": DARK}, archive_states={}), "degraded", id="something unknown"),
    pytest.param(seen({"L4": BAD}, archive_states={}), "degraded", id="an image that did not come back"),
    pytest.param(seen(archive_states={}, drains={"arc1": DRAIN}), "draining", id="a drain that begins"),
    pytest.param(
        seen(archive_states={}, archive=ArchiveFacts(OK, OK, out=True, out_for="storage")), "drained",
        id="its agent keeps it out",
    ),
    pytest.param(
        seen(dict.fromkeys(("L0", "L1", "L2", "L3", "L4"), DARK), archive_states={}), None,
        id="nothing could be looked at",
    ),
]  # fmt: skip


@pytest.mark.parametrize(("view", "expected"), SHOWN)
def test_the_state_that_is_shown(view: ClusterView, expected: str | None) -> None:
    found = shown(view, "arc1")
    assert (None if found is None else str(found.state)) == expected


def test_without_etcd_the_levels_still_tell() -> None:
    view = dataclasses.replace(seen({"L0": BAD}), control=Unknown("no majority"))
    found = shown(view, "arc1")
    assert found is not None
    assert found.state is ArchiveState.FAILED


def test_levels_that_only_the_agent_knows() -> None:
    assert storage_level(None) == end_to_end_level(None) == NO_AGENT
    assert storage_level(agent("arc1", storage=OK)) == OK
    assert storage_level(agent("arc1", storage=OK, archive=ArchiveFacts(OK, BAD))) == BAD
    assert storage_level(agent("arc1", storage=OK, archive=ArchiveFacts())).state is State.UNKNOWN
    assert end_to_end_level(agent("arc1")) == NO_AGENT
    assert end_to_end_level(agent("arc1", archive=ArchiveFacts())).state is State.UNKNOWN
    at = agent("arc1", archive=WELL, boottime=100.0)
    assert end_to_end_level(at) == Probe(State.OK, "0.30 s, 10 s ago")
    old = end_to_end_level(dataclasses.replace(at, boottime=900.0))
    assert old == Probe(State.UNKNOWN, "the last check was 14 min ago")
    bad = dataclasses.replace(WELL, last_check=EndToEnd(False, 90.0, {}, "pixels differ"))
    assert end_to_end_level(dataclasses.replace(at, archive=bad)) == Probe(State.FAILED, "pixels differ")


def test_a_failure_tells_more_than_a_silence() -> None:
    assert worst([OK, DARK, BAD]) == BAD
    assert worst([OK, DARK]) == DARK
    assert worst([OK]) == OK
    assert worst([]).state is State.UNKNOWN
