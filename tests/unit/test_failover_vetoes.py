"""Every precondition of a fast failover, refused alone and all together."""

from __future__ import annotations

from dataclasses import replace

import pytest

from hactl.decide import limits
from hactl.decide.failover import decide_failover
from hactl.decide.memory import FailoverMemory
from hactl.decide.plan import OpenIncident, PrimeStandby, RunFenceAgent
from hactl.decide.vetoes import CHECKS
from hactl.spec.model import ClusterSpec
from hactl.view.control import (
    AgentFacts,
    ControlView,
    FenceIntent,
    Heartbeat,
    Key,
    Leader,
    Mode,
    PathState,
    PostgresLocal,
)
from hactl.view.model import Unknown
from tests.support import failover as f

NOW = 1.05
OTHER_FENCE = {"db1": FenceIntent("db1", 3, "by-hand", "wit1", f.LED)}


def suspect(spec: ClusterSpec, *changes: f.Change) -> tuple[list[str], list[str]]:
    """Names of the steps and codes of the vetoes when db1 has just been lost, with these differences."""
    plan = f.until_suspected(spec).decide(f.changed(f.healthy(), f.lost, *changes), NOW)
    return f.names(plan), f.codes(plan)


def stranger_leads(view: ControlView) -> ControlView:
    paths = {**view.paths, "db9": view.paths["db1"]}
    return f.changed(view, f.patroni(leader=Leader("db9", 1, 2)), f.seen(paths=paths))


def test_a_lost_primary_with_a_fence_agent_is_fenced() -> None:
    assert suspect(f.armed()) == (["OpenIncident", "RunFenceAgent", "PrimeStandby"], [])


def test_a_lost_primary_without_fence_agent_is_fenced_by_its_lease() -> None:
    assert suspect(f.bare()) == (["OpenIncident", "PrimeStandby"], [])


def test_the_intent_names_the_leadership_that_was_lost() -> None:
    plan = f.until_suspected(f.armed()).decide(f.lost(f.healthy()), NOW)
    opened, run, prime = f.actions(plan)
    assert isinstance(opened, OpenIncident)
    assert opened.intent == FenceIntent(
        "db1", 5, "failover-5", "wit1", f.LED, "4 of 4 paths to db1 fail: alive-key, patroni-rest, "
        "postgres-from-standby, etcd-peer",
    )  # fmt: skip
    assert (opened.incident.victim, opened.incident.standby, opened.incident.epoch) == ("db1", "db2", 5)
    assert [s.phase for s in opened.incident.stamps] == ["suspected"]
    assert run == RunFenceAgent("db1", 5, NOW + limits.FENCE_START)
    assert prime == PrimeStandby("db2", "192.0.2.11", 5)


@pytest.mark.parametrize(
    ("change", "code"),
    [
        pytest.param(f.seen(holding=False), "NOT_ACTIVE", id="a controller without its lease only watches"),
        pytest.param(f.seen(dcs=Unknown("no quorum")), "ETCD_UNKNOWN", id="without etcd nothing is decided"),
        pytest.param(
            f.keys(problems=("/hactl/demo/fence/db2: not JSON",)),
            "ETCD_UNREADABLE",
            id="an unreadable key may be a fence",
        ),
        pytest.param(stranger_leads, "NO_PRIMARY", id="a leader that the spec does not know is left"),
        pytest.param(f.keys(paused=True), "PAUSED", id="hactl paused means hands off"),
        pytest.param(f.patroni(paused=True), "PAUSED", id="Patroni paused means hands off"),
        pytest.param(
            f.keys(incident='{"id":"x","kind":"switchover","victim":"db1","standby":"db2","epoch":4}'),
            "INCIDENT_OPEN",
            id="another incident comes first",
        ),
        pytest.param(f.keys(fences=OTHER_FENCE), "FENCE_OPEN", id="one fence at a time"),
        pytest.param(f.keys(recent_failovers=3), "TOO_MANY_FAILOVERS", id="three an hour are enough"),
        pytest.param(
            f.patroni(sync_standbys=()), "STANDBY_NOT_IN_SYNC", id="who is not in /sync may lack commits"
        ),
        pytest.param(f.patroni(sync_leader="db2"), "SYNC_NOT_THE_LEADERS", id="/sync is the victim's"),
        pytest.param(
            f.keys(alive={"db1": Key("{}", 999)}), "STILL_RENEWING", id="who renews its lease lives"
        ),
        pytest.param(
            f.seen(heartbeat=Heartbeat(0, NOW + 0.01, "db1")), "STILL_SERVING", id="who takes commits lives"
        ),
        pytest.param(f.keys(modes={"db1": Mode.OPEN}), "LEASE_OPEN", id="nothing proves an open node silent"),
        pytest.param(f.keys(modes={}), "LEASE_OPEN", id="nothing proves a node of unknown mode silent"),
        pytest.param(f.keys(alive={}), "LEASE_OPEN", id="who never held a lease has none that ends"),
        pytest.param(
            f.patroni(leader=Leader("db1", 7001, f.ALIVE + 1)),
            "LEASE_OPEN",
            id="a lease of an earlier leadership proves nothing of this one",
        ),
        pytest.param(
            f.keys(mode_revisions={"db1": f.ALIVE + 1}),
            "LEASE_OPEN",
            id="a lease from before the node went to mode leased is not the kernel's",
        ),
    ],
)  # fmt: skip
def test_each_veto_alone(change: f.Change, code: str) -> None:
    steps, codes = suspect(f.bare(), change)
    assert steps == []
    assert code in codes
    # What a missing look or leader leaves unanswered is a no as well; nothing else stands in the way.
    if code not in {
        "ETCD_UNKNOWN",
        "NO_PRIMARY",
        "LEASE_OPEN",
        "SYNC_NOT_THE_LEADERS",
        "STANDBY_NOT_IN_SYNC",
    }:
        assert codes == [code]


