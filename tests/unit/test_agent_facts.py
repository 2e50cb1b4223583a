from __future__ import annotations

import threading
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hactl.adapters.processes import Process, UnitProcesses
from hactl.agent.facts import AT_ONCE, DEAD, EVERY, HURRIED, Looks, Publisher, gather
from hactl.agent.looks import Look
from hactl.agent.loop import Told
from hactl.agent.node_looks import (
    ENOUGH,
    ForkProbe,
    Forks,
    PeerProbe,
    joining,
    keepalived_probe,
    postgres_gone,
)
from hactl.agent.renewal import Me
from hactl.errors import Unreachable
from hactl.units import Bytes, Lsn
from hactl.view.control import AgentFacts, Mode, NewLocal, PeerLook, PostgresLocal
from hactl.view.keys import Keys
from hactl.view.model import Disk, Probe, State, Unknown
from hactl.view.pace import report_every
from hactl.view.parse.agent_facts import facts_text, parse_agent_facts
from tests.fakes.agent import Clocks
from tests.fakes.etcd import FakeEtcd

words = st.text(max_size=12)
probes = st.builds(Probe, st.sampled_from(State), words)
lsns = st.one_of(st.none(), st.builds(Lsn, st.integers(0, 2**64 - 1)))
postgres = st.one_of(
    st.builds(Unknown, words),
    st.builds(
        PostgresLocal,
        st.one_of(st.booleans(), st.builds(Unknown, words)),
        words,
        st.one_of(st.none(), st.integers(1, 2**31)),
        lsns,
        st.lists(words, max_size=2).map(tuple),
        lsns,
    ),
)
disks = st.lists(
    st.builds(Disk, words, st.builds(Bytes, st.integers(0, 2**50)), st.just(Bytes(2**50))), max_size=2
)
forks = st.one_of(
    st.builds(Unknown, words),
    st.builds(NewLocal, st.integers(0, 9), st.one_of(st.none(), st.integers(0, 99).map(float))),
)
facts = st.builds(
    AgentFacts,
    node=words, boot=words, seq=st.integers(0, 2**40), mode=st.sampled_from([None, *Mode]),
    lease_left=st.one_of(st.none(), st.integers(0, 5).map(float)), postgres=postgres,
    forks=forks, patroni=probes, keepalived=probes, canary=probes, storage=probes,
    vips=st.lists(words, max_size=2).map(tuple),
    peers=st.dictionaries(words, st.builds(PeerLook, st.integers(0, 9), words), max_size=2),
    disks=disks.map(tuple), units=st.dictionaries(words, words, max_size=2),
    boottime=st.integers(0, 10**8).map(float), thawed=st.integers(0, 9),
    ledger=st.dictionaries(words, st.integers(), max_size=2), joining=words,
    certificates=st.dictionaries(words, st.integers(0, 2**33), max_size=2), spare=words,
    every=st.integers(1, 60).map(float),
)  # fmt: skip


@given(facts)
def test_facts_read_back_as_they_were(found: AgentFacts) -> None:
    assert parse_agent_facts(facts_text(found)) == found


@pytest.mark.parametrize("text", ["", "[]", "{}", '{"node":"a"}', '{"node":"a","boot":"b","peers":[1]}'])
def test_what_is_no_facts_is_a_value_error(text: str) -> None:
    with pytest.raises(ValueError, match="facts"):
        parse_agent_facts(text)


def test_an_older_agent_says_less() -> None:
    found = parse_agent_facts('{"node":"db1","boot":"x","seq":1,"later":"field"}')
    assert found.mode is None
    assert found.canary.state is State.UNKNOWN
    assert isinstance(found.postgres, Unknown)
    assert found.forks == Unknown("not told")
    assert found.every == 1.0


@pytest.mark.parametrize("told", ["0.1", "-5", "86400", "null", '"10"', "true"])
def test_a_pace_that_nobody_would_miss_is_not_believed(told: str) -> None:
    found = parse_agent_facts(f'{{"node":"arc1","boot":"x","seq":1,"every":{told}}}')
    assert found.every == 1.0


def test_the_more_archive_nodes_the_less_often_each_reports() -> None:
    paces = [report_every(count) for count in (1, 50, 100, 101, 500, 1000)]
    assert paces == [1.0, 1.0, 1.0, 1.01, 5.0, 10.0]


