"""A change is judged as a whole, before anything is written."""

from __future__ import annotations

from typing import Any

from hactl.decide.config_change import Altered, judge_change, not_taken, to_try
from tests.support.settings import running, setting

SERVERS = {"db1": running(), "db2": running()}


def config(**parameters: Any) -> dict[str, Any]:
    return {"ttl": 20, "loop_wait": 1, "retry_timeout": 5, "postgresql": {"parameters": parameters}}


def test_a_reload_is_a_reload_and_a_restart_is_said() -> None:
    found = judge_change(config(work_mem="4MB"), config(work_mem="8MB", max_connections=300), SERVERS)
    assert found.problems == ()
    assert found.changes == (
        Altered("max_connections", "", "300", restarts=True),
        Altered("work_mem", "4MB", "8MB", restarts=False),
    )
    assert "hactl node restart --all --pending" in " ".join(found.warnings)


def test_what_still_runs_so_needs_no_restart() -> None:
    found = judge_change(config(max_connections=300), config(max_connections=200), SERVERS)
    assert found.changes == (Altered("max_connections", "300", "200", restarts=False),)
    assert found.warnings == ()


def test_all_problems_are_said_at_once() -> None:
    after = config(work_mem="1kB", max_connections=10, no_such_thing=1, fsync="off", wal_segment_size="32MB")
    found = " / ".join(judge_change(config(), after, SERVERS).problems)
    for part in (
        "work_mem must lie between", "Patroni takes its own 100", "knows no such parameter",
        "fsync cannot be set here", "initialised with it",
    ):  # fmt: skip
        assert part in found


def test_what_was_wrong_before_is_said_too_only_if_it_stays() -> None:
    assert judge_change(config(max_connections=10), config(), SERVERS).problems == ()
    assert judge_change(config(max_connections=10), config(max_connections=10), SERVERS).problems


def test_a_limit_that_is_lowered_restarts_the_primary_first() -> None:
    found = judge_change(config(max_connections=200), config(max_connections=150), SERVERS)
    assert "outage of seconds" in " ".join(found.warnings)
    raised = judge_change(config(max_connections=200), config(max_connections=250), SERVERS)
    assert "outage of seconds" not in " ".join(raised.warnings)
    unset = judge_change(config(max_connections=200), config(), SERVERS)
    assert "outage of seconds" in " ".join(unset.warnings)


def test_each_server_has_its_word() -> None:
    older = running(work_mem=setting("work_mem", high="5000"))
    found = judge_change(config(), config(work_mem="8MB"), {"db1": running(), "db2": older})
    assert len(found.problems) == 1


def test_the_same_value_in_other_words_warns_of_nothing() -> None:
    found = judge_change(config(shared_buffers="128MB"), config(shared_buffers=16384), SERVERS)
    assert (found.problems, found.warnings) == ((), ())


def test_what_a_session_can_try_is_tried() -> None:
    found = judge_change(
        config(), config(log_timezone="Mars/Olympus", work_mem="8MB", autovacuum="on"), SERVERS
    )
    asked = to_try(found, SERVERS["db1"].settings)
    assert asked == {"timezone": "Mars/Olympus", "work_mem": "8MB"}
    said = not_taken(found, {"timezone": "invalid value"})
    assert said == ("log_timezone: invalid value",)
