from __future__ import annotations

import dataclasses

import pytest

from hactl.decide.grey import GreyMemory, decide_grey
from hactl.decide.plan import GiveOrder, Plan
from hactl.units import Bytes
from hactl.view.control import ControlView, Dcs, Heartbeat, Mode
from hactl.view.incident import Phase
from hactl.view.model import Disk, Unknown
from tests.support.keysview import (
    ILL,
    KeysChange,
    after_keys,
    agent_silent,
    at_second,
    budget,
    facts_of,
    fenced,
    incident,
    keys_with,
    led_by,
    ordered,
    postgres_of,
    sync,
)
from tests.support.views import LOST, Change, after, demo_spec, patroni_says, primary, standby

SPEC = demo_spec()
VIP = "192.0.2.100"
BEATS = Heartbeat(last_ok=999.0, node="db1")
MISSED = Heartbeat(misses=3, last_ok=996.0, node="db1", why="no answer within 1 s", reached=True)
ONE_MISSED = dataclasses.replace(MISSED, misses=1)
NOT_REACHED = dataclasses.replace(MISSED, reached=False)
STALLED = facts_of("db1", canary=ILL)
FROZEN = [patroni_says("db2", LOST)]
FROZEN_KEYS = facts_of("db2", patroni=ILL)
STOP = "stop-postgres on db1"


def disk_of(node: str, free: float) -> KeysChange:
    """MiB of a thousand, where PostgreSQL's data are."""
    root = Disk("/", Bytes.mib(500), Bytes.mib(1000))
    return facts_of(node, disks=(root, Disk("/var/lib/postgresql", Bytes.mib(free), Bytes.mib(1000))))


RESTART_VIP = "restart keepalived.service on "


def ticks(
    beat: Heartbeat, cluster: list[Change], dcs: Dcs, seconds: range, memory: GreyMemory | None = None
) -> tuple[list[Plan], GreyMemory]:
    memory, plans = memory or GreyMemory(), []
    for second in seconds:
        control = ControlView("wit1", True, at_second(dcs, second), 1000.0 + second, heartbeat=beat)
        plan, memory = decide_grey(SPEC, control, after(*cluster), memory, 1000.0 + second)
        plans.append(plan)
    return plans, memory


def acts(plans: list[Plan]) -> list[str]:
    orders = [s.action for p in plans for s in p.steps if isinstance(s.action, GiveOrder)]
    return [f"{' '.join(filter(None, (o.verb, o.unit)))} on {o.node}" for o in orders]