def test_where_nobody_leads_nobody_is_suspected() -> None:
    assert suspect(f.bare(), f.patroni(leader=None)) == ([], [])


def test_a_node_in_mode_open_with_a_fence_agent_is_fenced_by_its_power() -> None:
    steps, codes = suspect(f.armed(), f.keys(modes={"db1": Mode.OPEN}))
    assert (steps, codes) == (["OpenIncident", "RunFenceAgent", "PrimeStandby"], [])


def test_an_old_look_at_etcd_decides_nothing() -> None:
    story = f.until_suspected(f.bare())
    plan, _ = decide_failover(f.bare(), f.at(f.lost(f.healthy()), NOW - 1.1), story.memory, NOW)
    assert (f.names(plan), f.codes(plan)[0]) == ([], "ETCD_UNKNOWN")


def test_a_look_from_after_the_moment_of_deciding_decides_nothing() -> None:
    """Its renewals would count as seen before they were made, and the lease would seem over too early."""
    story = f.until_suspected(f.bare())
    plan, memory = decide_failover(f.bare(), f.at(f.lost(f.healthy()), NOW + 0.1), story.memory, NOW)
    assert (f.names(plan), f.codes(plan)[0]) == ([], "ETCD_UNKNOWN")
    assert memory.renewals == story.memory.renewals


def test_a_look_that_comes_after_a_newer_one_decides_nothing() -> None:
    story = f.until_suspected(f.bare())
    plan = story.decide(f.changed(f.healthy(), f.lost, f.keys(revision=f.REVISION - 1)), NOW)
    assert (f.names(plan), f.codes(plan)[0]) == ([], "ETCD_UNKNOWN")


def test_after_an_election_the_living_get_time_to_renew() -> None:
    story = f.until_suspected(f.bare())
    story.decide(f.lost(f.seen(dcs=Unknown("election"))(f.healthy())), NOW)
    back = story.decide(f.lost(f.healthy()), 3.0)
    assert f.codes(back) == ["ETCD_JUST_BACK"]
    for tick in range(1, 3):
        story.decide(f.lost(f.healthy()), 3.0 + tick / 4)
    assert f.names(story.decide(f.lost(f.healthy()), 3.7)) == ["OpenIncident", "PrimeStandby"]


def test_a_standby_that_stopped_streaming_before_the_loss_is_not_promoted_in_haste() -> None:
    story = f.Story(f.bare()).warm()
    member = f.dcs().patroni.members
    broken = f.changed(
        f.healthy(), f.patroni(members={"db1": member["db1"]}),
        f.keys(facts={"db2": AgentFacts("db2", "b", 2, postgres=PostgresLocal(False))}),
    )  # fmt: skip
    for tick in range(1, 17):
        story.decide(broken, tick / 4)
    plan = story.decide(f.lost(broken), 4.2)
    assert f.codes(plan) == ["STANDBY_NOT_STREAMING"]


def test_a_controller_that_never_saw_the_standby_stream_leaves_it_to_patroni() -> None:
    story = f.Story(f.bare())
    broken = f.changed(f.healthy(), f.lost, f.patroni(members={}), f.keys(facts={}))
    for tick in range(1, 9):
        plan = story.decide(broken, 1 + tick / 4)
    assert f.codes(plan) == ["STANDBY_NOT_STREAMING"]


