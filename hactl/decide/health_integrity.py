"""Whether images are what they were, that is looked at, and a failover was followed by a reconcile."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

from hactl.decide.budgets import RECONCILE
from hactl.decide.codes import Finding, finding
from hactl.decide.reconcile_due import due
from hactl.spec.model import ClusterSpec
from hactl.view.cluster import ClusterView
from hactl.view.control import Dcs
from hactl.view.integrity import IntegrityFacts
from hactl.view.model import Unknown

DAMAGE: Final = ("content", "size", "missing", "unreadable", "tampered", "index")
FOLLOWS: Final = 120.0  # s without a good look; a failover takes seconds
EVERY: Final = {"day": 86400.0, "week": 7 * 86400.0, "month": 31 * 86400.0}  # s
IN_VAIN: Final = 3  # reconciles that were ordered within the last hour
LATE: Final = 2.0  # times that: a scrub of a large archive takes days


def _facts(spec: ClusterSpec, view: ClusterView) -> Iterator[tuple[str, IntegrityFacts]]:
    dcs = Dcs(0) if isinstance(view.control, Unknown) else view.control
    for node in spec.archives:
        facts = dcs.facts.get(node)
        if facts is not None and facts.integrity is not None:
            yield node, facts.integrity


def damage(spec: ClusterSpec, view: ClusterView) -> Iterator[Finding]:
    for node, facts in _facts(spec, view):
        found = [f"{facts.marks[kind]} {kind}" for kind in DAMAGE if facts.marks.get(kind)]
        if found:
            yield finding("SCRUB_DAMAGE", node, ", ".join(found))
        if facts.tampered:
            yield finding("MANIFEST_CHANGED", node)


def overdue(spec: ClusterSpec, view: ClusterView) -> Iterator[Finding]:
    longest = EVERY.get(spec.archive.scrub.every)
    for node, facts in _facts(spec, view) if longest else ():
        age = facts.scrubbed if facts.scrubbed is not None else facts.began
        if longest and age is not None and age > LATE * longest:
            what = "never" if facts.scrubbed is None else f"{age / 86400:.0f} days ago"
            yield finding("SCRUB_OVERDUE", node, f"the last whole one: {what}")


def follows(spec: ClusterSpec, view: ClusterView) -> Iterator[Finding]:
    for node, facts in _facts(spec, view):
        if facts.follows is not None and facts.follows > FOLLOWS:
            yield finding("MANIFEST_BEHIND", node, f"no good look for {facts.follows:.0f} s")


def unreconciled(spec: ClusterSpec, view: ClusterView) -> Iterator[Finding]:
    """Only where it was tried some times in vain: right after a failover, or during the next, it goes on."""
    dcs = Dcs(0) if isinstance(view.control, Unknown) else view.control
    wanted, tries = due(dcs), sum(dcs.budget.get((n, RECONCILE), 0) for n in spec.archives)
    for node, facts in _facts(spec, view) if wanted is not None and tries >= IN_VAIN else ():
        if facts.reconcile in {"failed", "unfinished"}:
            left = f", {facts.unfinished} images could not be stored again" if facts.unfinished else ""
            yield finding("RECONCILE_NEEDED", node, f"timeline {wanted}: {facts.reconcile}{left}")


def signing(spec: ClusterSpec, view: ClusterView) -> Iterator[Finding]:
    for node, facts in _facts(spec, view) if spec.archive.signing is not None else ():
        if facts.signs is not None and facts.signs > FOLLOWS:
            yield finding("SIGNING_BEHIND", node, f"no good look for {facts.signs:.0f} s")


CHECKS = (damage, overdue, follows, unreconciled, signing)
