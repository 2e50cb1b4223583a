"""An open incident, step by step: what each state in etcd asks for, with and without memory."""

from __future__ import annotations

from dataclasses import replace
from itertools import pairwise

import pytest

from hactl.decide import limits
from hactl.decide.failover import noted
from hactl.decide.memory import Course, FailoverMemory
from hactl.decide.plan import (
    CloseIncident,
    Mark,
    OpenIncident,
    Outcome,
    Readmit,
    ReleaseLeader,
    RunFenceAgent,
    Withdraw,
)
from hactl.spec.model import ClusterSpec
from hactl.view.control import (
    AgentFacts,
    DcsMember,
    FenceIntent,
    Heartbeat,
    Key,
    Leader,
    Mode,
    PathState,
    ProofKind,
)
from hactl.view.incident import Phase
from hactl.view.model import DbRole, Unknown
from tests.support import failover as f

BEGIN = f.changed(f.healthy(), f.lost, f.opened())
CUTTING = f.power("on", read=None, ended=False)


def under_way(spec: ClusterSpec, until: float = 1.05) -> f.Story:
    """This controller has asked for the intent at 1.05, and sees it stand from then on."""
    story = f.until_suspected(spec)
    story.decide(f.lost(f.healthy()), 1.05)
    story.memory = replace(story.memory, asked={})
    tick = 5
    while tick / 4 <= until:
        story.decide(f.primed(BEGIN), tick / 4)
        story.memory = replace(story.memory, asked={})
        tick += 1
    return story


def taken_over(*changes: f.Change, spec: ClusterSpec | None = None, now: float = 2.0) -> list[str]:
    """What a controller that knows nothing does at its first look at the incident."""
    story = f.Story(spec or f.bare())
    return f.names(story.decide(f.changed(BEGIN, *changes), now))


def test_the_intent_stands_the_agent_runs_and_the_standby_is_primed_while_the_proof_is_awaited() -> None:
    plan = under_way(f.armed()).decide(BEGIN, 1.3)
    assert f.names(plan) == ["RunFenceAgent", "PrimeStandby", "Mark"]
    assert "its fence agent has not been run" in plan.reasons[0]
    running = under_way(f.armed()).decide(f.changed(BEGIN, CUTTING, f.primed), 1.3)
    assert f.names(running) == ["Mark"]


def test_a_proof_and_a_primed_standby_release_at_once() -> None:
    plan = under_way(f.armed()).decide(f.changed(BEGIN, f.primed, f.power("off")), 1.6)
    release = f.actions(plan, ReleaseLeader)[0]
    assert isinstance(release, ReleaseLeader)
    assert release.proof.kind is ProofKind.POWER_OFF
    assert release.intent.leader == f.LED
    assert f.names(plan)[0] == "ReleaseLeader", "nothing comes before what clients wait for"
    assert release.primed
    marks = [a.phase for a in f.actions(plan, Mark) if isinstance(a, Mark)]
    assert marks == [Phase.INTENT], "the release stamps proof and priming itself"


def test_a_standby_that_is_not_primed_is_waited_for_a_moment_only() -> None:
    story, proved = under_way(f.armed()), f.changed(BEGIN, f.power("off"))
    assert "ReleaseLeader" not in f.names(story.decide(proved, 1.6))
    assert "ReleaseLeader" not in f.names(story.decide(proved, 1.6 + limits.PRIME - 0.01))
    assert "ReleaseLeader" in f.names(story.decide(proved, 1.6 + limits.PRIME + 0.01))


def test_a_release_that_did_not_go_through_is_tried_again_after_a_while() -> None:
    story, proved = under_way(f.armed()), f.changed(BEGIN, f.primed, f.power("off"))
    asked = [t / 10 for t in range(16, 32) if "ReleaseLeader" in f.names(story.decide(proved, t / 10))]
    assert asked[0] == 1.6
    assert all(limits.RETRY <= b - a < limits.RETRY + 0.2 for a, b in pairwise(asked))


