"""The agent's loop in a world from memory: etcd, packet filter, address, clocks."""

from __future__ import annotations

import json
import threading

import pytest

from hactl.agent.lease import APPLY_WITHIN, Primary
from hactl.agent.loop import GIVE_UP, LEAVING_FOR, PlainLoop
from hactl.agent.renewal import FULL_FOR, Me
from hactl.errors import StepFailed
from tests.support.agent_world import KEYS, L, World


@pytest.fixture
def world() -> World:
    return World()


@pytest.fixture
def holder(world: World) -> World:
    return world.serve()


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


def test_a_switchover_away_from_here_is_noted_for_as_long_as_it_stands(holder: World) -> None:
    holder.etcd.put(KEYS.switchover, json.dumps({"leader": "db1", "member": "db2"}))
    holder.round()
    assert holder.notes.left == pytest.approx(holder.clocks.now + LEAVING_FOR, abs=0.1)
    seen = holder.notes.left
    holder.etcd.put(KEYS.switchover, json.dumps({"leader": "db2"}))
    holder.round()
    assert holder.notes.left == seen, "what is over is not said again"


def test_a_switchover_that_cannot_be_noted_is_only_slower(holder: World) -> None:
    holder.etcd.put(KEYS.switchover, json.dumps({"leader": "db1", "member": "db2"}))
    holder.notes.broken = True
    holder.round()
    assert holder.lease.passes()


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


def test_an_etcd_that_is_full_does_not_end_the_service(holder: World) -> None:
    alive = holder.etcd.value(KEYS.alive("db1"))
    holder.etcd.full = True
    for _ in range(20):
        holder.round()
        assert holder.lease.passes()
        assert holder.notes.may
    assert holder.etcd.value(KEYS.alive("db1")) == alive, "nobody sees such a renewal,"
    assert holder.etcd.value(KEYS.mode("db1")) is None, "so nobody may take its end for a proof"
    assert len(holder.heard.named("etcd is full: the lease is renewed without a trace")) == 1


def test_when_etcd_has_space_again_all_can_see_the_lease(holder: World) -> None:
    holder.etcd.full = True
    holder.round()
    alive = holder.etcd.value(KEYS.alive("db1"))
    holder.etcd.full = False
    for _ in range(int(FULL_FOR / 0.5) + 2):
        holder.round()
    assert holder.etcd.value(KEYS.mode("db1")) == "leased"
    assert holder.etcd.value(KEYS.alive("db1")) != alive
    assert holder.heard.named("etcd takes writes again")


def test_an_intent_or_another_leader_ends_a_lease_that_is_renewed_without_a_trace(holder: World) -> None:
    holder.etcd.full = True
    holder.round()
    holder.fence()  # put by somebody whom a member with space left has heard
    holder.round()
    assert not holder.lease.passes()
    assert not holder.notes.may
    holder.etcd.delete(KEYS.fence("db1"))
    holder.round()
    assert holder.lease.passes()
    holder.lead("db2")
    holder.round()
    assert not holder.lease.passes()


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