def test_three_intents_taken_back_within_a_minute_are_enough() -> None:
    story = f.until_suspected(f.bare())
    story.memory = replace(story.memory, withdrawals=(0.1, 0.2, 0.3))
    assert f.codes(story.decide(f.lost(f.healthy()), NOW)) == ["FLAPPING"]
    story.memory = replace(story.memory, withdrawals=(NOW - limits.FLAP_TIME, 0.2, 0.3))
    assert f.names(story.decide(f.lost(f.healthy()), NOW + 0.01)) == ["OpenIncident", "PrimeStandby"]


def test_all_vetoes_are_named_together() -> None:
    plan, _ = decide_failover(
        f.bare(),
        f.changed(
            f.healthy(), f.lost, f.seen(holding=False, dcs=Unknown("no quorum"), grey={"db1": "hangs"})
        ),
        replace(f.until_suspected(f.bare()).memory, withdrawals=(1.0, 1.0, 1.0)),
        NOW,
    )
    always = {"ETCD_JUST_BACK", "STILL_SERVING"}  # these two hold: nothing was seen that speaks against it
    assert set(f.codes(plan)) == {c.code for c in CHECKS} - always


def test_every_veto_has_a_sentence_and_a_code_of_its_own() -> None:
    assert len({c.code for c in CHECKS}) == len(CHECKS)
    plan = f.Story(f.bare(), FailoverMemory()).decide(f.lost(f.keys(paused=True)(f.healthy())), 1.0)
    assert all(v.why for v in plan.vetoes)


FINE, GONE, NEVER = PathState(0, -0.2), PathState(4, -0.2), PathState(9, None)


@pytest.mark.parametrize(
    ("alive", "patroni", "postgres", "etcd", "expected"),
    [
        pytest.param(GONE, GONE, GONE, GONE, True, id="four of four fail: suspected"),
        pytest.param(GONE, GONE, GONE, FINE, True, id="three of four fail: suspected"),
        pytest.param(GONE, GONE, FINE, FINE, False, id="two of four fail: not suspected"),
        pytest.param(GONE, GONE, PathState(3, 0.0), FINE, False, id="three misses are not four"),
        pytest.param(
            GONE, GONE, NEVER, FINE, False, id="a path that never answered does not count as failing"
        ),
        pytest.param(
            GONE, GONE, GONE, NEVER, True, id="a path that never answered does not count as answering"
        ),
        pytest.param(FINE, FINE, FINE, FINE, False, id="all answer: not suspected"),
    ],
)
def test_three_of_four_paths(
    alive: PathState, patroni: PathState, postgres: PathState, etcd: PathState, *, expected: bool
) -> None:
    paths = f.paths("db1", alive=alive, patroni=patroni, postgres=postgres, etcd=etcd)
    plan = f.Story(f.bare()).warm().idle().decide(paths(f.healthy()), NOW)
    assert bool(plan.steps) is expected
    assert plan.vetoes == ()


def test_the_alive_key_of_an_open_node_counts_neither_way() -> None:
    view = f.changed(f.healthy(), f.keys(modes={"db1": Mode.OPEN}), f.misses("alive", "patroni", "postgres"))
    story = f.Story(f.armed()).warm().idle()
    assert f.names(story.decide(view, NOW)) == []
    all_gone = f.misses("etcd")(view)
    assert f.names(story.decide(all_gone, NOW + 0.1)) == ["OpenIncident", "RunFenceAgent", "PrimeStandby"]


def test_a_grey_primary_is_suspected_though_it_answers_and_renews() -> None:
    view = f.changed(f.healthy(), f.seen(grey={"db1": "commits hang"}), f.keys(alive={"db1": Key("{}", 999)}))
    assert f.names(f.Story(f.bare()).warm().idle().decide(view, NOW)) == ["OpenIncident", "PrimeStandby"]


def test_a_cut_between_the_database_nodes_alone_is_no_loss() -> None:
    """Seen from the standby's node: three paths fail, and the lease is renewed through the witness."""
    story = f.Story(f.bare()).warm().idle()
    for tick in range(1, 20):
        renewed = f.keys(alive={"db1": Key("{}", f.ALIVE + tick)})
        view = f.changed(f.healthy(), f.misses("patroni", "postgres", "etcd"), renewed)
        plan = story.decide(view, tick / 4)
        assert f.names(plan) == []
    assert f.codes(plan) == ["STILL_RENEWING"]
