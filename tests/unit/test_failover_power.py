"""What hactl switched off it switches on again, after the first commit, and never against an `off`."""

from __future__ import annotations

import pytest

from hactl.decide import limits
from hactl.decide.memory import Course, FailoverMemory, Opening
from hactl.decide.plan import Mark, PowerOn
from hactl.view.control import DcsMember
from hactl.view.incident import Phase
from hactl.view.model import DbRole, Unknown
from tests.support import failover as f
from tests.support.sim_faults import LOSSES
from tests.support.sim_world import World

BACK = (Phase.INTENT, Phase.PROOF, Phase.RELEASED, Phase.PROMOTED, Phase.VIP_UP, Phase.FIRST_COMMIT)
SERVES = f.opened(phases=BACK)  # the fence stands
BEFORE = f.opened(phases=BACK[:-1])
STREAMS = f.patroni(members={"db1": DcsMember("db1", DbRole.STANDBY, "running", "streaming")})
SWITCHED = f.detailed(switched_off=True)
NOW = 5.0
ON = PowerOn("db1", 5)


def ours(gone: float = 2.0) -> f.Story:
    """The controller that opened the incident at 1.05, and has been active all along."""
    opening = Opening(5, 1.05, f.ALIVE, frozenset())
    course = Course(5, 1.3, gone=gone)
    return f.Story(f.armed(), FailoverMemory(opening=opening, course=course, held_since=-50.0))


def other(gone: float = 2.0) -> f.Story:
    """One that took over after the release."""
    return f.Story(f.armed(), FailoverMemory(course=Course(5, gone, gone=gone), held_since=gone))


def does(story: f.Story, *changes: f.Change, now: float = NOW) -> list[str]:
    return f.names(story.decide(f.changed(f.healthy(), f.lost, f.promoted, *changes), now))


@pytest.mark.parametrize(
    ("changes", "expected"),
    [
        pytest.param((SERVES, f.cut()), ["PowerOn"], id="it was on, and was cut: switched on"),
        pytest.param((SERVES, f.cut("on")), ["PowerOn"], id="it was on, and was told off: looked at again"),
        pytest.param((SERVES, f.cut(was_on=False)), [], id="it was found off: left as it was found"),
        pytest.param((SERVES, f.cut(was_on=Unknown("x"))), [], id="nobody knows whether it was on: left"),
        pytest.param((SERVES, f.cut(epoch=4)), [], id="it was cut in another incident"),
        pytest.param((SERVES, f.cut(ended=False)), [], id="what switches it off still runs: waited for"),
        pytest.param((BEFORE, f.cut()), [], id="nobody could commit yet"),
        pytest.param((SERVES, f.cut(), f.keys(paused=True)), [], id="paused"),
        pytest.param((SERVES, f.cut(), f.patroni(paused=True)), [], id="Patroni is paused"),
        pytest.param((SERVES, f.cut(), STREAMS), ["Readmit"], id="it streams: it is on"),
        pytest.param((SERVES, f.cut(), f.keys(fences={})), [], id="its fence is gone"),
        pytest.param((SERVES, f.cut(), f.power_on("off", at=4.9, ended=False)), [], id="at work"),
        pytest.param((SERVES, f.cut(), f.power_on("on", at=4.0)), ["Mark"], id="it is on: marked"),
        pytest.param(
            (SERVES, f.cut(), f.self_fenced()), ["PowerOn"], id="its word may be older than the cut: held"
        ),
        pytest.param((BEFORE, f.cut(), f.self_fenced()), [], id="the same before the first commit"),
        pytest.param(
            (SERVES, f.cut(was_on=False), f.self_fenced()), ["Readmit"], id="not ours, and fenced: readmitted"
        ),
        pytest.param(
            (f.opened(phases=(*BACK, Phase.POWERED_ON)), f.cut(), f.self_fenced()), ["Readmit"],
            id="it was switched on: readmitted",
        ),
        pytest.param(
            (f.opened(phases=(*BACK, Phase.POWERED_ON)), f.cut()), [], id="once an incident, not again"
        ),
    ],
)  # fmt: skip
def test_the_controller_that_opened_it(changes: tuple[f.Change, ...], expected: list[str]) -> None:
    assert does(ours(), *changes) == expected


def test_the_reason_is_said() -> None:
    view = f.changed(f.healthy(), f.lost, f.promoted, SERVES, f.cut())
    (step,) = ours().decide(view, NOW).steps
    assert step.action == ON
    assert step.reason == "hactl switched db1 off, and the service is back"


