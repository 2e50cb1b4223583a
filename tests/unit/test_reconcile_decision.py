"""When storage and index are compared by hactl itself, and what health and metrics say of integrity."""

from __future__ import annotations

import dataclasses
import json
import time
from collections.abc import Mapping
from pathlib import Path

import pytest

from hactl.adapters.integrity_files import integrity_facts
from hactl.decide import health_integrity
from hactl.decide.plan import GiveOrder
from hactl.decide.reconcile import ReconcileMemory, decide_reconcile
from hactl.decide.reconcile_due import due
from hactl.metrics import samples_integrity
from hactl.metrics.registry import METRICS
from hactl.spec.model import Signing
from hactl.view.control import AgentFacts, Dcs, DcsMember, Leader, Order, PatroniKeys
from hactl.view.integrity import IntegrityFacts
from hactl.view.model import DbRole, Probe, State
from hactl.view.parse.agent_facts import facts_text, parse_agent_facts
from tests.support import specs, views

SPEC = specs.sample()
OK = Probe(State.OK)


def agent(node: str, seq: int, integrity: IntegrityFacts | None = None, storage: Probe = OK) -> AgentFacts:
    return AgentFacts(node, "boot", seq, storage=storage, integrity=integrity or IntegrityFacts())


def dcs(timeline: int | None = 3, reconciled: int = 2, seq: int = 1, **changed: object) -> Dcs:
    member = DcsMember("db1", DbRole.PRIMARY, "running", timeline=timeline)
    patroni = PatroniKeys(Leader("db1", 1, 1), members={"db1": member})
    facts: Mapping[str, AgentFacts] = {n: agent(n, seq) for n in ("arc1", "arc2")}
    found = Dcs(seq, patroni=patroni, reconciled=reconciled, facts=facts)
    return dataclasses.replace(found, **changed)  # type: ignore[arg-type]


def orders(looks: list[Dcs], *, step: float = 2.0) -> list[tuple[float, GiveOrder]]:
    """What is ordered over some looks, `step` seconds apart."""
    memory, found = ReconcileMemory(), []
    for number, look in enumerate(looks):
        now = 100.0 + number * step
        plan, memory = decide_reconcile(SPEC, look, memory, now)
        found += [(now, s.action) for s in plan.steps if isinstance(s.action, GiveOrder)]
    return found


def test_a_new_timeline_is_compared_once_it_has_settled() -> None:
    found = orders([dcs(seq=n) for n in range(9)])
    assert found == [(110.0, GiveOrder("arc1", "reconcile", "", "reconcile"))]


@pytest.mark.parametrize(("timeline", "reconciled"), [(3, 3), (1, 0), (None, 0), (2, 5)])
def test_nothing_is_ordered_where_nothing_is_due(timeline: int | None, reconciled: int) -> None:
    look = dcs(timeline, reconciled)
    assert due(look) is None
    assert orders([dcs(timeline, reconciled, n) for n in range(9)]) == []


def test_a_node_whose_storage_is_not_proven_is_passed_over() -> None:
    bad = Probe(State.FAILED, "not mounted")
    looks = [
        dcs(seq=n, facts={"arc1": agent("arc1", n, storage=bad), "arc2": agent("arc2", n)}) for n in range(9)
    ]
    assert [order.node for _, order in orders(looks)] == ["arc2"]


def test_a_silent_agent_and_a_node_without_the_units_get_no_order() -> None:
    silent = [dcs(seq=n, facts={"arc1": agent("arc1", 1)}) for n in range(9)]
    assert orders(silent) == []
    without = AgentFacts("arc1", "boot", 1, storage=OK)
    bare = [dcs(seq=n, facts={"arc1": dataclasses.replace(without, seq=n)}) for n in range(9)]
    assert orders(bare) == []


@pytest.mark.parametrize(
    "changed",
    [
        {"paused": True},
        {"incident": "{}"},
        {"budget": {("arc1", "reconcile"): 6, ("arc2", "reconcile"): 6}},
    ],
)
def test_hands_off(changed: dict[str, object]) -> None:
    assert orders([dcs(seq=n, **changed) for n in range(20)]) == []


def test_while_one_compares_nobody_else_is_asked_and_later_it_is_tried_again() -> None:
    running = {
        "arc1": IntegrityFacts(reconcile="failed"),
        "arc2": IntegrityFacts(reconcile="running"),
    }
    looks = [dcs(seq=n, facts={k: agent(k, n, v) for k, v in running.items()}) for n in range(20)]
    assert orders(looks) == []
    failed = [
        dcs(seq=n, facts={k: agent(k, n, IntegrityFacts(reconcile="failed")) for k in running})
        for n in range(60)
    ]
    times = [at for at, _ in orders(failed)]
    assert times[0] == 110.0
    assert times[1] - times[0] == 30.0


def test_after_a_failure_the_other_node_is_asked_first() -> None:
    facts = {"arc1": IntegrityFacts(reconcile="unfinished"), "arc2": IntegrityFacts(reconcile="done")}
    looks = [dcs(seq=n, facts={k: agent(k, n, v) for k, v in facts.items()}) for n in range(9)]
    assert [order.node for _, order in orders(looks)] == ["arc2"]


