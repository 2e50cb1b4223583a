from __future__ import annotations

import pytest
from hypothesis import find, given
from hypothesis import strategies as st

from hactl.decide.lastcopy import may_be_replaced, may_join
from hactl.decide.plan import GiveOrder, Plan, Reinitialize
from hactl.decide.recovery import RecoveryMemory, decide_recovery
from hactl.units import Lsn
from hactl.view.archive import ArchiveFacts, Drain, DrainBy
from hactl.view.cluster import ClusterView
from hactl.view.control import Dcs, PeerLook, PostgresLocal
from hactl.view.incident import Phase
from hactl.view.model import DbRole, PatroniSelf, Probe, State, Unknown
from tests.support.keysview import (
    KeysChange,
    after_keys,
    agent_silent,
    at_second,
    budget,
    facts_of,
    fenced,
    full,
    incident,
    keys_with,
    led_by,
    ordered,
    postgres_of,
    sync,
)
from tests.support.views import LOST, Change, after, demo_spec, patroni_says, standby

SPEC = demo_spec()
UNITS = {"etcd.service": "active", "patroni.service": "active"}
NOT_STREAMING = patroni_says("db2", standby("db2", sync=False, replication_state=""))
CANNOT_START = patroni_says("db2", standby("db2", state="start failed", timeline=None))
STOPPED = patroni_says("db2", standby("db2", state="stopped", timeline=None))
COPYING = patroni_says("db2", standby("db2", state="creating replica", timeline=None))
NEWER = patroni_says("db2", standby("db2", timeline=4, replication_state="", sync=False))
REJOINED = budget("db2", "rejoin", 2)
COPIED = budget("db2", "reinit", 2)
SLOT_LOST = postgres_of("db1", lost_slots=("db2",))
WAL_GONE = postgres_of("db1", oldest=Lsn(0x4000000))  # the standby is at 0/3000000
WAL_THERE = postgres_of("db1", oldest=Lsn(0x2000000))
DAMAGED = patroni_says("db2", standby("db2", state="stopped", timeline=None, lsn=None, identified=False))
PAGES = postgres_of("db2", damaged=("orthanc",))
FROM_ARCHIVE = patroni_says("db2", standby("db2", sync=False, replication_state="in archive recovery"))
NOBODY_SYNC = sync()

Looks = tuple[list[Plan], RecoveryMemory]


def looks(cluster: ClusterView, dcs: Dcs, seconds: int) -> list[Plan]:
    """One look each second, all the same."""
    memory, plans = RecoveryMemory(), []
    for second in range(seconds):
        plan, memory = decide_recovery(SPEC, cluster, at_second(dcs, second), memory, 1000.0 + second)
        plans.append(plan)
    return plans


def acts(plans: list[Plan]) -> list[str]:
    found = []
    for step in (s for plan in plans for s in plan.steps):
        if isinstance(step.action, Reinitialize):
            found.append(f"copy {step.action.node} anew")
        elif isinstance(step.action, GiveOrder):
            found.append(f"{step.action.verb} {step.action.unit} on {step.action.node}")
    return found


REJOIN = "restart patroni.service on db2"
COPY = "copy db2 anew"