def test_a_run_that_switched_it_off_is_told_with_the_next_mark() -> None:
    for change, told in ((f.cut(), True), (f.cut("on"), False), (f.cut(was_on=False), False)):
        view = f.changed(f.healthy(), f.lost, f.promoted, f.opened(phases=BACK[:3]), change)
        marks = f.actions(ours().decide(view, NOW), Mark)
        assert marks
        assert all(isinstance(m, Mark) and m.switched_off is told for m in marks)


def test_whoever_takes_over_waits_until_no_off_can_run_any_more() -> None:
    story = other(gone=2.0)
    assert does(story, SERVES, SWITCHED, now=2.0 + limits.FENCE_ENDS - 0.1) == []
    assert does(story, SERVES, SWITCHED, now=2.0 + limits.FENCE_ENDS) == ["PowerOn"]


def test_a_break_in_being_active_is_a_take_over() -> None:
    story = ours()
    assert does(story, SERVES, SWITCHED, f.seen(holding=False), now=3.0) == []
    assert story.memory.held_since is None
    assert does(story, SERVES, SWITCHED, now=4.0) == []
    assert does(story, SERVES, SWITCHED, now=2.0 + limits.FENCE_ENDS) == ["PowerOn"]


def test_whoever_takes_over_without_that_word_leaves_it_off() -> None:
    assert does(other(), SERVES, now=60.0) == []


def test_a_failed_try_is_followed_by_one_more_after_thirty_seconds_and_then_shouted_about() -> None:
    story, failed = ours(), (f.cut(), f.detailed(switched_off=True, power_tries=1), f.power_on("off", at=5.1))
    assert does(story, SERVES, *failed, now=5.1 + limits.POWER_RETRY - 0.1) == []
    assert does(story, SERVES, *failed, now=5.1 + limits.POWER_RETRY) == ["PowerOn"]
    twice = (f.detailed(switched_off=True, power_tries=2), f.power_on("off", at=36.0, said="no such chassis"))
    view = f.changed(f.healthy(), f.lost, f.promoted, SERVES, f.cut(), *twice)
    plan = story.decide(view, 100.0)
    assert plan.steps == ()
    said = "FENCED db1: hactl switched it off, and it is not on again (no such chassis)"
    assert plan.alarms == (said,)
    assert f.names(story.decide(f.self_fenced()(view), 100.1)) == ["Readmit"], "it is not held any longer"


def test_after_a_try_of_another_controller_the_pause_is_kept_too() -> None:
    story, tried = other(gone=2.0), f.detailed(power_tries=1)
    assert does(story, SERVES, tried, now=2.0 + limits.POWER_RETRY - 0.1) == []
    assert does(story, SERVES, tried, now=2.0 + limits.POWER_RETRY) == ["PowerOn"]


def test_a_node_without_a_fence_agent_is_not_waited_for() -> None:
    story = f.Story(f.bare(), ours().memory)
    assert does(story, SERVES, SWITCHED, f.self_fenced()) == ["Readmit"]


def test_without_any_commit_the_fence_is_held_for_a_minute_only() -> None:
    story = ours(gone=2.0)
    assert does(story, BEFORE, f.cut(), f.self_fenced(), now=2.0 + limits.CLOSE - 0.1) == []
    assert does(story, BEFORE, f.cut(), f.self_fenced(), now=2.0 + limits.CLOSE) == ["Readmit"]


# -- in the simulated world: nobody but hactl switches anything on


@pytest.mark.parametrize("bmc", [True, False])
def test_a_frozen_primary_that_was_cut_rejoins_by_itself(*, bmc: bool) -> None:
    world = World(f.armed())
    world.nodes["db1"].frozen = True
    world.advance(2.5)
    assert not world.nodes["db1"].on
    world.bmc_works = bmc
    world.advance(15)
    assert world.nodes["db1"].on is bmc
    world.bmc_works = True
    world.advance(40)
    world.check_converged()
    tries = [a for a in world.acts if a[2] == "PowerOn"]
    assert len(tries) == (1 if bmc else 2)


def test_a_host_that_lost_its_power_stays_off() -> None:
    world = World(f.armed())
    LOSSES["its power fails"](world)
    world.advance(60)
    assert world.nodes["db2"].serves
    assert not world.nodes["db1"].on
    assert not [a for a in world.acts if a[2] == "PowerOn"]


@pytest.mark.parametrize("after", [0.5, 1.5, 4.0])
def test_another_controller_switches_on_what_a_dead_one_switched_off(after: float) -> None:
    world = World(f.armed())
    world.nodes["db1"].frozen = True
    while not world.releases:
        world.tick()
    world.advance(after)
    holder = next(c for c in world.controllers.values() if c.holding)
    holder.crash()
    world.advance(75)
    assert world.nodes["db1"].on, world.last()
    holder.start()
    world.advance(5)
    world.check_converged()
