"""The agent's loop in a world from memory: etcd, packet filter, address, clocks."""

from __future__ import annotations

import json
import threading
import time
from dataclasses import dataclass, field, replace
from types import SimpleNamespace
from typing import cast

import pytest
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule

from hactl.agent.hands import Body, Hands
from hactl.agent.holder import Holder
from hactl.agent.lease import APPLY_WITHIN, Primary
from hactl.agent.loop import GIVE_UP, LeaseLoop, Machine, Me, PlainLoop
from hactl.agent.obey import Act, Fence, Intent, Refusal, Refuse, RunAct, Unfence
from hactl.agent.ports import RootActs
from hactl.agent.primary import PrimaryLook
from hactl.errors import StepFailed
from hactl.ports import PortClosed, Reply
from hactl.view.keys import Keys
from tests.fakes.agent import Clocks, FakeActs, FakeLease, FakeNotes, FakeVip, Heard
from tests.fakes.etcd import FakeEtcd

KEYS = Keys("demo")
L = 3.0


@dataclass
class World:
    clocks: Clocks = field(default_factory=Clocks)
    patroni: int = 200

    def __post_init__(self) -> None:
        self.etcd = FakeEtcd(self.clocks)
        self.lease, self.vip, self.notes = FakeLease(self.clocks), FakeVip(), FakeNotes()
        self.acts, self.heard = FakeActs(), Heard()
        self.postgres: str | None = "stopped"
        self.start()

    def start(self) -> None:
        """A new process: it knows only what files and kernel say."""
        self.holder = Holder(self.lease, self.vip, self.notes, self.clocks)
        self.primary = PrimaryLook(self.ask, "https://127.0.0.1:8008/primary", self.clocks, lambda: None)
        machine = Machine(self.lease, self.holder, self.primary, self.notes, self.clocks, self.heard)
        me = Me("db1", "boot", KEYS, L)
        body = Body(self.acts, self.lease, self.holder, self.notes, lambda: self.postgres)
        self.hands = Hands("db1", "boot", KEYS, self.etcd.client(), body, self.heard.event)
        self.loop = LeaseLoop(me, self.etcd.client(), machine, self.hands, self.heard.event)
        self.loop.go_leased()

    def ask(self, _method: str, _url: str, *, within: float) -> Reply:
        assert within
        if self.patroni == 0:
            raise PortClosed("refused")
        return Reply(self.patroni, b"")

    def round(self, pause: float = 0.5) -> None:
        self.clocks.now += pause
        self.primary.once()
        self.loop.round()

    def lead(self, node: str = "db1") -> None:
        self.etcd.put(KEYS.leader, node)

    def fence(self, epoch: int = 7) -> None:
        self.etcd.put(KEYS.fence("db1"), json.dumps({"epoch": epoch}))

    def lose_etcd(self) -> None:
        for name in self.etcd.names:
            self.etcd.kill(name)


@pytest.fixture
def world() -> World:
    return World()


@pytest.fixture
def holder(world: World) -> World:
    world.lead()
    world.round()
    world.vip.present = True
    world.round()
    assert world.lease.passes()
    assert world.notes.may
    return world


def test_who_leads_serves_and_says_so(holder: World) -> None:
    assert holder.etcd.value(KEYS.mode("db1")) == "leased"
    assert json.loads(holder.etcd.value(KEYS.alive("db1")) or "")["boot"] == "boot"
    assert holder.vip.lives[-1] == 3
    assert holder.notes.until == pytest.approx(holder.lease.ends, abs=0.05)


def test_who_does_not_lead_is_shut_and_its_check_is_ready_for_the_day_it_leads(world: World) -> None:
    world.lead("db2")
    world.round()
    assert not world.lease.passes()
    assert not world.notes.may
    assert world.notes.until == pytest.approx(world.clocks.now + L, abs=0.1)


def test_the_packet_filter_shuts_before_keepalived_is_told(holder: World) -> None:
    holder.lead("db2")
    holder.lease.log.clear()
    holder.notes.log.clear()
    holder.lease.broken = True
    holder.round()
    assert holder.lease.log == ["flush"]
    assert holder.notes.log == ["-254"], "also when the packet filter refuses"
    assert not holder.holder.shut.is_set()
    holder.lease.broken = False
    holder.round()
    assert holder.holder.shut.is_set(), "it is tried again"


