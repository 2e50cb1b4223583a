"""One lab for all acceptance tests. They may run in any order: each begins and ends healthy."""

from __future__ import annotations

import gc
import os
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from hactl.lab import faults
from hactl.lab.lab import Lab
from tests.support import control, labs
from tests.support.labs import Site

# One of each kind of fault, the fastest: `./bootstrap acceptance -m core`. docs/faults.md has them all.
CORE = frozenset({
    "test_a_drill_is_run_judged_recorded_and_reported",
    "test_a_lost_host_costs_two_seconds",
    "test_a_silent_host_is_powered_off_before_another_takes_over",
    "test_a_stalled_data_disk_costs_a_few_seconds_and_is_named",
    "test_an_orthanc_killed_in_the_middle_of_a_store",
    "test_everything_acknowledged_survives_and_the_old_primary_rejoins",
    "test_nothing_happens_to_the_data_path",
    "test_patroni_recovers_and_nothing_acknowledged_is_lost",
    "test_the_active_controller_dies_during_a_failover",
    "test_the_primary_goes_on_alone_and_takes_the_standby_back",
    "test_the_standby_becomes_primary_and_nothing_is_lost",
})  # fmt: skip
JUST_NOW = 2.0  # seconds; a test that does not use `site` in between has labs of its own, and takes longer


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    here = Path(__file__).parent
    for item in items:
        if item.path.is_relative_to(here):
            item.add_marker(pytest.mark.lab)
            if isinstance(item, pytest.Function) and item.originalname in CORE:
                item.add_marker(pytest.mark.core)
            # pynetdicom leaves the socket of a failed association to the garbage collector.
            item.add_marker(pytest.mark.filterwarnings("ignore:unclosed <:ResourceWarning"))


@pytest.fixture(scope="session")
def lab() -> Iterator[Lab]:
    """Up and deployed. HACTL_KEEP_LAB=1 leaves it up for the next run, which then starts at once."""
    yield labs.bring_up()
    if os.environ.get("HACTL_KEEP_LAB") != "1":
        labs.take_down()


@pytest.fixture(scope="session")
def histories(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """HACTL_HISTORIES names a folder that outlives the run."""
    kept = os.environ.get("HACTL_HISTORIES")
    return Path(kept) if kept else tmp_path_factory.mktemp("histories")


class Seen:
    """When the lab was last healed and found healthy, in monotonic seconds."""

    at = float("-inf")


@pytest.fixture(scope="session")
def seen() -> Seen:
    return Seen()


@pytest.fixture
def site(lab: Lab, histories: Path, seen: Seen) -> Iterator[Site]:
    """The test runs where the operator sits; before and after it everything is on, plugged in and healthy.

    What the test before it has just made sure of is not looked at twice.
    """
    with labs.operators_network(lab):
        site, unseen = Site(lab, histories), time.monotonic() - seen.at > JUST_NOW
        if unseen:
            faults.heal(lab)
        control.forget_limits(lab)
        if unseen:
            site.healthy()
        seen.at = float("-inf")
        try:
            yield site
        finally:
            faults.heal(lab)
        site.healthy()
        seen.at = time.monotonic()


@pytest.fixture(autouse=True)
def collected() -> Iterator[None]:
    """Before the next test, which may not expect such a warning."""
    yield
    gc.collect()