@pytest.mark.parametrize(("every", "lives"), [(1.0, 10), (10.0, 28)])
def test_what_an_agent_said_lives_longer_than_its_pace(every: float, lives: int) -> None:
    clocks, etcd = Clocks(), FakeEtcd()
    me = Me("arc1", "b", Keys("demo"), 3.0)
    empty: Look[Any] = Look("none", dict, 1.0, clocks.monotonic)
    looks = Looks(units=empty, disks=empty, vips=empty, every=every)
    kv: Any = etcd.client()
    assert Publisher(me, kv, looks, _Loop(), clocks).once()
    assert parse_agent_facts(etcd.value(me.keys.facts("arc1")) or "").every == every
    [lease] = etcd.leases.values()
    assert lease.ttl == lives


class _Loop:
    def told(self) -> Told:
        return Told(None, None, 0)


class Clock:
    def __init__(self) -> None:
        self.now = 100.0

    def __call__(self) -> float:
        return self.now


class Hanging:
    """A question that does not come back until it may."""

    def __init__(self) -> None:
        self.asked, self.may = threading.Event(), threading.Event()

    def __call__(self) -> float:
        self.asked.set()
        self.may.wait(10)
        return 0.01


ME = Me("db1", "boot", Keys("demo"), 3.0)


def looks(clock: Clock, canary: Look[float]) -> Looks:
    return Looks(
        units=Look("u", dict, 1, clock),
        disks=Look("d", tuple, 1, clock),
        vips=Look("v", tuple, 1, clock),
        canary=canary,
    )


def test_a_stalled_disk_shows_as_an_age_and_stalls_nobody() -> None:
    clock, hanging = Clock(), Hanging()
    canary: Look[float] = Look("canary", hanging, 1.0, clock)
    told = Told(Mode.LEASED, 2.0, 0)
    thread = threading.Thread(target=canary.once)
    thread.start()
    assert hanging.asked.wait(10)
    assert gather(ME, 1, looks(clock, canary), told, 5.0).canary.state is State.UNKNOWN
    clock.now += 3.5
    stalled = gather(ME, 2, looks(clock, canary), told, 5.0).canary
    assert stalled.state is State.FAILED
    assert "3.5 s" in stalled.why
    hanging.may.set()
    thread.join(10)
    assert gather(ME, 3, looks(clock, canary), told, 5.0).canary.ok


def test_a_disk_that_refuses_has_failed() -> None:
    def refuse() -> float:
        raise Unreachable("read-only file system")

    clock = Clock()
    canary: Look[float] = Look("canary", refuse, 1.0, clock)
    canary.once()
    found = gather(ME, 1, looks(clock, canary), Told(None, None, 0), 5.0).canary
    assert found == Probe(State.FAILED, "read-only file system")


def test_new_connections_are_counted_in_a_row_and_the_last_answer_is_remembered() -> None:
    clock, answers = Clock(), iter([True, False, False, *[False] * 9, True])
    probe = ForkProbe(lambda within: next(answers), clock)  # noqa: ARG005 - as NewConnections.answered
    look = Look("forks", probe.look, 0.5, clock)
    told = []
    for _ in range(13):
        look.once()
        clock.now += 0.5
        forks = gather(ME, 1, forking(clock, look), Told(None, None, 0), 5.0).forks
        assert isinstance(forks, NewLocal)
        told.append((forks.misses, forks.age))
    assert told[:3] == [(0, 0.5), (1, 1.0), (2, 1.5)]
    assert told[-2:] == [(ENOUGH, 6.0), (0, 0.5)]


def forking(clock: Clock, look: Look[Forks]) -> Looks:
    nothing: Look[Any] = Look("none", dict, 1.0, clock)
    return Looks(units=nothing, disks=nothing, vips=nothing, forks=look)


