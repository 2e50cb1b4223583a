"""One lab for all acceptance tests. They may run in any order: each begins and ends healthy."""

from __future__ import annotations

import gc
import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from hactl.lab import faults
from hactl.lab.lab import Lab
from tests.support import control, labs
from tests.support.labs import Site


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    here = Path(__file__).parent
    for item in items:
        if item.path.is_relative_to(here):
            item.add_marker(pytest.mark.lab)
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


@pytest.fixture
def site(lab: Lab, histories: Path) -> Iterator[Site]:
    """The test runs where the operator sits; before and after it everything is on, plugged in and healthy."""
    with labs.operators_network(lab):
        site = Site(lab, histories)
        faults.heal(lab)
        control.forget_limits(lab)
        site.healthy()
        try:
            yield site
        finally:
            faults.heal(lab)
        site.healthy()


@pytest.fixture(autouse=True)
def collected() -> Iterator[None]:
    """Before the next test, which may not expect such a warning."""
    yield
    gc.collect()
