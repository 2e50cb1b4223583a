"""What Patroni makes of a configuration, compared with Patroni's own code; what hactl keeps to itself."""

from __future__ import annotations

import itertools
from typing import Any

import pytest
from patroni.config import Config

from hactl.decide.config_rules import FLOORS, clamps, managed, together
from hactl.render.patroni import dynamic
from tests.support.settings import running, setting
from tests.support.specs import sample


def patronis_own(config: dict[str, Any]) -> dict[str, Any]:
    """What Patroni 4.1 goes by, from its own methods."""
    found = {**config}
    Config._validate_and_adjust_timeouts(Config.__new__(Config), found)
    parameters = config.get("postgresql", {}).get("parameters", {})
    # What it refuses is left out there, and its default stands.
    taken = Config._process_postgresql_parameters(parameters)
    return {
        **{n: found[n] for n in config if n in found and n != "postgresql"},
        **{n: taken.get(n, FLOORS[n][1]) for n in parameters if n in FLOORS},
    }


TIMES = itertools.product((5, 19, 20, 30, "40"), (0, 1, 2, 10, 30), (1, 3, 5, 9, 10, 14, 20))


@pytest.mark.parametrize(("ttl", "wait", "retry"), list(TIMES))
def test_times_are_replaced_as_patroni_replaces_them(ttl: Any, wait: int, retry: int) -> None:
    config = {"ttl": ttl, "loop_wait": wait, "retry_timeout": retry}
    used = {c.name: c.effective for c in clamps(config)}
    patroni = patronis_own(config)
    assert {n: used.get(n, str(config[n])) for n in config} == {n: str(patroni[n]) for n in config}


@pytest.mark.parametrize("name", sorted(FLOORS))
@pytest.mark.parametrize("value", [0, 1, 2, 3, 4, 9, 10, 24, 25, 31, 32, 64, 200, "200", "much"])
def test_parameters_are_replaced_as_patroni_replaces_them(name: str, value: Any) -> None:
    config = {"postgresql": {"parameters": {name: value}}}
    used = {c.name: c.effective for c in clamps(config)}
    assert used.get(name, str(value)) == str(patronis_own(config)[name])


def test_nothing_of_hactls_own_is_replaced() -> None:
    assert clamps(dynamic(sample())) == ()


def test_what_is_no_number_makes_patroni_ignore_all() -> None:
    (found,) = clamps({"ttl": "soon"})
    assert (found.name, found.effective) == ("ttl", "")
    assert "ignores the whole configuration" in found.why


def test_what_hactl_sets_itself_is_said_with_the_specs_field() -> None:
    assert "fencing.lease" in managed("ttl")
    assert "fencing.lease" in managed("wal_sender_timeout")
    assert "access.operators" in managed("ssl_cert_file")
    assert "hactl pause" in managed("pause")
    assert "acknowledged image survives" in managed("fsync")
    assert managed("work_mem") == ""
    assert managed("max_connections") == ""


@pytest.mark.parametrize(
    ("wanted", "why"),
    [
        ({"max_connections": 3}, "superuser_reserved_connections"),
        ({"superuser_reserved_connections": 200}, "less than max_connections"),
        ({"max_connections": 262000, "max_worker_processes": 200}, "processes"),
        ({"min_wal_size": "16MB"}, "two WAL segments"),
        ({"max_wal_size": 31}, "two WAL segments"),
        ({"min_wal_size": "rubbish"}, ""),
        ({"max_connections": 300}, ""),
    ],
)
def test_what_postgresql_would_not_start_with(wanted: dict[str, object], why: str) -> None:
    found = list(together(running().settings, wanted))
    assert (why in " ".join(found)) if why else not found


def test_larger_segments_need_more() -> None:
    larger = running(wal_segment_size=setting("wal_segment_size", value=str(64 * 1024**2)))
    assert len(list(together(larger.settings, {"min_wal_size": "80MB"}))) == 1
