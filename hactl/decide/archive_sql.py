"""Does SQL work through the database's virtual IP? While it does not, an archive that waits is not ill."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from hactl.decide.pacing import reached
from hactl.view.control import ControlView, Dcs
from hactl.view.incident import Phase

WORKS: Final = 10.0  # seconds that it must have worked before an archive's silence is the archive's own
AWAY: Final = 2  # commits that failed in a row: one alone may be a lost packet
BUDGET: Final = 30.0  # how long an outage may be a failover: as long nobody asks an index, or complains
_OLD: Final = 5.0  # there is a commit each second


@dataclass(frozen=True)
class Sql:
    """`works_for`: seconds that commits have succeeded; 0: not now, or not known.

    `away_for`: seconds that it surely has not worked; 0: it does, or that is not known.
    """

    works_for: float = 0.0
    away_for: float = 0.0
    why: str = ""

    @property
    def calm(self) -> bool:
        return self.works_for >= WORKS

    @property
    def fails_over(self) -> bool:
        """It is away, and may come back by itself: nobody shall be blamed for waiting."""
        return 0.0 < self.away_for < BUDGET


def sql(view: ControlView, watched: float, now: float) -> Sql:
    """As the controller's heartbeat and the open incident tell. Never guesses: not known is not working.

    `watched`: since when this controller has been looking; what happened before it does not know.
    """
    beat = view.heartbeat
    if not isinstance(view.dcs, Dcs):
        return Sql(why=f"etcd: {view.dcs.why}")
    since = max(0.001, now - (watched if beat.last_ok is None else beat.last_ok))
    if view.dcs.incident is not None and not reached(view.dcs, Phase.FIRST_COMMIT):
        return Sql(away_for=since, why="the database fails over")
    if beat.misses >= AWAY:
        return Sql(away_for=since, why=f"{beat.misses} commits failed in a row: {beat.why}")
    if beat.misses or beat.last_ok is None or beat.since is None:
        return Sql(why=beat.why or "no commit has been seen yet")
    if since > _OLD:
        return Sql(why=f"the last commit was seen {since:.0f} s ago")
    return Sql(works_for=max(0.0, now - beat.since))
