from __future__ import annotations

import pytest

from tests.support import leftovers


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption(
        "--write-golden", action="store_true", help="Write tests/golden/ anew from what is rendered now."
    )


def pytest_configure(config: pytest.Config) -> None:
    """Before anything is started. Workers of pytest-xdist belong to the run that began them."""
    leftovers.run_name()
    if not hasattr(config, "workerinput"):
        swept[:] = leftovers.sweep()


swept: list[str] = []


def pytest_report_header() -> list[str]:
    return [f"left by a run that was killed, and ended now: {one}" for one in swept]
