"""The minute's end-to-end check, run in a process of its own."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import pytest

from hactl.agent.archive_check import Checks, argv
from hactl.errors import Unreachable
from hactl.view.archive import EndToEnd
from hactl.view.model import Unknown


@dataclass
class Ran:
    out: str = ""
    err: str = ""


def test_it_is_this_very_hactl_that_is_called() -> None:
    words = argv("arc1")
    assert words[1:] == ("-m", "hactl", "-o", "json", "archive", "probe", "--on-node", "arc1")


@pytest.mark.parametrize(
    ("ran", "last"),
    [
        pytest.param(
            Ran('{"ok": true, "at": 5.0, "took": {"store": 0.1}}'),
            EndToEnd(True, 5.0, {"store": 0.1}),
            id="ok",
        ),
        pytest.param(
            Ran('{"ok": false, "at": 5.0, "why": "find: no"}'),
            EndToEnd(False, 5.0, {}, "find: no"),
            id="failed",
        ),
        pytest.param(
            Ran("", "x\nhactl: no certificate\n"),
            Unknown("the end-to-end check said: hactl: no certificate"),
            id="it could not begin",
        ),
        pytest.param(Ran("[]"), Unknown("the end-to-end check said: nothing"), id="no result"),
    ],
)
def test_what_came_of_it(ran: Ran, last: EndToEnd | Unknown) -> None:
    told = []
    checks = Checks("arc1", lambda _: ran, lambda: told.append(True))
    checks.once()
    assert checks.last() == last
    assert told == [True]


def test_a_check_that_hangs_is_unknown_and_not_failed() -> None:
    def hangs(words: Sequence[str]) -> Ran:
        raise Unreachable(f"{words[1]} gave no answer within 25 s")

    checks = Checks("arc1", hangs)
    assert isinstance(checks.last(), Unknown)
    checks.once()
    assert checks.last() == Unknown("-m gave no answer within 25 s")


def test_after_a_failure_the_next_check_is_soon_and_then_less_and_less() -> None:
    said = [Ran('{"ok": false, "at": 5.0, "why": "find: no"}')] * 6 + [Ran('{"ok": true, "at": 9.0}')] * 2
    checks = Checks("arc1", lambda _: said.pop(0))
    assert [checks.once() for _ in range(8)] == [5.0, 10.0, 20.0, 40.0, 60.0, 60.0, 60.0, 60.0]