def test_a_fence_agent_that_ended_without_off_is_run_again_after_a_pause() -> None:
    story, failed = under_way(f.armed()), f.changed(BEGIN, f.primed, f.power("on"))
    view = f.paths("db1", patroni=PathState(9, None))(failed)
    asked = [t / 4 for t in range(6, 60) if "RunFenceAgent" in f.names(story.decide(view, t / 4)) and t < 13]
    assert asked == [1.5]


def test_without_a_fence_agent_the_lease_runs_out() -> None:
    story = under_way(f.bare(), until=3.0)
    assert "ReleaseLeader" not in f.names(story.decide(f.primed(BEGIN), 3.29))
    plan = story.decide(f.primed(BEGIN), 3.31)
    release = f.actions(plan, ReleaseLeader)[0]
    assert isinstance(release, ReleaseLeader)
    assert release.proof.kind is ProofKind.LEASE_EXPIRED


def test_the_intents_own_transaction_counts_as_a_sight_of_the_last_renewal() -> None:
    story = f.until_suspected(f.bare())
    opened = f.actions(story.decide(f.lost(f.healthy()), 1.05))[0]
    assert isinstance(opened, OpenIncident)
    late = Outcome(
        opened, done=True, said="", asked=1.05, at=1.06, alive=Key("{}", f.ALIVE + 1), mode=Mode.LEASED
    )
    memory = noted(story.memory, (late,))
    assert (memory.renewals["db1"].revision, memory.renewals["db1"].at) == (f.ALIVE + 1, 1.06)
    same = Outcome(
        opened, done=True, said="", asked=1.05, at=1.06, alive=Key("{}", f.ALIVE), mode=Mode.LEASED
    )
    assert noted(story.memory, (same,)).renewals == story.memory.renewals


ANSWERS = PathState(0, 1.9)


@pytest.mark.parametrize(
    ("change", "why"),
    [
        pytest.param(f.paths("db1", patroni=ANSWERS), "patroni-rest answered", id="its Patroni answers"),
        pytest.param(f.paths("db1", postgres=ANSWERS), "postgres-from-standby", id="its PostgreSQL answers"),
        pytest.param(
            f.seen(heartbeat=Heartbeat(0, 1.9, "db1")), "a commit through the VIP", id="it takes a commit"
        ),
        pytest.param(
            f.keys(alive={"db1": Key("{}", 599)}), "just before the intent", id="it renewed its lease"
        ),
        pytest.param(
            f.patroni(leader=Leader("db1", 7009, 610)), "leads anew", id="it wrote the leader key anew"
        ),
        pytest.param(f.keys(paused=True), "paused", id="somebody paused hactl"),
        pytest.param(f.patroni(paused=True), "paused", id="somebody paused Patroni"),
        pytest.param(f.patroni(sync_standbys=()), "/sync does not name db2", id="it dropped its standby"),
        pytest.param(
            f.keys(modes={"db1": Mode.OPEN}), "nothing can prove", id="it went into mode open before"
        ),
        pytest.param(f.keys(fences={}), "is not fenced", id="somebody removed its fence"),
    ],
)
def test_before_the_release_the_intent_is_taken_back_when(change: f.Change, why: str) -> None:
    plan = under_way(f.bare(), until=1.8).decide(f.changed(BEGIN, f.primed, change), 2.0)
    (back,) = f.actions(plan)
    assert isinstance(back, Withdraw)
    assert why in back.why
    assert (back.incident, back.node, back.epoch, back.standby) == ("failover-5", "db1", 5, "db2")