def test_an_order_that_was_not_answered_is_not_given_twice() -> None:
    looks = [dcs(seq=n, orders={"arc1": Order("arc1", "x", "reconcile")}) for n in range(9)]
    assert [order.node for _, order in orders(looks)] == ["arc2"]


def findings(**facts: object) -> list[str]:
    mine = {"arc1": agent("arc1", 1, IntegrityFacts(**facts))}  # type: ignore[arg-type]
    look = dcs(facts=mine, budget={("arc1", "reconcile"): 2, ("arc2", "reconcile"): 1})
    view = dataclasses.replace(views.healthy(), control=look)
    return [f.code.name for check in health_integrity.CHECKS for f in check(SPEC, view)]


@pytest.mark.parametrize(
    ("facts", "expected"),
    [
        ({}, []),
        ({"marks": {"orphan": 3, "foreign": 1}}, []),
        ({"marks": {"content": 1}}, ["SCRUB_DAMAGE"]),
        ({"tampered": True}, ["MANIFEST_CHANGED"]),
        ({"follows": 30.0}, []),
        ({"follows": 500.0}, ["MANIFEST_BEHIND"]),
        ({"scrubbed": 8 * 86400.0}, []),
        ({"scrubbed": 15 * 86400.0}, ["SCRUB_OVERDUE"]),
        ({"began": 15 * 86400.0}, ["SCRUB_OVERDUE"]),
        ({"began": 15 * 86400.0, "scrubbed": 5.0}, []),
        ({"reconcile": "running"}, []),
        ({"reconcile": "failed"}, ["RECONCILE_NEEDED"]),
        ({"reconcile": "unfinished", "unfinished": 2}, ["RECONCILE_NEEDED"]),
    ],
)
def test_health_of_the_images(facts: dict[str, object], expected: list[str]) -> None:
    assert findings(**facts) == expected


@pytest.mark.parametrize(("age", "expected"), [(None, []), (5.0, []), (500.0, ["SIGNING_BEHIND"])])
def test_whether_images_are_signed(age: float | None, expected: list[str]) -> None:
    signing = Signing(certificate="/etc/site/c.pem", key="/etc/site/k.pem", trusted="/etc/site/t.pem")
    look = dcs(facts={"arc1": agent("arc1", 1, IntegrityFacts(signs=age))})
    view = dataclasses.replace(views.healthy(), control=look)
    spec = SPEC.model_copy(update={"archive": SPEC.archive.model_copy(update={"signing": signing})})
    assert [f.code.name for f in health_integrity.signing(spec, view)] == expected
    assert list(health_integrity.signing(SPEC, view)) == []


def test_one_reconcile_that_failed_is_no_finding_yet() -> None:
    facts = {"arc1": agent("arc1", 1, IntegrityFacts(reconcile="failed"))}
    view = dataclasses.replace(views.healthy(), control=dcs(facts=facts, budget={("arc1", "reconcile"): 2}))
    assert list(health_integrity.unreconciled(SPEC, view)) == []


def test_a_scrub_that_shall_never_be_is_not_overdue() -> None:
    scrub = SPEC.archive.scrub.model_copy(update={"every": "never"})
    spec = SPEC.model_copy(update={"archive": SPEC.archive.model_copy(update={"scrub": scrub})})
    look = dcs(facts={"arc1": agent("arc1", 1, IntegrityFacts(began=1e9))})
    view = dataclasses.replace(views.healthy(), control=look)
    assert list(health_integrity.overdue(spec, view)) == []


def test_facts_come_back_as_they_were() -> None:
    facts = IntegrityFacts(
        objects=5, follows=1.5, scrub="done", scrubbed=60.0, marks={"content": 2}, tampered=True,
        reconcile="done", timeline=4, restored=16, signs=2.5,
    )  # fmt: skip
    assert parse_agent_facts(facts_text(agent("arc1", 1, facts))).integrity == facts
    assert parse_agent_facts(facts_text(agent("arc1", 1))).integrity == IntegrityFacts()
    assert parse_agent_facts(facts_text(AgentFacts("db1", "b", 1))).integrity is None


def test_the_agent_reads_what_the_units_wrote(tmp_path: Path) -> None:
    assert integrity_facts(tmp_path) == IntegrityFacts()
    now = time.time()
    (tmp_path / "manifest.json").write_text(json.dumps({"objects": 7, "behind": 1, "ok_at": now - 5}))
    scrub = {
        "state": "running",
        "done": 3,
        "objects": 9,
        "done_bytes": 12,
        "marks": {"size": 1, "content": 0},
    }
    (tmp_path / "scrub.json").write_text(json.dumps(scrub))
    (tmp_path / "reconcile.json").write_text("not JSON")
    found = integrity_facts(tmp_path)
    assert (found.objects, found.behind, found.done, found.planned, found.read) == (7, 1, 3, 9, 12)
    assert found.marks == {"size": 1}
    assert found.follows is not None
    assert 4 < found.follows < 60
    assert (found.scrubbed, found.reconcile) == (None, "")


def test_each_sample_is_a_metric_of_the_registry() -> None:
    look = dcs(facts={"arc1": agent("arc1", 1, IntegrityFacts(follows=1.0, scrubbed=2.0, reconcile="done"))})
    rows = list(samples_integrity.samples(SPEC, look))
    assert len(rows) > 10
    for name, labels, _ in rows:
        assert len(METRICS[name].labels) == len(labels)
