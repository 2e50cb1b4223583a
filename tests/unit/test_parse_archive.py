"""Archive nodes' keys in etcd: read back as written; a drain stands whatever it says."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hactl.view.archive import (
    STEPS,
    ArchiveFacts,
    ArchiveMark,
    ArchiveState,
    Drain,
    DrainBy,
    EndToEnd,
)
from hactl.view.control import Dcs
from hactl.view.keys import Keys
from hactl.view.model import Probe, State, Unknown
from hactl.view.parse.agent_facts import facts_text, parse_agent_facts
from hactl.view.parse.archive import drain_text, mark_text, parse_drain, parse_mark, read_facts
from hactl.view.parse.control import parse_look
from tests.fakes.etcd import FakeEtcd
from tests.support.keysview import agent

KEYS = Keys("demo")
words = st.text(max_size=12)
seconds = st.integers(0, 10**7).map(float)
probes = st.builds(Probe, st.sampled_from(State), words)
checks = st.builds(
    EndToEnd,
    st.booleans(),
    seconds,
    st.dictionaries(st.sampled_from(STEPS), seconds),
    words,
    st.integers(0, 9),
)
facts = st.builds(
    ArchiveFacts, probes, probes, st.booleans(), st.booleans(), words,
    st.one_of(st.none(), st.integers(0, 99)), st.one_of(checks, st.builds(Unknown, words)),
)  # fmt: skip
drains = st.builds(
    Drain,
    st.just("arc1"),
    st.sampled_from(DrainBy),
    words,
    words,
    st.booleans(),
    st.one_of(st.none(), seconds),
)


def looked(values: dict[str, str]) -> Dcs:
    etcd = FakeEtcd()
    for key, value in values.items():
        etcd.put(key, value)
    return parse_look(KEYS, etcd.client().ranges(KEYS.look(), within=1))


@given(facts)
def test_an_archive_nodes_facts_read_back_as_they_were(found: ArchiveFacts) -> None:
    assert parse_agent_facts(facts_text(agent("arc1", archive=found))).archive == found


def test_other_nodes_say_nothing_of_an_archive() -> None:
    assert "archive" not in facts_text(agent("db1"))
    assert parse_agent_facts(facts_text(agent("db1"))).archive is None


@given(drains)
def test_a_drain_reads_back_as_it_was(drain: Drain) -> None:
    assert parse_drain("arc1", drain_text(drain)) == drain


@given(st.builds(ArchiveMark, st.sampled_from(ArchiveState), words, words, words))
def test_a_state_reads_back_as_it_was(mark: ArchiveMark) -> None:
    assert parse_mark(mark_text(mark)) == mark


@given(st.text(max_size=40))
def test_a_drain_stands_whatever_it_says(value: str) -> None:
    assert parse_drain("arc1", value).node == "arc1"


@pytest.mark.parametrize("value", ["", "[]", "{}", '{"state":"well"}'])
def test_what_is_no_state_is_a_value_error(value: str) -> None:
    with pytest.raises(ValueError, match=r"archive state|ArchiveState"):
        parse_mark(value)


@pytest.mark.parametrize("value", [[], 1, {"last_check": 3}, {"last_check": {"ok": True, "took": 1}}])
def test_what_is_no_facts_is_a_value_error(value: object) -> None:
    with pytest.raises(ValueError, match=r"facts|check"):
        read_facts(value)


def test_one_look_shows_drains_and_states_and_says_what_it_cannot_read() -> None:
    drain = Drain("arc1", DrainBy.OPERATOR, "new disk", "2026-11-22T12:00:00+00:00")
    mark = ArchiveMark(ArchiveState.DRAINED, "new disk", "drain")
    dcs = looked({
        KEYS.archive_drain("arc1"): drain_text(drain),
        KEYS.archive_drain("arc2"): "?",
        KEYS.archive_state("arc1"): mark_text(mark),
        KEYS.archive_state("arc2"): "?",
        KEYS.own + "archive/arc1/news": "of a later version",
    })  # fmt: skip
    assert dcs.drains["arc1"] == drain
    assert dcs.drains["arc2"].by is DrainBy.OPERATOR
    assert dcs.archive_states == {"arc1": mark}
    assert [p.split(":")[0] for p in dcs.problems] == [KEYS.archive_state("arc2")]