@pytest.mark.parametrize(
    "change",
    [
        pytest.param(f.paths("db1", etcd=ANSWERS), id="only its etcd answers again"),
        pytest.param(f.paths("db1", patroni=PathState(0, 1.0)), id="an answer from before the intent"),
        pytest.param(
            f.changed_by(f.paths("db1", patroni=ANSWERS), f.self_fenced()), id="it has fenced itself"
        ),
        pytest.param(
            f.changed_by(f.paths("db1", patroni=ANSWERS), f.seen(grey={"db1": "x"})), id="it is grey"
        ),
        pytest.param(f.changed_by(f.paths("db1", patroni=ANSWERS), CUTTING), id="its power is being cut"),
    ],
)
def test_the_intent_is_not_taken_back_because(change: f.Change) -> None:
    plan = under_way(f.bare(), until=1.8).decide(f.changed(BEGIN, f.primed, change), 2.0)
    assert not f.actions(plan, Withdraw)


def test_a_path_that_answered_all_along_is_no_sign_of_life() -> None:
    story, view = f.Story(f.bare()).warm().idle(), f.misses("alive", "patroni", "etcd")(f.healthy())
    assert f.names(story.decide(view, 1.05)) == ["OpenIncident", "PrimeStandby"]
    later = f.changed(view, f.opened(), f.paths("db1", postgres=PathState(0, 1.4)))
    assert not f.actions(story.decide(later, 1.5), Withdraw)


def test_a_power_that_reads_off_while_the_node_answers_is_no_proof() -> None:
    """The wrong machine was switched off."""
    view = f.changed(BEGIN, f.primed, f.power("off", read=1.5), f.paths("db1", patroni=PathState(0, 1.9)))
    assert f.names(under_way(f.armed(), until=1.4).decide(view, 2.0)) == ["Withdraw"]
    before = f.changed(BEGIN, f.primed, f.power("off", read=1.5), f.paths("db1", patroni=PathState(0, 1.45)))
    assert "ReleaseLeader" in f.names(under_way(f.armed(), until=1.4).decide(before, 1.6))


@pytest.mark.parametrize(
    ("change", "sign"),
    [
        pytest.param(f.seen(heartbeat=Heartbeat(0, 1.9, "db1")), "a commit", id="it takes a commit"),
        pytest.param(f.keys(alive={"db1": Key("{}", 650)}), "after the intent", id="it renews its lease"),
        pytest.param(f.seen(heartbeat=Heartbeat(0, 1.4, "db1")), "", id="a commit from before the reading"),
        pytest.param(f.paths("db1", patroni=ANSWERS), "", id="it answers, as it did all along"),
    ],
)
def test_a_grey_node_whose_power_reads_off_lives_if_it_serves(change: f.Change, sign: str) -> None:
    grey = f.changed(BEGIN, f.primed, f.seen(grey={"db1": "commits hang"}))
    story = under_way(f.armed(), until=1.4)
    plan = story.decide(f.changed(grey, f.power("off", read=1.5), change), 2.0)
    assert f.names(plan)[0] == ("Withdraw" if sign else "ReleaseLeader")
    assert not sign or sign in plan.steps[0].reason


def test_without_any_proof_the_intent_goes_after_thirty_seconds() -> None:
    story = f.Story(f.armed(), FailoverMemory(course=Course(5, 1.0)))
    view = f.changed(BEGIN, f.primed, f.keys(modes={"db1": Mode.OPEN}), f.power("on"))
    assert not f.actions(story.decide(view, 30.9), Withdraw)
    assert f.actions(story.decide(view, 31.1), Withdraw)


def test_an_unusable_look_changes_nothing() -> None:
    story = under_way(f.bare(), until=3.0)
    assert story.decide(f.seen(dcs=Unknown("no quorum"))(f.primed(BEGIN)), 9.0).steps == ()


def test_a_controller_that_lost_its_lease_goes_no_further() -> None:
    assert under_way(f.bare(), until=3.0).decide(f.seen(holding=False)(f.primed(BEGIN)), 9.0).steps == ()


# -- after the release: all of it from etcd's state alone