def test_a_late_renewal_is_taken_back_and_done_once_more(holder: World) -> None:
    holder.lease.log.clear()
    holder.lease.slow = [APPLY_WITHIN + 0.1, 0.01]
    holder.round()
    assert holder.lease.log == ["renew", "flush", "renew"]
    assert holder.lease.passes()
    assert holder.notes.may


def test_one_that_stays_late_serves_nothing(holder: World) -> None:
    holder.lease.slow = [0.5, 0.5, 0.5]
    holder.round()
    assert not holder.lease.passes()
    assert not holder.notes.may
    holder.round()
    assert holder.lease.passes()


def test_a_leader_serves_though_no_file_can_be_written_and_then_asks_for_a_new_start(holder: World) -> None:
    holder.notes.broken = True
    for _ in range(GIVE_UP):
        assert holder.holder.unwritten < GIVE_UP
        holder.round()
        assert holder.lease.passes()
    with pytest.raises(StepFailed, match="no space"):
        holder.loop.run(threading.Event())


def test_a_file_that_cannot_be_written_keeps_nothing_else_from_going_down(holder: World) -> None:
    holder.lead("db2")
    holder.notes.broken = True
    for _ in range(3):
        holder.round()
    assert not holder.lease.passes()
    assert not holder.vip.present
    holder.notes.broken = False
    holder.round()
    assert not holder.notes.may
    assert holder.holder.unwritten == 0
    assert holder.notes.until > holder.clocks.now


def test_an_address_that_keepalived_leaves_is_taken_away(holder: World) -> None:
    holder.lead("db2")
    holder.round()
    assert holder.vip.present, "keepalived has half a second"
    holder.round()
    holder.round()
    assert not holder.vip.present


def test_after_a_sleep_it_shuts_before_it_asks(holder: World) -> None:
    holder.lead("db2")
    holder.lose_etcd()
    holder.lease.log.clear()
    holder.clocks.asleep += 60
    holder.lease.ends = holder.clocks.boottime() + 2  # as if the kernel's timers had slept too
    holder.round()
    assert holder.lease.log[0] == "flush"
    assert not holder.lease.passes()
    assert not holder.notes.may
    assert holder.loop.told().thawed == 1


def test_a_frozen_process_comes_back_shut_and_then_serves_again(holder: World) -> None:
    holder.lease.log.clear()
    holder.round(pause=10)
    assert holder.lease.log == ["flush", "renew"]
    assert holder.notes.may


def test_a_fence_is_obeyed_and_reported_only_when_shut_and_stopped(holder: World) -> None:
    holder.fence()
    holder.round()
    assert not holder.lease.passes()
    holder.hands.do(Fence(Intent(7, json.dumps({"epoch": 7}))))
    assert holder.acts.done == ["fence"]
    assert json.loads(holder.etcd.value(KEYS.fenced("db1")) or "") == {
        "boot": "boot", "epoch": 7, "postgres": "stopped",
    }  # fmt: skip
    assert holder.notes.fence_noted
    holder.etcd.delete(KEYS.fence("db1"))
    holder.hands.do(Unfence())
    assert holder.acts.done == ["fence", "unfence"]
    assert not holder.notes.fence_noted


def test_a_process_that_a_busy_machine_kept_waiting_goes_on_while_its_lease_runs(holder: World) -> None:
    holder.lease.log.clear()
    holder.notes.log.clear()
    holder.round(pause=2.2)
    assert holder.lease.log == ["renew"]
    assert holder.notes.log == []
    assert holder.loop.told().thawed == 0


def test_who_stays_shut_makes_sure_of_it_now_and_then(holder: World) -> None:
    holder.lead("db2")
    holder.round()
    holder.lease.ends = holder.clocks.now + 60  # somebody emptied the whole rule set: everything passes
    for _ in range(12):
        holder.round()
    assert not holder.lease.passes()
    assert holder.lease.log.count("flush") == 2


def test_a_table_that_somebody_removed_makes_no_lease_longer(holder: World) -> None:
    ends = holder.notes.until
    holder.clocks.now += 2
    holder.lease.open_for_ever = True
    holder.lose_etcd()
    holder.start()
    assert holder.lease.ends is not None
    assert holder.lease.ends <= ends
    holder.clocks.now = ends
    holder.round()
    assert not holder.notes.may


