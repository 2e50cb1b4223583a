"""What is done about an archive node, row by row: each reads as a sentence."""

from __future__ import annotations

import dataclasses

import pytest

from hactl.decide.archive import ArchiveDecision, ArchiveMemory, decide_archive
from hactl.decide.plan import DrainArchive, GiveOrder, Plan, UndrainArchive
from hactl.view.archive import ArchiveMark, ArchiveState, DrainBy, EndToEnd
from hactl.view.incident import Phase
from hactl.view.model import Probe, State
from tests.support.archives import (
    AWAY,
    FAILS_OVER,
    JUST_BACK,
    NOT_KNOWN,
    NOW,
    ROUTES,
    Change,
    agent_says,
    answers,
    archive_says,
    drained,
    frozen,
    hung,
    keys,
    killed,
    nginx_dead,
    ordered,
    scene,
    sql,
    strange,
    through,
    unreachable,
)
from tests.support.archives import SILENT as GONE
from tests.support.keysview import agent_silent, at_second, budget, fenced, incident
from tests.support.views import demo_spec

SPEC = demo_spec()
ORTHANC, NGINX = "restart:orthanc.service", "restart:nginx.service"
RESTART, FRONT = "restart orthanc.service on arc1", "restart nginx.service on arc1"
DRAIN, REDEPLOY, UNDRAIN = "drain arc1", "redeploy-archive on arc1", "undrain arc1"
RESTARTED = through(budget("arc1", ORTHANC, 2))
DRAINED_OFTEN = through(budget("arc1", "drain", 3))
REDEPLOYED = through(budget("arc1", "redeploy", 1))
LOST = Probe(State.FAILED, "/srv/images/.hactl-storage is not there: not mounted?")
UNWRITTEN = Probe(State.FAILED, "it is read-only")
FULL = Probe(State.FAILED, "0.3 % free")
LADDERS = drained("arc1", DrainBy.LADDER)
KEPT_OUT = Probe(State.OK)


