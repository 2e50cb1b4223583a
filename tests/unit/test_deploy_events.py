from __future__ import annotations

from typing import Any

import pytest

from hactl.deploy.events import Journal, Progress, diff_text
from hactl.errors import StepFailed, Unreachable


def event(kind: str, **data: Any) -> dict[str, Any]:
    return {"event": kind, "event_data": data}


def ok(host: str, task: str, **result: Any) -> dict[str, Any]:
    return event("runner_on_ok", host=host, task=task, res=result)


def failed(host: str, task: str, kind: str = "runner_on_failed", **result: Any) -> dict[str, Any]:
    return event(kind, host=host, task=task, res=result)


def test_only_changes_are_told_and_kept() -> None:
    journal = Journal()
    assert journal.take(ok("db1", "Files", changed=False)) is None
    told = journal.take(ok("db1", "Files", changed=True, written=["/etc/a"]))
    assert told == Progress("changed", "Files", "db1", "/etc/a")
    assert [(c.node, c.what) for c in journal.changes] == [("db1", ("/etc/a",))]


def test_a_loop_is_counted_by_its_items() -> None:
    journal = Journal()
    journal.take(event("runner_item_on_ok", host="db1", task="Accounts", res={"changed": True}))
    journal.take(ok("db1", "Accounts", changed=True, results=[{"changed": True}]))
    assert len(journal.changes) == 1


def test_what_was_done_to_a_unit_is_said() -> None:
    told = Journal().take(ok("db1", "etcd", changed=True, action="restart"))
    assert told is not None
    assert told.detail == "restart"


def test_a_role_is_not_part_of_a_tasks_name() -> None:
    told = Journal().take(event("playbook_on_task_start", task="etcd : Files", role="etcd"))
    assert told == Progress("task", "Files")


def test_a_failure_names_node_task_reason_and_the_last_step_done() -> None:
    journal = Journal()
    journal.take(ok("db1", "Packages"))
    journal.take(failed("db2", "Files", msg="no user etcd"))
    error = journal.error(2)
    assert isinstance(error, StepFailed)
    assert error.message == "db2: Files: no user etcd"
    assert error.last_done == "db1: Packages"
    assert error.exit_code == 5


def test_a_lost_node_is_unreachable_even_when_others_failed_too() -> None:
    journal = Journal()
    journal.take(failed("db1", "Files", msg="x"))
    journal.take(failed("db2", "Files", "runner_on_unreachable", msg="timed out"))
    error = journal.error(4)
    assert isinstance(error, Unreachable)
    assert error.message.startswith("db2 cannot be reached (timed out)")


def test_ignored_failures_do_not_count() -> None:
    journal = Journal()
    journal.take({"event": "runner_on_failed", "event_data": {"host": "a", "res": {}, "ignore_errors": True}})
    assert journal.error(0) is None


def test_ansible_that_never_began_says_why() -> None:
    error = Journal().error(4, "ERROR! no such playbook")
    assert isinstance(error, StepFailed)
    assert "no such playbook" in error.message


def test_what_a_looped_task_says_is_found_in_its_items() -> None:
    told = Journal().take(
        failed("a", "Environments", msg="One item failed", results=[{"failed": True, "msg": "disk full"}])
    )
    assert told is not None
    assert told.detail == "One item failed / disk full"


def test_hidden_output_stays_hidden() -> None:
    told = Journal().take(failed("a", "x", censored="the output has been hidden", msg=""))
    assert told is not None
    assert "hidden" in told.detail


@pytest.mark.parametrize("diff", [None, [], {}, "text", [{"prepared": "x"}]])
def test_no_difference_is_an_empty_text(diff: object) -> None:
    assert diff_text(diff) == ""


def test_a_difference_is_unified_with_its_headers() -> None:
    text = diff_text(
        [{"before": "a\nb\n", "after": "a\nc\n", "before_header": "/f (0644)", "after_header": "/f (0600)"}]
    )
    assert text.splitlines() == ["--- /f (0644)", "+++ /f (0600)", "@@ -1,2 +1,2 @@", " a", "-b", "+c"]
