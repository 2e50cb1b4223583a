"""Whether a drill is due: in status, metrics and alerts once it is overdue, before that for the doctor."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable

import pytest

from hactl.decide.codes import Severity
from hactl.decide.health import Health, judge
from hactl.decide.health_drill import EVERY, never_drilled
from hactl.spec.model import ClusterSpec
from hactl.spec.model_drills import Drills
from hactl.view.cluster import ClusterView
from hactl.view.drill import LastDrill
from hactl.view.model import PatroniSelf, Unknown
from tests.support.views import Change, after, demo_spec, keys

NOW = after().at
DAY = 86400.0


def due(every: str) -> ClusterSpec:
    return demo_spec().model_copy(update={"drills": Drills.model_validate({"every": every})})


def drilled(days: float) -> Change:
    return keys(drill=LastDrill(NOW - days * DAY, "primary/power-off", clean=True))


def stopped(days: float, *, proved: float | None) -> Change:
    """One that was aborted so long ago, the last proof is older still."""
    before = None if proved is None else NOW - proved * DAY
    last = LastDrill(NOW - days * DAY, "primary/freeze", clean=False, aborted=True, proved=before)
    return keys(drill=last)


def aged(days: float) -> Change:
    """Both copies of the database were made so long ago."""

    def change(view: ClusterView) -> ClusterView:
        selves = {n: p.itself for n, p in view.patroni.items()}
        old = {
            n: dataclasses.replace(view.patroni[n], itself=dataclasses.replace(s, made=NOW - days * DAY))
            for n, s in selves.items()
            if isinstance(s, PatroniSelf)
        }
        return dataclasses.replace(view, patroni={**view.patroni, **old})

    return change


CASES = [
    pytest.param("quarter", [drilled(91)], set(), id="in time"),
    pytest.param("quarter", [drilled(93)], {"DRILL_OVERDUE"}, id="overdue"),
    pytest.param("month", [drilled(32)], {"DRILL_OVERDUE"}, id="the spec's interval"),
    pytest.param("year", [drilled(93)], set(), id="a longer one"),
    pytest.param("never", [drilled(4000)], set(), id="nobody wants any"),
    pytest.param("quarter", [stopped(1, proved=91)], set(), id="one stopped early after it"),
    pytest.param("quarter", [stopped(1, proved=93)], {"DRILL_OVERDUE"}, id="one that stopped proves nothing"),
    pytest.param("quarter", [stopped(1, proved=None), aged(93)], {"DRILL_OVERDUE"}, id="none went through"),
    pytest.param("quarter", [keys(drill=None), aged(93)], {"DRILL_OVERDUE"}, id="never, and it is old"),
    pytest.param("quarter", [keys(drill=None), aged(3)], set(), id="never, and it is new"),
    pytest.param("quarter", [keys(drill=None)], set(), id="never, and nobody says how old it is"),
]


@pytest.mark.parametrize(("every", "changes", "want"), CASES)
def test_overdue(every: str, changes: list[Change], want: set[str]) -> None:
    found = judge(due(every), after(*changes))
    assert {f.code.name for f in found.findings} == want
    assert found.health is (Health.DEGRADED if want else Health.HEALTHY)
    assert all(f.severity is Severity.WARNING for f in found.findings)


def test_it_says_when_which_one_was_and_what_is_agreed() -> None:
    (one,) = judge(due("quarter"), after(drilled(100))).findings
    assert one.detail == "100 d ago: primary/power-off; one is due each quarter"


NEVER: list[tuple[str, Callable[[], ClusterView], list[str]]] = [
    ("quarter", lambda: after(keys(drill=None), aged(3)), ["DRILL_NONE"]),
    ("quarter", lambda: after(keys(drill=None), aged(93)), []),
    ("never", lambda: after(keys(drill=None), aged(3)), []),
    ("quarter", lambda: after(drilled(1)), []),
    ("quarter", lambda: dataclasses.replace(after(), control=Unknown("no answer")), []),
]


@pytest.mark.parametrize(("every", "view", "want"), NEVER)
def test_the_doctor_tells_that_there_was_none_while_that_is_no_alarm(
    every: str, view: Callable[[], ClusterView], want: list[str]
) -> None:
    assert [f.code.name for f in never_drilled(due(every), view())] == want


def test_each_interval_of_the_spec_has_its_seconds() -> None:
    schema = Drills.model_json_schema()["properties"]["every"]["enum"]
    assert {*schema} == {*EVERY, "never"}