GONE = f.patroni(leader=None)
STAMPED = f.opened(phases=(Phase.INTENT, Phase.PROOF, Phase.PRIMED, Phase.RELEASED))
DONE = f.opened(
    phases=(Phase.INTENT, Phase.PROOF, Phase.RELEASED, Phase.PROMOTED, Phase.VIP_UP, Phase.FIRST_COMMIT),
    fences={},
)
STREAMS = f.patroni(members={"db1": DcsMember("db1", DbRole.STANDBY, "running", "streaming")})


@pytest.mark.parametrize(
    ("changes", "expected"),
    [
        pytest.param((), ["PrimeStandby", "Mark"], id="an intent: the standby is primed, the lease awaited"),
        pytest.param((f.primed,), ["Mark"], id="a primed standby: the lease is awaited"),
        pytest.param((f.primed, f.self_fenced()), ["ReleaseLeader", "Mark"], id="fenced: released"),
        pytest.param((GONE,), ["Mark"], id="the key is gone: that is marked"),
        pytest.param((GONE, STAMPED), [], id="the key is gone: Patroni's turn"),
        pytest.param((GONE, STAMPED, f.self_fenced()), [], id="the victim waits until there is a primary"),
        pytest.param((f.promoted, STAMPED), ["Mark"], id="db2 leads: promoted"),
        pytest.param((f.promoted,), ["Mark", "Mark"], id="db2 leads, nothing marked: Patroni was faster"),
        pytest.param(
            (f.promoted, STAMPED, f.self_fenced()), ["Mark", "Readmit"], id="the victim says stopped"
        ),
        pytest.param((f.promoted, STAMPED, f.self_fenced(4)), ["Mark"], id="it said so of an earlier intent"),
        pytest.param((f.promoted, STREAMS, STAMPED), ["Mark", "Readmit"], id="the victim streams from db2"),
        pytest.param((f.promoted, DONE), [], id="readmitted: redundancy is awaited"),
        pytest.param((f.promoted, STREAMS, DONE), ["Mark", "CloseIncident"], id="it streams: closed"),
        pytest.param(
            (f.promoted, f.patroni(sync_standbys=("db1",)), DONE),
            ["Mark", "CloseIncident"],
            id="in /sync: closed",
        ),
        pytest.param((f.promoted, STREAMS, DONE, f.keys(paused=True)), [], id="paused: nothing is closed"),
        pytest.param(
            (f.promoted, STAMPED, f.self_fenced(), f.keys(paused=True)), ["Mark"], id="paused: only marks"
        ),
    ],
)
def test_another_controller_goes_on_from(changes: tuple[f.Change, ...], expected: list[str]) -> None:
    assert taken_over(*changes) == expected


def test_a_victim_that_answers_a_new_controller_lives() -> None:
    assert taken_over(f.paths("db1", patroni=PathState(0, 2.1)), now=2.2) != []
    story = f.Story(f.bare())
    story.decide(BEGIN, 2.0)
    assert f.names(story.decide(f.paths("db1", patroni=PathState(0, 2.1))(BEGIN), 2.2)) == ["Withdraw"]


def test_a_new_controller_counts_the_lease_from_when_it_first_saw_it() -> None:
    story = f.Story(f.bare())
    view = f.changed(BEGIN, f.primed)
    times = [t / 10 for t in range(100, 140) if "ReleaseLeader" in f.names(story.decide(view, t / 10))]
    assert 13.3 <= times[0] <= 13.4


def test_a_new_controller_asks_the_victim_itself_before_it_trusts_the_lease() -> None:
    story = f.Story(f.bare())
    view = f.changed(BEGIN, f.primed, f.seen(paths={}))
    story.decide(view, 10.0)
    plan = story.decide(view, 14.0)
    assert (f.actions(plan, ReleaseLeader), f.codes(plan)) == ([], ["NOT_ASKED_YET"])