ROWS = [
    pytest.param(BEATS, [], [], [], id="all is well"),
    pytest.param(MISSED, [], [], [STOP], id="three commits missed and all else well: a frozen postmaster"),
    pytest.param(ONE_MISSED, [], [], [], id="one missed commit is none"),
    pytest.param(MISSED, [], [sync()], [], id="without a synchronous standby a stop would not help"),
    pytest.param(
        MISSED, [patroni_says("db2", standby("db2", replication_state=""))], [], [],
        id="nor if the standby does not stream",
    ),
    pytest.param(NOT_REACHED, [], [], [], id="no TCP connection either: the network may be at fault"),
    pytest.param(
        MISSED, [], [facts_of("db1", lease_left=None)], [], id="the lease has ended: nobody may be served"
    ),
    pytest.param(
        MISSED, [], [facts_of("db1", lease_left=None, mode=Mode.OPEN)], [STOP], id="mode open needs no lease"
    ),
    pytest.param(
        MISSED, [patroni_says("db1", primary("db1", state="stopping"))], [], [], id="Patroni is at it already"
    ),
    pytest.param(MISSED, [], [agent_silent("db1")], [], id="nobody there to obey: the failover's matter"),
    pytest.param(
        MISSED, [patroni_says("db1", LOST)],
        [facts_of("db1", patroni=ILL), postgres_of("db1", writable=Unknown("no answer"))], [STOP],
        id="all of PostgreSQL is frozen, so Patroni hangs as well",
    ),
    pytest.param(ONE_MISSED, [], [STALLED], [STOP], id="a stalled disk, and a missed commit"),
    pytest.param(BEATS, [], [STALLED], [], id="commits come back: the stalled disk is not the database's"),
    pytest.param(BEATS, [], [disk_of("db1", 20), disk_of("db2", 500)], [STOP], id="full, and room next door"),
    pytest.param(BEATS, [], [disk_of("db1", 40), disk_of("db2", 500)], [], id="a segment still fits"),
    pytest.param(BEATS, [], [disk_of("db1", 20), disk_of("db2", 70)], [], id="both full: nobody is helped"),
    pytest.param(BEATS, [], [disk_of("db1", 20)], [], id="nobody knows of the standby's disk"),
    pytest.param(BEATS, [], [disk_of("db1", 20), disk_of("db2", 500), sync()], [], id="full, and alone"),
    pytest.param(BEATS, [], [disk_of("db1", 500), disk_of("db2", 0)], [], id="a standby's is not its matter"),
    pytest.param(MISSED, [], [keys_with(paused=True)], [], id="paused means hands off"),
    pytest.param(MISSED, [], [keys_with(incident="{}")], [], id="an incident is open: not here as well"),
    pytest.param(MISSED, [], [incident(Phase.PROMOTED)], [], id="no stop of who has only just been promoted"),
    pytest.param(
        MISSED, [], [facts_of("db1", vips=(), keepalived=ILL), incident(Phase.PROMOTED)],
        [f"{RESTART_VIP}db1"], id="promoted, and keepalived is frozen: no commit would ever come",
    ),
    pytest.param(
        MISSED, [], [facts_of("db1", vips=(), keepalived=ILL), incident(Phase.RELEASED)], [],
        id="before somebody leads it is the failover's matter",
    ),
    pytest.param(MISSED, [], [fenced("db1")], [], id="fenced already"),
    pytest.param(MISSED, [], [budget("db1", "stop-postgres", 2)], [], id="twice within the hour is enough"),
    pytest.param(BEATS, FROZEN, [FROZEN_KEYS], ["kill-patroni on db2"], id="a frozen Patroni is killed"),
    pytest.param(BEATS, FROZEN, [], [], id="silent from here only: its own node says otherwise"),
    pytest.param(
        BEATS, FROZEN, [FROZEN_KEYS, facts_of("db2", units={"patroni.service": "failed"})], [],
        id="a dead Patroni is not a frozen one: recovery starts it",
    ),
    pytest.param(
        BEATS, FROZEN, [FROZEN_KEYS, postgres_of("db2", writable=Unknown("no answer"))], [],
        id="PostgreSQL does not answer either: Patroni may well wait for it",
    ),
    pytest.param(
        BEATS, [], [facts_of("arc2", keepalived=ILL)], [f"{RESTART_VIP}arc2"], id="a frozen keepalived"
    ),
    pytest.param(
        BEATS, [], [facts_of("db2", vips=(VIP,))], [f"{RESTART_VIP}db2"],
        id="the address on two nodes: the one that does not lead lets go",
    ),
    pytest.param(
        MISSED, [], [facts_of("db1", vips=())], [f"{RESTART_VIP}db1"], id="the address on no node"
    ),
    pytest.param(BEATS, [], [facts_of("db1", vips=())], [], id="commits come back: somebody has the address"),
    pytest.param(BEATS, [], [facts_of("db1", vips=()), led_by(None)], [], id="nobody leads: nobody holds it"),
    pytest.param(BEATS, FROZEN, [FROZEN_KEYS, ordered("db2", "restart")], [], id="one order at a time"),
]  # fmt: skip


@pytest.mark.parametrize(("beat", "cluster", "keys", "want"), ROWS)
def test_grey(beat: Heartbeat, cluster: list[Change], keys: list[KeysChange], want: list[str]) -> None:
    plans, _ = ticks(beat, cluster, after_keys(*keys), range(8))
    assert acts(plans) == want


