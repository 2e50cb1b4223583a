"""What the last drill came to, as the key `drill` in etcd keeps it for metrics."""

from __future__ import annotations

import dataclasses
import json
from dataclasses import dataclass

from hactl.view.parse.fields import document, mapping, number, text


@dataclass(frozen=True)
class LastDrill:
    """`at`: Unix time of its end. `outage`: seconds; None: no new connection could commit.

    `aborted`: it stopped early and is no proof; `proved` is then the Unix time at which the last one that
    went through ended, None: none ever did.
    """

    at: float
    scenario: str
    clean: bool
    outage: float | None = None
    lost_rows: int = 0
    aborted: bool = False
    proved: float | None = None

    @property
    def judged(self) -> float | None:
        """Unix time of the end of the last one that went through."""
        return self.proved if self.aborted else self.at

    def stopped(self, before: str | None) -> LastDrill:
        """As one that stopped early, after the one that this text tells of. What is no such text is none."""
        try:
            proved = parse_drill(before).judged if before else None
        except ValueError:
            proved = None
        return dataclasses.replace(self, aborted=True, proved=proved)


def drill_text(found: LastDrill) -> str:
    return json.dumps(dataclasses.asdict(found), sort_keys=True, separators=(",", ":"))


def parse_drill(value: str) -> LastDrill:
    """Raises ValueError: it is something else."""
    found = mapping(document(value.encode(), "drill"), "drill")
    outage, proved = found.get("outage"), found.get("proved")
    return LastDrill(
        at=_seconds(found.get("at"), "at"),
        scenario=text(found.get("scenario"), "scenario"),
        clean=found.get("clean") is True,
        outage=None if outage is None else _seconds(outage, "outage"),
        lost_rows=number(found.get("lost_rows")) or 0,
        aborted=found.get("aborted") is True,
        proved=None if proved is None else _seconds(proved, "proved"),
    )


def _seconds(value: object, name: str) -> float:
    if isinstance(value, bool) or not isinstance(value, int | float) or not 0 <= value < 1e12:
        raise ValueError(f"drill: {name} is no time")
    return float(value)
