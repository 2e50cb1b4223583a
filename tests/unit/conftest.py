"""What keeps the unit tests fast; docs/architecture.md (Tests) says how to run the properties for long."""

from __future__ import annotations

import gc
import os
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from hypothesis import HealthCheck, settings

if TYPE_CHECKING:
    from hactl.pki.store import Store
    from tests.support.pki import Clock

# A busy machine is no finding: no deadline for an example, no complaint about slow generation.
_CALM = settings(deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.register_profile("quick", _CALM, max_examples=25)
settings.register_profile("thorough", _CALM, max_examples=1000)
settings.load_profile(os.environ.get("HYPOTHESIS_PROFILE", "quick"))


def pytest_collection_finish() -> None:
    gc.freeze()  # what was imported stays: no need to look through it again and again


@pytest.fixture(autouse=True, scope="module")
def _quick_keys_and_files() -> Iterator[None]:
    """Keys of 3072 bits take 0.1 s and more each; test_pki_ca alone looks at their length.

    No test outlives a power cut; test_pki_crashes counts the calls of fsync by a fake of its own.
    """
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("hactl.pki.ca.RSA_BITS", 1024)
        patch.setattr(os, "fsync", lambda _: None)
        yield


# Of the PKI's tests. Imported here when one of them runs: not every run shall pay for it.


@pytest.fixture
def clock() -> Clock:
    from tests.support.pki import Clock

    return Clock()


@pytest.fixture
def store(tmp_path: Path, clock: Clock) -> Store:
    """One node, so that nothing takes long."""
    from tests.support.pki import ready

    return ready(tmp_path, clock)