def test_an_agent_that_stopped_writing_is_not_believed() -> None:
    """Its last report stays in etcd for ten seconds: what it saw may be over."""
    memory, dcs = GreyMemory(), after_keys(FROZEN_KEYS)
    for second in range(12):
        cluster = after(*FROZEN) if second > 3 else after()
        plan, memory = decide_grey(
            SPEC, ControlView("wit1", True, dcs, float(second)), cluster, memory, float(second)
        )
        assert not plan.steps


def test_without_a_look_at_etcd_nothing_is_done() -> None:
    control = ControlView("wit1", False, LOST, 0.0, heartbeat=MISSED)
    assert decide_grey(SPEC, control, after(), GreyMemory(), 0.0) == (Plan(), GreyMemory())


@pytest.mark.parametrize(
    ("keys", "seconds", "suspect"),
    [
        pytest.param([], 4, "", id="the order has five seconds"),
        pytest.param([], 6, "has not ended in", id="then the node is a suspect"),
        pytest.param([ordered("db1", "stop-postgres", ok=False)], 6, "not ended", id="so if it failed"),
        pytest.param([ordered("db1", "stop-postgres", ok=True)], 6, "", id="done: Patroni hands over"),
        pytest.param(
            [ordered("db1", "stop-postgres", ok=True)], 12, "Patroni keeps", id="but not for ever"
        ),
        pytest.param([led_by("db2")], 12, "", id="somebody else leads: it is over"),
    ],
)  # fmt: skip
def test_a_primary_that_cannot_be_stopped_is_a_suspect(
    keys: list[KeysChange], seconds: int, suspect: str
) -> None:
    _, memory = ticks(MISSED, [], after_keys(), range(3))
    assert memory.stopped is not None
    _, memory = ticks(MISSED, [], after_keys(*keys), range(3, 3 + seconds), memory)
    assert bool(memory.suspects) is bool(suspect)
    assert suspect in memory.suspects.get("db1", "")


def test_a_new_primary_does_not_pay_for_the_outage_before_it() -> None:
    """Twenty misses, and it has led and held the address for two looks only."""
    plans, memory = ticks(dataclasses.replace(MISSED, misses=20), [], after_keys(), range(2))
    assert acts(plans) == []
    plans, _ = ticks(dataclasses.replace(MISSED, misses=22), [], after_keys(), range(2, 3), memory)
    assert acts(plans) == [STOP]


def test_a_disk_that_is_seen_to_stall_as_well_does_not_begin_the_count_anew() -> None:
    """The canary has to wait for three seconds; by then commits have been missed for two."""
    plans, memory = ticks(MISSED, [], after_keys(), range(2))
    assert acts(plans) == []
    plans, _ = ticks(MISSED, [], after_keys(STALLED), range(2, 5), memory)
    assert acts(plans[:1]) == [STOP]
    assert acts(plans) == [STOP]


def test_commits_that_come_back_end_the_suspicion() -> None:
    _, memory = ticks(MISSED, [], after_keys(), range(10))
    assert memory.suspects
    _, memory = ticks(BEATS, [], after_keys(), range(10, 11), memory)
    assert not memory.suspects


def test_a_full_primary_that_cannot_hand_over_is_said_to_be_so() -> None:
    plans, _ = ticks(BEATS, [], after_keys(disk_of("db1", 1), disk_of("db2", 1)), range(3))
    assert [a for a in plans[-1].alarms if a.startswith("DISK_NEARLY_FULL db1: ")]
    assert [v.code for v in plans[-1].vetoes] == ["STANDBY_FULL"]


def test_what_is_not_done_is_said() -> None:
    plans, _ = ticks(MISSED, [], after_keys(sync()), range(3))
    assert [a for a in plans[-1].alarms if a.startswith("HEARTBEAT_FAILING db1: ")]
    assert [v.code for v in plans[-1].vetoes] == ["NO_SYNC_STANDBY"]
