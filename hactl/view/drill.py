"""What the last drill came to, as the key `drill` in etcd keeps it for metrics."""

from __future__ import annotations

import dataclasses
import json
from dataclasses import dataclass

from hactl.view.parse.fields import document, mapping, number, text


@dataclass(frozen=True)
class LastDrill:
    """`at`: Unix time of its end. `outage`: seconds; None: no new connection could commit."""

    at: float
    scenario: str
    clean: bool
    outage: float | None = None
    lost_rows: int = 0


def drill_text(found: LastDrill) -> str:
    return json.dumps(dataclasses.asdict(found), sort_keys=True, separators=(",", ":"))


def parse_drill(value: str) -> LastDrill:
    """Raises ValueError: it is something else."""
    found = mapping(document(value.encode(), "drill"), "drill")
    outage = found.get("outage")
    return LastDrill(
        at=_seconds(found.get("at"), "at"),
        scenario=text(found.get("scenario"), "scenario"),
        clean=found.get("clean") is True,
        outage=None if outage is None else _seconds(outage, "outage"),
        lost_rows=number(found.get("lost_rows")) or 0,
    )


def _seconds(value: object, name: str) -> float:
    if isinstance(value, bool) or not isinstance(value, int | float) or not 0 <= value < 1e12:
        raise ValueError(f"drill: {name} is no time")
    return float(value)
