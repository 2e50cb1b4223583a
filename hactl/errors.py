"""The one exception tree: a class says what its caller should do next.

HactlError                1   a bug, or something nobody foresaw
├── SpecError             2   edit the spec; carries every problem found
├── UsageError            2   call it differently
├── Refused               3   a guard vetoed; carries every veto
├── Unreachable           4   could not look or speak; try again
├── StepFailed            5   look: names the last step that was done
├── LockHeld              6   another operation is under way
└── NotHealthy            7   the question was "is it healthy?" and the answer is no
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar


class HactlError(Exception):
    """Base of all errors meant for a user's eyes: one sentence, and a hint that names the next command."""

    exit_code: ClassVar[int] = 1

    def __init__(self, message: str, *, hint: str = "") -> None:
        super().__init__(message)
        self.message = message
        self.hint = hint


class UsageError(HactlError):
    exit_code = 2


@dataclass(frozen=True)
class Problem:
    """One thing wrong with a spec: where (dotted path), what stands there, why it is wrong, what to do.

    `line` counts from 1; 0 where no line can be named, for example for a missing key.
    """

    path: str
    value: str
    reason: str
    hint: str = ""
    line: int = 0


class SpecError(HactlError):
    """The spec cannot be used. `problems` holds all of them, `source` the file they were found in."""

    exit_code = 2

    def __init__(self, source: str, problems: Sequence[Problem]) -> None:
        n = len(problems)
        super().__init__(f"{source}: {n} problem{'s' if n != 1 else ''}", hint="hactl spec schema")
        self.source = source
        self.problems = tuple(problems)


class Refused(HactlError):
    """A guard said no. `vetoes` are sentences, all of them, not only the first."""

    exit_code = 3

    def __init__(self, message: str, vetoes: Sequence[str] = (), *, hint: str = "") -> None:
        super().__init__(message, hint=hint)
        self.vetoes = tuple(vetoes)


class Unreachable(HactlError):
    exit_code = 4


class StepFailed(HactlError):
    """A step of a longer work failed; `last_done` names the last step that was completed."""

    exit_code = 5

    def __init__(self, message: str, *, last_done: str = "", hint: str = "") -> None:
        super().__init__(message, hint=hint)
        self.last_done = last_done


class LockHeld(HactlError):
    exit_code = 6


class NotHealthy(HactlError):
    exit_code = 7