def test_a_look_that_is_only_late_is_no_miss_and_a_dead_one_is_not_believed() -> None:
    """A starved machine starves the agent's threads as well."""
    clock, may, asked = Clock(), threading.Event(), threading.Event()

    def late() -> Forks:
        asked.set()
        may.wait(10)
        return Forks(2, clock.now)

    look = Look("forks", ForkProbe(lambda within: True, clock).look, 0.5, clock)  # noqa: ARG005
    look.once()
    look._ask = late
    thread = threading.Thread(target=look.once)
    thread.start()
    assert asked.wait(10)
    clock.now += DEAD - 1
    assert gather(ME, 1, forking(clock, look), Told(None, None, 0), 5.0).forks == NewLocal(0, DEAD - 1)
    clock.now += 2
    assert isinstance(gather(ME, 1, forking(clock, look), Told(None, None, 0), 5.0).forks, Unknown)
    may.set()
    thread.join(10)


def test_what_cannot_be_looked_at_ends_the_row() -> None:
    answers = iter([False, False, None, False])

    def answered(*, within: float) -> bool:
        found = next(answers)
        if found is None:
            raise Unreachable(f"no such file, within {within}")
        return found

    probe = ForkProbe(answered, Clock())
    assert [probe.look().misses for _ in range(2)] == [1, 2]
    with pytest.raises(Unreachable):
        probe.look()
    assert probe.look().misses == 1


def test_an_answer_that_is_only_younger_is_no_news() -> None:
    clock, told = Clock(), []
    probe = ForkProbe(lambda within: True, clock)  # noqa: ARG005
    look = Look("forks", probe.look, 0.5, clock, lambda: told.append(1))
    for _ in range(5):
        look.once()
        clock.now += 0.5
    assert told == [1], "the first one only"


def test_a_write_that_may_be_stalled_is_reported_more_often() -> None:
    """So that it is told within a quarter of a second when it is."""
    clock, clocks, hanging = Clock(), Clocks(), Hanging()
    canary: Look[float] = Look("canary", hanging, 1.0, clock)
    kv: Any = FakeEtcd().client()
    publisher = Publisher(ME, kv, looks(clock, canary), _Loop(), clocks)
    assert publisher._pause() == EVERY - AT_ONCE
    thread = threading.Thread(target=canary.once)
    thread.start()
    assert hanging.asked.wait(10)
    clock.now += 1.5
    assert publisher._pause() == HURRIED
    hanging.may.set()
    thread.join(10)


def test_a_look_tells_of_changes_only() -> None:
    answers, told = iter([1, 1, 2]), []
    look: Look[int] = Look("x", lambda: next(answers), 1.0, Clock(), lambda: told.append(1))
    for _ in range(3):
        look.once()
    assert len(told) == 2


def running(*states: str, frozen: bool = False, name: str = "keepalived") -> UnitProcesses:
    return UnitProcesses(tuple(Process(i, name, s) for i, s in enumerate(states)), frozen)


@pytest.mark.parametrize(
    ("found", "state"),
    [
        pytest.param(running("S", "S"), State.OK, id="both run"),
        pytest.param(running(), State.FAILED, id="none runs"),
        pytest.param(running("S", "T"), State.FAILED, id="one is stopped"),
        pytest.param(running("S", frozen=True), State.FAILED, id="all are frozen"),
    ],
)
def test_keepalived(found: UnitProcesses, state: State) -> None:
    assert keepalived_probe(found).state is state


def test_a_postgres_that_cannot_die_yet_is_there() -> None:
    assert postgres_gone(running("S", name="patroni"))
    assert not postgres_gone(running("D", name="postgres"))


def test_misses_are_counted_in_a_row_and_not_for_ever() -> None:
    answers = iter([Probe(State.FAILED, "no")] * 10 + [Probe(State.OK)])
    peer = PeerProbe(lambda within: next(answers))  # noqa: ARG005 - as postgres_answer.answers
    counts = [peer.look().misses for _ in range(11)]
    assert counts == [1, 2, 3, 4, 5, 6, 7, ENOUGH, ENOUGH, ENOUGH, 0]


def test_a_rewind_at_work_is_reported() -> None:
    """Its wrapper, the ledger and the copy count as well; PostgreSQL's own processes do not."""
    patroni, server = Process(1, "patroni", "S"), Process(2, "postgres", "S")
    assert joining(UnitProcesses((patroni, server))) == ""
    for name in ("pg-rewind", "pg_rewind", "ledger", "clone", "pg_basebackup"):
        assert joining(UnitProcesses((patroni, Process(3, name, "R")))) == name