def looks(changes: list[Change], seconds: int) -> list[ArchiveDecision]:
    """One look a second, all the same; answers came each 2 s since `seconds` ago, and come on."""
    found, memory, decisions = scene(*changes), ArchiveMemory(), []
    for second in range(seconds):
        now = NOW + second
        dcs = at_second(found.dcs, second)
        seen = found.sights(now, 1 + second // 2)
        decisions.append(decide_archive(SPEC, seen, dcs, found.sql, memory, now))
        memory = decisions[-1].memory
    return decisions


def acts(plans: list[Plan]) -> list[str]:
    found = []
    for action in (s.action for plan in plans for s in plan.steps):
        if isinstance(action, GiveOrder):
            found.append(f"{action.verb} {action.unit}".strip() + f" on {action.node}")
        elif isinstance(action, DrainArchive):
            found.append(f"drain {action.node}")
        elif isinstance(action, UndrainArchive):
            found.append(f"undrain {action.node}")
    return found


ROWS = [
    pytest.param([], 300, [], id="a healthy pair is left alone"),
    pytest.param([hung("arc1")], 10, [], id="a hung pool has 10 s to come back"),
    pytest.param([hung("arc1")], 13, [RESTART], id="then that Orthanc is restarted"),
    pytest.param([hung("arc1")], 45, [RESTART] * 2, id="and again after 30 s"),
    pytest.param([hung("arc1"), sql(FAILS_OVER)], 300, [], id="not while the database fails over"),
    pytest.param([hung("arc1"), sql(AWAY)], 300, [], id="nor while it is away for long"),
    pytest.param([hung("arc1"), sql(JUST_BACK)], 300, [], id="nor before SQL has worked for 10 s"),
    pytest.param([hung("arc1"), sql(NOT_KNOWN)], 300, [], id="nor when nobody knows whether SQL works"),
    pytest.param([hung("arc1"), through(incident(Phase.RELEASED))], 300, [], id="nor in an open incident"),
    pytest.param([hung("arc1"), keys(paused=True)], 300, [], id="paused means hands off"),
    pytest.param([hung("arc1"), through(fenced("arc1"))], 300, [], id="so does a fence"),
    pytest.param([hung("arc1"), through(agent_silent("arc1"))], 300, [], id="without its agent: nothing"),
    pytest.param([hung("arc1"), ordered("arc1")], 60, [], id="an order at work is waited for"),
    pytest.param([hung("arc1"), drained("arc1")], 300, [], id="who is maintained is left to who does it"),
    pytest.param([hung("arc1"), drained("arc1", DrainBy.DEPLOY)], 300, [], id="also by a deployment"),
    pytest.param([hung("arc1"), RESTARTED], 13, [DRAIN], id="two restarts did not help: it is drained"),
    pytest.param(
        [hung("arc1"), RESTARTED, hung("arc2")], 13, [REDEPLOY],
        id="not if nobody could take over: it is deployed anew",
    ),
    pytest.param([hung("arc1"), RESTARTED, LADDERS], 13, [REDEPLOY], id="drained: it is deployed anew"),
    pytest.param(
        [hung("arc1"), RESTARTED, LADDERS, REDEPLOYED], 3000, [], id="then only somebody else can help"
    ),
    pytest.param([frozen("arc1")], 13, [RESTART], id="a frozen Orthanc is restarted"),
    pytest.param([frozen("arc1"), sql(FAILS_OVER)], 300, [], id="threads may all wait for the database"),
    pytest.param([killed("arc1")], 13, [FRONT], id="nothing listens: who stands in front comes first"),
    pytest.param([nginx_dead("arc1")], 13, [], id="a part still serves: a restart has 30 s"),
    pytest.param([nginx_dead("arc1")], 33, [FRONT], id="then what stands in front is restarted"),
    pytest.param(
        [nginx_dead("arc1"), sql(FAILS_OVER)], 33, [FRONT], id="it does not wait for the database"
    ),
    pytest.param([answers("arc1", GONE, "echo")], 33, [RESTART], id="DICOM alone is silent, HTTP works"),
    pytest.param([unreachable("arc1")], 300, [], id="nothing reached: it may be our own network"),
    pytest.param([strange("arc1")], 300, [], id="a certificate of somebody else is no failure"),
    pytest.param(
        [killed("arc1"), agent_says("arc1", units={"orthanc.service": "failed", "nginx.service": "failed"})],
        300, [], id="a unit that has ended is started elsewhere",
    ),
    pytest.param([archive_says("arc1", write=UNWRITTEN)], 5, [DRAIN], id="read-only here: it is drained"),
    pytest.param(
        [archive_says("arc1", write=UNWRITTEN), archive_says("arc2", write=UNWRITTEN)], 300, [],
        id="read-only everywhere: reading goes on",
    ),
    pytest.param(
        [archive_says("arc1", room=FULL)], 300, [],
        id="no room: all have the one storage, the other has only not said so yet",
    ),
    pytest.param([agent_says("arc1", storage=LOST)], 5, [DRAIN], id="lost storage, and no guard: drained"),
    pytest.param(
        [agent_says("arc1", storage=LOST), archive_says("arc1", out=True, out_for="storage")], 300, [],
        id="the guard has done it",
    ),
    pytest.param(
        [agent_says("arc1", storage=LOST), killed("arc1"), archive_says("arc1", out=True, out_for="storage")],
        300, [], id="what the guard has stopped is not started",
    ),
    pytest.param(
        [hung("arc1"), archive_says("arc1", out=True, out_for="a new device")], 300, [],
        id="nor is it while the guard still wants to know more",
    ),
    pytest.param(
        [agent_says("arc1", storage=LOST), through(agent_silent("arc2"))], 300, [],
        id="who is not known to be well takes nothing over",
    ),
    pytest.param([archive_says("arc1", last_check=EndToEnd(False, 1000.0, {}, "differs"))], 300, [],
                 id="an end-to-end check that fails is said, and nothing is guessed"),
    pytest.param([hung("arc1"), ordered("arc2"), hung("arc2")], 20, [], id="one at a time: arc2 is at it"),
    pytest.param([LADDERS], 29, [], id="what the ladder has drained must serve for 30 s"),
    pytest.param([LADDERS], 32, [UNDRAIN, UNDRAIN], id="then it is let in again"),
    pytest.param([LADDERS, DRAINED_OFTEN], 300, [], id="the third time it stays out until an hour is over"),
    pytest.param([drained("arc1")], 300, [], id="an operator's drain is the operator's"),
    pytest.param([LADDERS, keys(paused=True)], 300, [], id="paused: it stays as it is"),
    pytest.param([LADDERS, killed("arc2")], 2, [UNDRAIN] * 2, id="nobody else serves: it is let in at once"),
    pytest.param(
        [LADDERS, killed("arc2"), archive_says("arc1", room=FULL, out=True)], 2, [UNDRAIN] * 2,
        id="even without room: images can be read",
    ),
    pytest.param(
        [LADDERS, killed("arc2"), agent_says("arc1", storage=LOST)], 8, [],
        id="never onto the wrong storage",
    ),
]  # fmt: skip


@pytest.mark.parametrize(("changes", "seconds", "expected"), ROWS)
def test_what_is_done(changes: list[Change], seconds: int, expected: list[str]) -> None:
    done = [a for a in acts([d.plan for d in looks(changes, seconds)]) if "arc1" in a]
    assert done == expected


def test_a_storage_that_comes_and_goes_lets_nobody_in() -> None:
    """All routes have answered throughout: what counts is every level, the storage's too."""
    memory, undrained = ArchiveMemory(), []
    for second in range(100):
        full = archive_says("arc1", room=FULL, out=True, refusing=True)
        changes = [LADDERS] if second >= 50 or second % 25 else [LADDERS, full]
        now = NOW + second
        found = scene(*changes)
        decision = decide_archive(
            SPEC, found.sights(now, 1 + second // 2), at_second(found.dcs, second), found.sql, memory, now
        )
        memory = decision.memory
        undrained += [second for act in acts([decision.plan]) if act == UNDRAIN]
    assert undrained[0] == 25 + 1 + 30


def test_both_hung_are_restarted_one_after_the_other() -> None:
    """As if no restart helped: arc2 waits until arc1 has had its time to come back."""
    decisions = looks([hung("arc1"), hung("arc2")], 34)
    times = {a: n for n, d in enumerate(decisions) for a in acts([d.plan])}
    assert times["restart orthanc.service on arc1"] == 10
    assert times["restart orthanc.service on arc2"] >= 30


def test_the_loud_stop_is_said_and_kept() -> None:
    decisions = looks([hung("arc1"), RESTARTED, LADDERS, REDEPLOYED], 20)
    assert decisions[-1].plan.alarms == ("ARCHIVE_GIVEN_UP arc1: L2: no answer in time",)
    assert decisions[-1].marks["arc1"].rung == "given up"


def test_why_nothing_is_done_is_said() -> None:
    decision = looks([hung("arc1"), sql(FAILS_OVER)], 30)[-1]
    assert [v.code for v in decision.plan.vetoes] == []  # the level does not count: nobody is ill yet
    decision = looks([hung("arc1"), sql(AWAY)], 30)[-1]
    assert [v.code for v in decision.plan.vetoes] == ["DATABASE"]


def test_a_new_controller_goes_on_from_the_marks() -> None:
    """Its memory is empty; what was tried is in etcd."""
    mark = ArchiveMark(ArchiveState.FAILED, "L2", ORTHANC)
    found = looks([hung("arc1"), keys(archive_states={"arc1": mark})], 1)[0].marks["arc1"]
    assert (found.state, found.rung) == (ArchiveState.FAILED, ORTHANC)


STATES = [
    pytest.param(None, [], 1, "starting", id="it answers once: it is starting"),
    pytest.param(None, [], 3, "healthy", id="twice: it is healthy"),
    pytest.param("healthy", [hung("arc1")], 1, "degraded", id="one lost answer makes no failure"),
    pytest.param("healthy", [hung("arc1")], 5, "failed", id="three do"),
    pytest.param("healthy", [hung("arc1"), sql(FAILS_OVER)], 60, "degraded", id="not in a failover"),
    pytest.param("healthy", [hung("arc1"), sql(AWAY)], 60, "failed", id="but when its budget is over"),
    pytest.param("healthy", [killed("arc1")], 3, "failed", id="ports: two are enough"),
    pytest.param("healthy", [strange("arc1")], 60, "degraded", id="unknown is never failed"),
    pytest.param("failed", [strange("arc1")], 60, "failed", id="nor does it mend"),
    pytest.param(None, [strange("arc1")], 60, "starting", id="nor says anything of who is new"),
    pytest.param("failed", [], 1, "starting", id="who comes back is starting"),
    pytest.param("failed", [], 3, "healthy", id="and then healthy"),
    pytest.param("healthy", [through(agent_silent("arc1"))], 9, "degraded",
                 id="no agent: the storage is unknown"),
    pytest.param("healthy", [agent_says("arc1", storage=LOST)], 1, "failed", id="a lost storage is lost"),
    pytest.param("healthy", [archive_says("arc1", last_check=EndToEnd(False, 1000.0))], 1, "degraded",
                 id="an image that does not come back"),
    pytest.param("healthy", [drained("arc1", out=False)], 1, "draining", id="a drain begins"),
    pytest.param("draining", [drained("arc1")], 1, "drained", id="and ends when the address is gone"),
    pytest.param("draining", [drained("arc1"), through(agent_silent("arc1"))], 9, "draining",
                 id="which only its agent can say"),
    pytest.param("healthy", [archive_says("arc1", refusing=True)], 1, "draining", id="its agent's own doing"),
    pytest.param("drained", [], 1, "starting", id="let in again: it has to show that it serves"),
    pytest.param("drained", [], 3, "healthy", id="and does"),
    pytest.param("failed", [frozen("arc1"), ordered("arc1")], 5, "starting", id="ordered to start"),
    pytest.param("failed", [frozen("arc1"), ordered("arc1")], 91, "failed", id="in vain"),
]  # fmt: skip


@pytest.mark.parametrize(("before", "changes", "seconds", "expected"), STATES)
def test_the_state_that_follows(
    before: str | None, changes: list[Change], seconds: int, expected: str
) -> None:
    marks = {} if before is None else {"arc1": ArchiveMark(ArchiveState(before))}
    found = looks([keys(archive_states=marks), *changes], seconds)[-1].marks["arc1"]
    assert (found.state, found.why) == (ArchiveState(expected), found.why)


def test_an_answer_that_is_too_old_says_nothing() -> None:
    found = scene()
    seen = {
        node: {n: dataclasses.replace(s, until=NOW - 60) for n, s in by.items()}
        for node, by in found.sights(NOW - 70, 9).items()
    }
    memory = ArchiveMemory(marks={"arc1": ArchiveMark(ArchiveState.HEALTHY)})
    decision = decide_archive(SPEC, seen, found.dcs, found.sql, memory, NOW)
    assert decision.marks["arc1"].state is ArchiveState.DEGRADED
    assert "no answer for 70 s" in decision.marks["arc1"].why
    assert {p.state for lv, p in decision.looks["arc1"].levels.items() if lv < "L3"} == {State.UNKNOWN}


def test_every_route_of_the_tests_is_one_that_is_asked() -> None:
    assert {r.level for r in ROUTES.values()} == {"L0", "L1", "L2"}


@pytest.mark.parametrize(
    ("seconds", "expected"),
    [
        pytest.param(9, [], id="what its guard had stopped has the whole time to come back"),
        pytest.param(13, [RESTART], id="then it is restarted as any other"),
    ],
)
def test_a_failure_counts_from_the_end_of_the_guard(seconds: int, expected: list[str]) -> None:
    guarded = scene(hung("arc1"), archive_says("arc1", out=True, out_for="another disk"))
    free = scene(hung("arc1"))
    memory, plans = ArchiveMemory(), []
    for second in range(60 + seconds):
        found, now = (guarded if second < 60 else free), NOW + second
        sights = found.sights(now, 1 + second // 2)
        decision = decide_archive(SPEC, sights, at_second(found.dcs, second), found.sql, memory, now)
        memory = decision.memory
        plans.append(decision.plan)
    assert acts(plans) == expected