ROWS = [
    pytest.param([], [], 300, [], id="a healthy pair is left alone"),
    pytest.param([NOT_STREAMING], [NOBODY_SYNC], 30, [], id="Patroni has 45 s to let a standby stream"),
    pytest.param([NOT_STREAMING], [NOBODY_SYNC], 60, [REJOIN], id="then its Patroni is restarted"),
    pytest.param([CANNOT_START], [NOBODY_SYNC], 30, [REJOIN], id="a server that cannot start waits 20 s"),
    pytest.param([STOPPED], [NOBODY_SYNC], 100, [], id="stopped may be a rewind at work: 120 s"),
    pytest.param(
        [COPYING], [NOBODY_SYNC, facts_of("db2", joining="pg_basebackup")], 3600, [],
        id="a copy at work is not disturbed",
    ),
    pytest.param(
        [STOPPED], [NOBODY_SYNC, facts_of("db2", joining="pg_rewind")], 3600, [],
        id="nor is a rewind",
    ),
    pytest.param([COPYING], [NOBODY_SYNC], 620, [REJOIN], id="a copy that nobody makes"),
    pytest.param([CANNOT_START], [NOBODY_SYNC, REJOINED], 30, [COPY], id="after two tries it is copied anew"),
    pytest.param([NOT_STREAMING], [NOBODY_SYNC, SLOT_LOST], 12, [COPY], id="a lost slot: no restart helps"),
    pytest.param([NOT_STREAMING], [NOBODY_SYNC, WAL_GONE], 12, [COPY], id="away for hours: its WAL is gone"),
    pytest.param([NOT_STREAMING], [NOBODY_SYNC, WAL_GONE], 9, [], id="not at the first look"),
    pytest.param([NOT_STREAMING], [NOBODY_SYNC, WAL_THERE], 44, [], id="its WAL is there: Patroni's 45 s"),
    pytest.param([FROM_ARCHIVE], [NOBODY_SYNC, WAL_GONE], 44, [], id="it has WAL from an archive"),
    pytest.param([DAMAGED], [NOBODY_SYNC], 18, [], id="a damaged data folder has 20 s"),
    pytest.param([DAMAGED], [NOBODY_SYNC], 30, [COPY], id="then it is copied anew: no restart helps"),
    pytest.param([DAMAGED], [NOBODY_SYNC, postgres_of("db1", damaged=("orthanc",))], 90, [],
                 id="no copy of a primary whose own pages are damaged"),
    pytest.param([], [PAGES], 300, [], id="a damaged page: somebody decides, it may still be the only copy"),
    pytest.param([DAMAGED], [led_by(None)], 90, [], id="a damaged folder, and nobody leads: hands off"),
    pytest.param([DAMAGED], [NOBODY_SYNC, full("db2", 0.95)], 90, [], id="no copy onto a full disk"),
    pytest.param([CANNOT_START], [NOBODY_SYNC, REJOINED, COPIED], 300, [], id="no budget left: a stop"),
    pytest.param([CANNOT_START], [REJOINED], 60, [], id="a standby named in /sync is never copied anew"),
    pytest.param([NEWER], [NOBODY_SYNC, REJOINED], 90, [], id="nor one with a newer timeline"),
    pytest.param([CANNOT_START], [NOBODY_SYNC, full("db2", 0.95)], 60, [], id="a full disk: nothing helps"),
    pytest.param([CANNOT_START], [NOBODY_SYNC, keys_with(paused=True)], 60, [], id="paused means hands off"),
    pytest.param([CANNOT_START], [NOBODY_SYNC, keys_with(incident="{}")], 60, [], id="an incident is open"),
    pytest.param([CANNOT_START], [NOBODY_SYNC, incident(Phase.PROMOTED)], 60, [], id="no service yet"),
    pytest.param(
        [CANNOT_START], [NOBODY_SYNC, incident(Phase.PROMOTED)], 62, [REJOIN],
        id="a minute without a commit, and somebody leads: the heartbeat may be what is broken",
    ),
    pytest.param([CANNOT_START], [NOBODY_SYNC, incident(Phase.RELEASED)], 90, [], id="nobody leads yet"),
    pytest.param(
        [CANNOT_START], [NOBODY_SYNC, incident(Phase.PROMOTED), fenced("db2")], 90, [],
        id="a fence counts for as long as it stands",
    ),
    pytest.param(
        [CANNOT_START], [NOBODY_SYNC, incident(Phase.PROMOTED, Phase.FIRST_COMMIT)], 30, [REJOIN],
        id="the service is back: the incident waits for its victim to rejoin",
    ),
    pytest.param([CANNOT_START], [NOBODY_SYNC, fenced("db2")], 60, [], id="a fenced node stays as it is"),
    pytest.param([CANNOT_START], [led_by(None)], 60, [], id="without a leader there is nothing to join"),
    pytest.param(
        [CANNOT_START, patroni_says("db1", LOST)], [NOBODY_SYNC, REJOINED], 60, [],
        id="a primary that does not answer is no good copy",
    ),
    pytest.param(
        [CANNOT_START], [NOBODY_SYNC, REJOINED, agent_silent("db1")], 60, [],
        id="nor is one whose agent does not vouch for it",
    ),
    pytest.param(
        [CANNOT_START],
        [NOBODY_SYNC, REJOINED, facts_of("db1", canary=Probe(State.FAILED, "4 s"))], 60, [],
        id="nor one whose disk stalls",
    ),
    pytest.param(
        [NOT_STREAMING], [NOBODY_SYNC, facts_of("db2", peers={"db1": PeerLook(9)})], 90, [],
        id="a standby that is cut off from the primary only has to be joined by the network",
    ),
    pytest.param(
        [CANNOT_START], [NOBODY_SYNC, ordered("db2", "restart")], 60, [],
        id="one order at a time",
    ),
    pytest.param(
        [], [facts_of("db2", units={**UNITS, "patroni.service": "failed"})], 6, [REJOIN],
        id="a dead Patroni is started after 3 s",
    ),
    pytest.param(
        [], [facts_of("wit1", units={"etcd.service": "inactive"})], 15, ["restart etcd.service on wit1"],
        id="any other unit after 10 s",
    ),
    pytest.param(
        [], [facts_of("wit1", units={"etcd.service": "inactive"}), incident(Phase.PROMOTED)], 15,
        ["restart etcd.service on wit1"],
        id="also while an incident waits for its first commit, which may need it",
    ),
    pytest.param(
        [], [facts_of("arc1", units={"orthanc.service": "failed"}), agent_silent("arc1")], 60, [],
        id="without an agent nothing can be ordered",
    ),
    pytest.param(
        [], [facts_of("arc1", units={"orthanc.service": "activating"})], 60, [],
        id="systemd itself is at it",
    ),
    pytest.param(
        [], [facts_of("arc1", units={"orthanc.service": "inactive"})], 15,
        ["restart orthanc.service on arc1"], id="an Orthanc that has ended is started",
    ),
    pytest.param(
        [], [facts_of("arc1", units={"orthanc.service": "inactive"},
                      archive=ArchiveFacts(out=True, out_for="not mounted"))], 60, [],
        id="not one that its node's guard has stopped",
    ),
    pytest.param(
        [], [facts_of("arc1", units={"orthanc.service": "inactive"}),
             keys_with(drains={"arc1": Drain("arc1", DrainBy.OPERATOR, "new disk")})], 60, [],
        id="nor one on a node that somebody works on",
    ),
]  # fmt: skip