def test_the_first_commit_is_marked_when_it_came_after_the_victim_was_gone() -> None:
    story = f.Story(f.bare())
    view = f.changed(BEGIN, f.promoted, STAMPED)
    story.decide(view, 4.0)
    before = f.changed(view, f.seen(heartbeat=Heartbeat(0, 3.9, "db2")))
    assert f.names(story.decide(before, 4.1)) == []
    after = f.changed(view, f.seen(heartbeat=Heartbeat(0, 4.15, "db2")))
    marks = [a.phase for a in f.actions(story.decide(after, 4.2), Mark) if isinstance(a, Mark)]
    assert marks == [Phase.VIP_UP, Phase.FIRST_COMMIT]


def test_the_address_is_marked_when_the_new_primarys_agent_has_it() -> None:
    facts = {"db2": AgentFacts("db2", "b", 9, vips=("192.0.2.100",))}
    view = f.changed(BEGIN, f.promoted, f.opened(phases=(Phase.RELEASED, Phase.PROMOTED), facts=facts))
    marks = [a.phase for a in f.actions(f.Story(f.bare()).decide(view, 4.0), Mark) if isinstance(a, Mark)]
    assert marks == [Phase.VIP_UP]


def test_redundancy_without_a_commit_closes_after_a_minute() -> None:
    view = f.changed(BEGIN, f.promoted, STREAMS, f.opened(phases=(Phase.RELEASED, Phase.PROMOTED), fences={}))
    story = f.Story(f.bare())
    assert not f.actions(story.decide(view, 4.0), CloseIncident)
    assert f.actions(story.decide(view, 4.1 + limits.CLOSE), CloseIncident)


def test_a_standby_that_does_not_promote_is_shouted_about_and_nothing_is_forced() -> None:
    story, view = f.Story(f.bare()), f.changed(BEGIN, GONE, STAMPED)
    assert story.decide(view, 4.0).alarms == ()
    plan = story.decide(view, 4.1 + limits.PROMOTION)
    assert plan.steps == ()
    assert plan.alarms[0].startswith("NO_PRIMARY db2: ")
    back = story.decide(f.self_fenced()(view), 4.2 + limits.PROMOTION)
    assert [type(a) for a in f.actions(back)] == [Readmit], "the victim may be the only one left"


def test_a_victim_that_leads_again_because_nobody_promoted_ends_the_incident() -> None:
    again = f.patroni(leader=Leader("db1", 7009, 900))
    assert taken_over(again, STAMPED, f.keys(fences={})) == ["Withdraw"]
    assert taken_over(again, STAMPED) == ["Withdraw"]


def test_text_that_is_no_incident_is_shouted_about_and_not_touched() -> None:
    plan = f.Story(f.bare()).decide(f.keys(incident="{")(BEGIN), 2.0)
    assert plan.steps == ()
    assert plan.alarms[0].startswith("INCIDENT_OPEN incident: ")


def test_a_fence_whose_incident_is_gone_is_taken_back_one_set_by_hand_is_not() -> None:
    plan = f.Story(f.bare()).decide(f.changed(BEGIN, f.primed, f.keys(incident=None)), 2.0)
    assert f.actions(plan) == [
        Withdraw("", "db1", 5, "the fence's incident failover-5 is not there any more", "db2")
    ]
    intent = FenceIntent("db1", 5, "", "ops", f.LED)
    by_hand = f.changed(f.healthy(), f.keys(fences={"db1": intent}))
    assert f.Story(f.bare()).decide(by_hand, 2.0).steps == ()


def test_a_refusal_that_is_left_over_is_taken_back() -> None:
    plan = f.Story(f.bare()).decide(f.primed(f.healthy()), 2.0)
    assert f.actions(plan) == [Readmit("db1", 5, "db2")]


def test_a_power_that_must_not_be_cut_late_says_until_when() -> None:
    run = f.actions(under_way(f.armed()).decide(BEGIN, 1.3), RunFenceAgent)[0]
    assert run == RunFenceAgent("db1", 5, 1.3 + limits.FENCE_START)
