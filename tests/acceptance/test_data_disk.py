"""The primary's data disk takes nothing any more, or is full. No lease lies on it: Patroni never notices."""

from __future__ import annotations

from typing import Any

from hactl.lab import faults
from tests.support import control
from tests.support.failovers import take_over
from tests.support.labs import Site

LIMIT = 14.0  # seconds, on a busy machine; the budget is 8, and tests/bench measures it
WITHIN = 20.0


def test_a_stalled_data_disk_costs_a_few_seconds_and_is_named(site: Site) -> None:
    before = len(orders(site))
    done = take_over(
        site,
        "stall-disk",
        lambda node: faults.fault("stall-disk").inject(site.lab, node),
        limit=LIMIT,
        meanwhile=lambda: named(site),
    )
    assert [o["subject"] for o in orders(site)[before:]][:1] == [f"{done.victim} stop-postgres"]
    control.hactl(site.lab, "journal", "verify")


def test_a_full_data_disk_moves_the_primary_to_where_there_is_room(site: Site) -> None:
    """Heartbeats still go, into a page that is there; what needs a new one fails."""
    before, victim = len(orders(site)), site.primary
    done = take_over(
        site,
        "fill-disk",
        lambda node: faults.fault("fill-disk").inject(site.lab, node),
        limit=LIMIT,
        meanwhile=lambda: moved(site, victim),
    )
    assert [o["subject"] for o in orders(site)[before:]] == [f"{done.victim} stop-postgres"]
    assert "is full" in orders(site)[-1]["reason"]


def moved(site: Site, victim: str) -> None:
    def is_so(status: dict[str, Any]) -> bool:
        return status["database"]["primary"] not in {None, victim} and "DISK_NEARLY_FULL" in codes(status)

    site.until(f"taken over from {victim}", is_so, within=60)


def named(site: Site) -> None:
    site.until("said that the disk stalls", lambda status: "DISK_STALLED" in codes(status), within=WITHIN)


def codes(status: dict[str, Any]) -> set[str]:
    return {r["code"] for r in status["reasons"]}


def orders(site: Site) -> list[dict[str, str]]:
    rows = control.hactl(site.lab, "history")["events"]
    return [row for row in rows if row["what"] == "give-order" and "stop-postgres" in row["subject"]]
