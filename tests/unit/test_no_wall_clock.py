"""I9: what decides and acts reads no wall clock. NTP may turn it back; a decision must not notice."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest

import hactl

ROOT = Path(hactl.__file__).parent
DECIDING = ("decide", "controller", "agent", "act")
# Calls that read a wall clock, by their last two names; `wall` is the method of hactl.ports.Clock.
MODULES = {
    "time": {"time", "time_ns", "localtime", "gmtime", "ctime", "strftime"},
    "datetime": {"now", "utcnow", "today"},
    "date": {"today"},
}
WALL = {"wall", "_wall", "unix", "_unix"}
# Where it is read all the same, and what for: to be read by people. No branch depends on any of these.
PRESENTATION = {
    "act/approvals.py: _ask": "since when a second person is asked for; a lease of etcd ends it",
    "act/archive.py: now_text": "since when a drain stands, for status",
    "act/archive_turn.py: _drain": "since when a drain stands, for status",
    "act/config_versions.py: _following": "when a version of the configuration was taken",
    "act/config_versions.py: applied": "when it was applied",
    "act/forced_incident.py: mark": "a stamp's second time, for readers of the incident",
    "act/incident.py: _wall": "a stamp's second time, for readers of the incident",
    "act/maintenance.py: _draft": "the wall clock of an operator's journal record",
    "act/operation.py: held": "since when the operation lock is held, for whoever comes second",
    "act/operation.py: _refused": "how long ago that was, in the sentence of a refusal",
    "act/node_stop.py: leave_alone": "since when and until when, for status; a lease of etcd ends it",
    "agent/certificates.py: __call__": "a certificate ends at a date: which end soon is reported",
    "agent/certificates.py: __init__": "a certificate ends at a date: how many days are left is reported",
    "controller/journal.py: _draft": "a journal record's second time",
    "controller/journal_copy.py: __init__": "when a copy noted a gap",
    "controller/journal_copy.py: _write": "when a copy noted a gap",
    "controller/journal_copy.py: step": "when a copy noted a fork",
    "controller/journal_copy.py: _wall": "when a copy noted a gap",
    "controller/main.py: _serve": "since when a controller is active, for status",
}
# Where a person named a time of day. A clock that jumps moves the appointment; it lets no veto fall.
# That it was turned is itself what is looked for, because Patroni reckons by it.
TURNED = {"agent/clock_back.py: _wall_ahead": "how far it is ahead of CLOCK_BOOTTIME"}
APPOINTED = {"controller/tick.py: _decide": "a switchover for later is due (decide_scheduled)"}
ALLOWED = PRESENTATION.keys() | APPOINTED.keys() | TURNED.keys()


def test_no_decision_reads_a_wall_clock() -> None:
    found = {place for package in DECIDING for place in readers(ROOT / package)}
    assert found - ALLOWED == set()


def test_the_list_of_exceptions_has_no_old_ones() -> None:
    found = {place for package in DECIDING for place in readers(ROOT / package)}
    assert ALLOWED - found == set()


@pytest.mark.parametrize(
    "code",
    [
        "import time\ndef f(): return time.time()",
        "import datetime as dt\ndef f(): return dt.datetime.now(tz=dt.UTC)",
        "from datetime import date\ndef f(): return date.today()",
        "def f(clock): return clock.wall()",
        "from time import time\ndef f(): return time()",
        "from time import time_ns as ns\ndef f(): return ns()",
        "import time\ndef f(): return sorted([], key=time.time)",
        "import time\ndef f(): return time.clock_gettime(time.CLOCK_REALTIME)",
        "def f(clock): read = clock.wall\n",
    ],
)
def test_the_check_finds(code: str) -> None:
    assert list(found_in(ast.parse(code))) == ["f"]


@pytest.mark.parametrize(
    "code",
    [
        "import time\ndef f(): return time.monotonic()",
        "import datetime as dt\ndef f(x): return dt.datetime.fromisoformat(x)",
        "def f(record): return record.wall",
        "import time\ndef f(): return time.clock_gettime(time.CLOCK_BOOTTIME)",
    ],
)
def test_the_check_lets_pass(code: str) -> None:
    assert list(found_in(ast.parse(code))) == []


def readers(package: Path) -> Iterator[str]:
    """ "act/archive.py: function", of each function that reads a wall clock."""
    for file in sorted(package.rglob("*.py")):
        for function in found_in(ast.parse(file.read_text(encoding="utf-8"))):
            yield f"{file.relative_to(ROOT)}: {function}"


def found_in(tree: ast.Module) -> Iterator[str]:
    names = {
        (alias.asname or alias.name): alias.name
        for node in ast.walk(tree)
        if isinstance(node, ast.ImportFrom) and node.module == "time"
        for alias in node.names
    }
    for function in ast.walk(tree):
        if isinstance(function, ast.FunctionDef) and any(reads(n, names) for n in ast.walk(function)):
            yield function.name


def reads(node: ast.AST, names: dict[str, str]) -> bool:
    if isinstance(node, ast.Name):
        return names.get(node.id) in MODULES["time"]
    if not isinstance(node, ast.Attribute):
        return False
    if node.attr == "CLOCK_REALTIME":
        return True
    owner = node.value.attr if isinstance(node.value, ast.Attribute) else getattr(node.value, "id", "")
    if node.attr in WALL:
        return owner in {"clock", "clocks", "_clock", "_clocks", "self"} or node.attr != "wall"
    return node.attr in MODULES.get(owner, set())