def test_who_is_gone_for_a_moment_is_not_fenced_yet(holder: World, monkeypatch: pytest.MonkeyPatch) -> None:
    """systemd did not take the order to stop Patroni, and will start it again."""
    monkeypatch.setattr(holder.hands._stop, "wait", lambda _: False)
    holder.fence()
    holder.round()
    holder.acts.fails = 1
    reported: list[object] = []
    holder.acts.then = lambda _: reported.append(holder.etcd.value(KEYS.fenced("db1")))
    holder.hands.do(Fence(Intent(7, json.dumps({"epoch": 7}))))
    assert holder.acts.done == ["fence", "fence"]
    assert reported == [None]
    assert holder.etcd.value(KEYS.fenced("db1")) is not None


def test_a_disk_that_takes_no_file_does_not_keep_a_node_from_being_fenced(
    holder: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refused(*, fenced: bool) -> None:
        raise StepFailed(f"no space left for {fenced}")

    monkeypatch.setattr(holder.notes, "note_fenced", refused)
    holder.fence()
    holder.round()
    holder.hands.do(Fence(Intent(7, json.dumps({"epoch": 7}))))
    assert holder.acts.done == ["fence"]
    assert holder.etcd.value(KEYS.fenced("db1")) is not None


def test_an_order_that_waited_does_not_start_what_a_fence_has_stopped(holder: World) -> None:
    holder.fence()
    holder.hands.do(RunAct(Act("x", "restart", "patroni.service")))
    assert holder.acts.done == []
    assert json.loads(holder.etcd.value(KEYS.done("db1")) or "")["ok"] is False


def test_an_intent_that_is_withdrawn_meanwhile_stops_nothing(holder: World) -> None:
    holder.hands.do(Fence(Intent(7, json.dumps({"epoch": 7}))))
    assert holder.acts.done == []
    assert holder.etcd.value(KEYS.fenced("db1")) is None


def test_unfencing_is_tried_until_it_is_done(holder: World, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("hactl.agent.hands.UNFENCE_PAUSES", (0.001,))
    holder.notes.fence_noted = True
    holder.acts.fails = 12
    holder.hands.do(Unfence())
    assert holder.acts.done == ["unfence"] * 13
    assert not holder.notes.fence_noted


def test_a_new_fence_does_not_wait_behind_an_unfencing_that_fails(holder: World) -> None:
    holder.acts.fails = 1
    refused = holder.acts.act

    def act(verb: str, unit: str = "", *, within: float) -> str:
        if verb == "unfence":
            holder.fence()
            holder.round()
        return refused(verb, unit, within=within)

    holder.hands._body = replace(holder.hands._body, acts=cast("RootActs", SimpleNamespace(act=act)))
    start = time.monotonic()
    holder.hands.do(Unfence())
    assert holder.acts.done == ["unfence", "fence"]
    assert time.monotonic() - start < 0.9


def test_unfencing_ends_when_a_new_intent_stands(holder: World) -> None:
    holder.fence()
    holder.notes.fence_noted = True
    holder.hands.do(Unfence())
    assert holder.acts.done == []
    assert holder.notes.fence_noted


def test_priming_refuses_ends_connections_and_answers(world: World) -> None:
    world.hands.do(Refuse(Refusal(7, "192.0.2.12"), anew=True))
    assert world.lease.refused == {"192.0.2.12": world.clocks.now + 60}
    assert world.lease.killed == ["192.0.2.12"]
    assert json.loads(world.etcd.value(KEYS.primed("db1")) or "") == {"epoch": 7, "killed": 3}
    world.hands.do(Refuse(Refusal(7, "192.0.2.12"), anew=False))
    assert world.lease.killed == ["192.0.2.12"]


def test_a_failing_order_is_answered_too(world: World) -> None:
    world.acts.fails = 1
    world.etcd.put(KEYS.order("db1"), json.dumps({"id": "x", "verb": "restart", "unit": "etcd.service"}))
    world.hands.do(RunAct(Act("x", "restart", "etcd.service")))
    assert json.loads(world.etcd.value(KEYS.done("db1")) or "") == {
        "id": "x",
        "ok": False,
        "said": "not done",
    }


def test_going_leased_shuts_in_the_kernel_before_etcd_hears_of_it() -> None:
    world = World()
    world.notes.open = world.lease.open_for_ever = world.notes.may = True
    world.vip.present = True
    world.etcd.put(KEYS.mode("db1"), "open")
    world.etcd.put(KEYS.leader, "db1")
    world.start()
    assert not world.lease.open_for_ever
    assert world.lease.passes(), "for one lease"
    assert not world.notes.open
    assert world.etcd.value(KEYS.mode("db1")) == "open"
    world.round()
    assert world.etcd.value(KEYS.mode("db1")) == "leased"
    assert world.notes.may


def test_an_open_standby_that_goes_leased_is_shut_at_once() -> None:
    world = World()
    world.notes.open = world.lease.open_for_ever = world.notes.may = True
    world.start()
    assert not world.lease.passes()
    world.lose_etcd()
    world.round()
    assert not world.notes.may


def test_it_cannot_go_leased_while_the_packet_filter_refuses() -> None:
    world = World()
    world.lease.open_for_ever, world.lease.broken = True, True
    world.notes.open = True
    world.start()
    assert world.loop.told().mode is None
    assert world.notes.open
    assert world.heard.named("cannot go leased")


def test_a_node_without_a_database_hears_orders() -> None:
    world = World()
    plain = PlainLoop(Me("db1", "b", KEYS, L), world.etcd.client(), world.hands, world.clocks, world.heard)
    world.etcd.put(KEYS.order("db1"), json.dumps({"id": "x", "verb": "restart", "unit": "nginx.service"}))
    plain.round()
    world.lose_etcd()
    plain.round()
    assert world.hands._queues["order"].qsize() == 1


class AnyOrder(RuleBasedStateMachine):
    """Whatever happens in whatever order: nothing passes later than a lease after etcd last allowed it."""

    def __init__(self) -> None:
        super().__init__()
        self.world = World()
        self.allowed = -1e9
        self.frozen = False

    def may(self) -> bool:
        return (
            self.world.etcd.quorum()
            and self.world.etcd.value(KEYS.leader) == "db1"
            and self.world.etcd.value(KEYS.fence("db1")) is None
        )

    @rule(pause=st.sampled_from([0.02, 0.5, 0.9, 1.4]))
    def a_round(self, pause: float) -> None:
        may, at = self.may(), self.world.clocks.boottime() + pause
        self.world.round(pause)
        if may:
            self.allowed = at
        elif self.world.etcd.quorum():
            assert not self.world.lease.passes()
            assert not self.world.notes.may
        if self.world.notes.may:
            assert self.world.lease.passes()

    @rule(node=st.sampled_from(["db1", "db2"]))
    def a_leader(self, node: str) -> None:
        self.world.lead(node)

    @rule()
    def an_intent(self) -> None:
        self.world.fence()

    @rule()
    def an_intent_goes(self) -> None:
        self.world.etcd.delete(KEYS.fence("db1"))

    @rule(answer=st.sampled_from([200, 503, 0]))
    def patroni(self, answer: int) -> None:
        self.world.patroni = answer

    @rule()
    def etcd_goes(self) -> None:
        self.world.lose_etcd()

    @rule()
    def etcd_comes(self) -> None:
        self.world.etcd.heal()

    @rule(slow=st.lists(st.sampled_from([0.01, 0.15, 0.4, 2.0]), max_size=3))
    def a_busy_kernel(self, slow: list[float]) -> None:
        self.world.lease.slow = slow

    @rule(seconds=st.sampled_from([0.3, 2.0, 30.0]))
    def nobody_runs(self, seconds: float) -> None:
        self.world.clocks.now += seconds

    @rule()
    def a_new_process(self) -> None:
        self.world.start()

    @precondition(lambda self: self.world.notes.may)
    @rule()
    def keepalived_takes_the_address(self) -> None:
        self.world.vip.present = True

    @invariant()
    def nothing_outlives_what_allowed_it(self) -> None:
        if self.world.lease.passes():
            assert self.world.clocks.boottime() <= self.allowed + L + APPLY_WITHIN + 0.001


TestAnyOrder = AnyOrder.TestCase


def test_primary_answers() -> None:
    world = World()
    for status, said in ((200, Primary.YES), (503, Primary.NO), (500, Primary.SILENT), (0, Primary.SILENT)):
        world.patroni = status
        world.primary.once()
        assert world.primary.primary() is said
    world.patroni = 200
    world.primary.once()
    world.clocks.now += 5
    assert world.primary.primary() is Primary.SILENT, "an old answer is none"


def test_a_promotion_is_awaited_closely_but_not_for_ever() -> None:
    world = World()
    assert world.primary._pause() == 0.5
    world.primary.awaited(wanted=True)
    assert world.primary._pause() == 0.05
    world.clocks.now += 20
    assert world.primary._pause() == 0.5
    world.primary.awaited(wanted=False)
    world.primary.awaited(wanted=True)
    assert world.primary._pause() == 0.05
