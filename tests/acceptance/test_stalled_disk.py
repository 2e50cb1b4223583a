"""The primary's data disk takes nothing any more. Leases do not lie on it, so Patroni alone never notices."""

from __future__ import annotations

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


def named(site: Site) -> None:
    site.until("said that the disk stalls", lambda status: "DISK_STALLED" in codes(status), within=WITHIN)


def codes(status: dict[str, object]) -> set[str]:
    reasons = status["reasons"]
    assert isinstance(reasons, list)
    return {r["code"] for r in reasons}


def orders(site: Site) -> list[dict[str, str]]:
    rows = control.hactl(site.lab, "history")["events"]
    return [row for row in rows if row["what"] == "give-order" and "stop-postgres" in row["subject"]]
