"""The record of a drill that stopped early: what is known by then, and why it stopped. Pure."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any, Final

from hactl.drill.checker import judge
from hactl.drill.history import Event
from hactl.drill.record import STATIC, record
from hactl.drill.scenarios import Scenario

ABORTED: Final = "aborted"
# What a history shows whenever it ends; of rows and images nobody asked any more.
ALWAYS: Final = frozenset({"I1", "I2", "I4"})


def stopped(
    scenario: Scenario, events: Sequence[Event], about: Mapping[str, Any], why: str
) -> dict[str, Any]:
    """As `record`, with the verdict `aborted`: nothing is kept; what was seen to be broken is."""
    seen = judge(events, {})
    found = tuple(f for f in seen.findings if f.invariant in ALWAYS and f.evidence)
    known = record(scenario, replace(seen, findings=found), events, about, None)
    invariants = {i: "not judged" if state == "kept" else state for i, state in known["invariants"].items()}
    return {
        **known, "clean": False, "verdict": ABORTED, "why": why,
        "invariants": {**invariants, "I9": STATIC}, "rpo": {"lost_rows": None, "lost_commits": None},
    }  # fmt: skip