@pytest.mark.parametrize(("changes", "keys", "seconds", "want"), ROWS)
def test_recovery(changes: list[Change], keys: list[KeysChange], seconds: int, want: list[str]) -> None:
    assert acts(looks(after(*changes), after_keys(*keys), seconds)) == want


def test_tries_come_after_longer_and_longer_pauses() -> None:
    plans = looks(after(CANNOT_START), after_keys(NOBODY_SYNC), 300)
    at = [second for second, plan in enumerate(plans) if plan.steps]
    assert at == [20, 50, 110, 230]  # 30 s, 60 s, 120 s; etcd's budget would have stopped it after the second


def test_who_still_replays_what_it_has_is_not_copied_anew() -> None:
    """Its position moves: it may yet come to what the primary has."""
    memory, found = RecoveryMemory(), []
    for second in range(44):
        moving = standby("db2", sync=False, replication_state="", lsn=Lsn(0x3000000 + second))
        dcs = at_second(after_keys(NOBODY_SYNC, WAL_GONE), second)
        plan, memory = decide_recovery(SPEC, after(patroni_says("db2", moving)), dcs, memory, float(second))
        found += acts([plan])
    assert found == []


def test_a_server_that_fails_to_start_again_and_again_adds_up() -> None:
    memory, found = RecoveryMemory(), []
    starting = patroni_says("db2", standby("db2", state="starting", timeline=None))
    dcs = after_keys(NOBODY_SYNC)
    for second in range(50):
        cluster = after(CANNOT_START if second % 2 else starting)
        plan, memory = decide_recovery(SPEC, cluster, at_second(dcs, second), memory, float(second))
        found += acts([plan])
    assert found == [REJOIN]


