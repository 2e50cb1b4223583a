from __future__ import annotations

import pytest

from hactl.cli import deploy as command
from hactl.deploy.events import Change, Progress
from hactl.deploy.run import Result

CHANGE = Change("db1", "Files", ("/etc/a",), "--- a\n+++ b")


def result(*changes: Change, check: bool = False) -> Result:
    return Result(first=False, check=check, changes=changes, tasks=9, seconds=12.4)


@pytest.mark.parametrize(
    ("given", "text"),
    [
        (result(), "nothing to change; 12 s"),
        (result(CHANGE), "1 step changed 1 node; 12 s"),
        (result(CHANGE, Change("db2", "Files"), Change("db2", "etcd")), "3 steps changed 2 nodes; 12 s"),
        (result(CHANGE, check=True), "1 step would change 1 node; 12 s"),
    ],
)
def test_the_last_line(given: Result, text: str) -> None:
    assert command._summary(given) == text


def test_the_document_lists_every_change() -> None:
    data = command._data(result(CHANGE))
    assert data["changed"] == 1
    assert data["changes"] == [{"node": "db1", "task": "Files", "what": ["/etc/a"], "diff": "--- a\n+++ b"}]


def test_without_a_terminal_changes_are_lines_and_tasks_only_with_v(
    capsys: pytest.CaptureFixture[str],
) -> None:
    for verbose in (0, 1):
        with command._lines(verbose) as tell:
            tell(Progress("play", "etcd"))
            tell(Progress("task", "Files"))
            tell(Progress("changed", "Files", "db1", "/etc/a"))
    lines = [line.split("] ", 1)[1] for line in capsys.readouterr().err.splitlines()]
    assert lines == ["etcd", "    db1: Files: /etc/a", "etcd", "  Files", "    db1: Files: /etc/a"]
