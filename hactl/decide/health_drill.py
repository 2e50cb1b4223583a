"""Whether a drill is due: by the key that the last one left in etcd, and the spec's interval."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

from hactl.decide.codes import Finding, finding
from hactl.spec.model import ClusterSpec
from hactl.view import derive
from hactl.view.cluster import ClusterView
from hactl.view.model import Unknown
from hactl.view.times import span

_DAY: Final = 86400.0
EVERY: Final = {"month": 31 * _DAY, "quarter": 92 * _DAY, "half-year": 183 * _DAY, "year": 366 * _DAY}  # s


def age(view: ClusterView) -> float | None:
    """Seconds since the database was made: a new installation is not ill because nobody drilled yet."""
    made = [itself.made for itself in derive.selves(view).values() if itself.made is not None]
    return view.at - min(made) if made else None


def overdue(spec: ClusterSpec, view: ClusterView) -> Iterator[Finding]:
    longest = EVERY.get(spec.drills.every)
    if isinstance(view.control, Unknown) or longest is None:
        return
    last = view.control.drill
    judged = None if last is None else last.judged
    if last is not None and judged is not None and view.at - judged > longest:
        said = "an aborted one came after it" if last.aborted else last.scenario
        yield finding(
            "DRILL_OVERDUE",
            detail=f"{span(view.at - judged)} ago: {said}; one is due each {spec.drills.every}",
        )
    old = age(view)
    if judged is None and old is not None and old > longest:
        yield finding("DRILL_OVERDUE", detail=f"never, and the database is {span(old)} old")


def never_drilled(spec: ClusterSpec, view: ClusterView) -> Iterator[Finding]:
    """The doctor's, while it is no alarm."""
    if isinstance(view.control, Unknown) or any(overdue(spec, view)):
        return
    if view.control.drill is not None and view.control.drill.judged is not None:
        return
    if spec.drills.every in EVERY:
        yield finding("DRILL_NONE")


CHECKS = (overdue,)