@pytest.mark.parametrize(
    ("keys", "said"),
    [
        pytest.param([REJOINED, COPIED], "everything was tried", id="nothing is left to try"),
        pytest.param([full("db2", 0.99)], "full", id="the disk is full"),
    ],
)
def test_the_stop_is_loud(keys: list[KeysChange], said: str) -> None:
    plan = looks(after(CANNOT_START), after_keys(NOBODY_SYNC, *keys), 60)[-1]
    assert [a for a in plan.alarms if a.startswith("RECOVERY_GIVEN_UP db2: ") and said in a]
    assert plan.vetoes


names = st.sampled_from(["db1", "db2", "stranger"])
selves = st.builds(
    PatroniSelf, names, st.sampled_from(DbRole),
    st.sampled_from(["running", "start failed", "stopped", "crashed"]), st.none() | st.integers(1, 4),
    replication_state=st.sampled_from(["", "streaming"]),
)  # fmt: skip
nodes = st.sampled_from(["db1", "db2"])
said = st.builds(patroni_says, nodes, selves | st.builds(Unknown, st.just("silent")))
writables = st.booleans() | st.just(Unknown("no answer"))
keys_changes = st.one_of(
    st.builds(led_by, st.none() | names),
    st.builds(lambda standbys: sync(*standbys), st.lists(names, max_size=2)),
    st.builds(lambda node, writable: facts_of(node, postgres=PostgresLocal(writable)), nodes, writables),
    st.builds(lambda node, state: facts_of(node, canary=Probe(state)), nodes, st.sampled_from(State)),
    st.builds(lambda node, misses: facts_of(node, peers={"db1": PeerLook(misses)}), nodes, st.integers(0, 1)),
    st.builds(lambda used: budget("db2", "reinit", used), st.integers(0, 3)),
    st.builds(lambda paused: keys_with(paused=paused), st.booleans()),
    st.builds(fenced, nodes),
)


@st.composite
def worlds(draw: st.DrawFn) -> tuple[ClusterView, Dcs]:
    """A standby whose copying everything speaks for; then up to three things are said otherwise."""
    cluster = after(CANNOT_START, *draw(st.lists(said, max_size=2)))
    return cluster, after_keys(NOBODY_SYNC, REJOINED, *draw(st.lists(keys_changes, max_size=3)))


@given(worlds())
def test_the_last_good_copy_is_never_replaced(world: tuple[ClusterView, Dcs]) -> None:
    cluster, dcs = world
    for node in copied(cluster, dcs):
        _another_copy_is_proved(cluster, dcs, node)


def test_a_copy_is_replaced_when_everything_speaks_for_it() -> None:
    """Else the property would hold for a function that never does anything."""
    assert find(worlds().map(lambda world: copied(*world)), lambda nodes: nodes == {"db2"})


def copied(cluster: ClusterView, dcs: Dcs) -> set[str]:
    plans = looks(cluster, dcs, 125)
    return {s.action.node for p in plans for s in p.steps if isinstance(s.action, Reinitialize)}


def _another_copy_is_proved(cluster: ClusterView, dcs: Dcs, victim: str) -> None:
    leader = dcs.patroni.leader
    assert leader is not None
    assert leader.node != victim
    assert victim not in dcs.patroni.sync_standbys
    good, bad = cluster.patroni[leader.node].itself, cluster.patroni[victim].itself
    assert isinstance(good, PatroniSelf)
    assert good.serves_writes
    assert isinstance(bad, PatroniSelf)
    assert bad.role is not DbRole.PRIMARY
    local = dcs.facts[leader.node].postgres
    assert isinstance(local, PostgresLocal)
    assert local.writable is True
    assert not dcs.paused
    assert not dcs.fences


def test_a_leader_that_the_spec_does_not_know_is_no_other_copy() -> None:
    dcs = after_keys(NOBODY_SYNC)
    assert may_be_replaced(SPEC, after(CANNOT_START), dcs, "db2") == []
    assert may_join(after(CANNOT_START), dcs, dcs.facts["db2"], "db2") == []
    foreign = after_keys(NOBODY_SYNC, led_by("stranger"))
    assert may_be_replaced(SPEC, after(CANNOT_START), foreign, "db2")
