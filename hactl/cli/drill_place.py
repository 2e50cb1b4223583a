"""Where a drill takes place, and what can be done there: a lab, or an installation that people rely on."""

from __future__ import annotations

import contextlib
import dataclasses
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager
from typing import TYPE_CHECKING, Protocol

from hactl.cli.context import Context
from hactl.cli.drill_switchover import switched
from hactl.cli.labdrill import in_lab, keyed, lab_ground, primary_of
from hactl.decide.drill import SWITCHOVER
from hactl.drill.scenarios import Scenario
from hactl.lab import faults
from hactl.lab.lab import Lab

if TYPE_CHECKING:
    from hactl.drill.ground import Ground


class Place(Protocol):
    """`blind`: what nobody can look at here, as the history calls it."""

    @property
    def of_lab(self) -> bool: ...
    @property
    def blind(self) -> tuple[str, ...]: ...
    def ground(self) -> Ground: ...
    def primary(self) -> str: ...

    def injected(self, kind: str, node: str, word: str = "") -> AbstractContextManager[None]:
        """Breaks it on entry, mends it on exit, however the block ends."""

    def watched(self, scenario: Scenario, node: str) -> AbstractContextManager[Callable[[], None]]:
        """What it gives raises StepFailed once something is found that the fault does not explain."""

    def heal(self) -> None:
        """Nothing stays broken, whatever was."""

    def tidy(self, run: str) -> list[str]:
        """Takes away what the drill stored; what could not be, in a sentence each."""


class LabPlace:
    """All may be broken here, all is seen, and what is stored may stay."""

    of_lab = True

    def __init__(self, context: Context) -> None:
        self._context = context
        self.lab = Lab.open(in_lab(context))
        self.blind: tuple[str, ...] = ()

    def ground(self) -> Ground:
        return dataclasses.replace(lab_ground(self.lab), keyed=keyed(self._context))

    def primary(self) -> str:
        return primary_of(self.lab)

    def injected(self, kind: str, node: str, word: str = "") -> AbstractContextManager[None]:
        if kind == SWITCHOVER:
            return switched(self._context, node)
        return faults.injected(self.lab, kind, node, word)

    @contextlib.contextmanager
    def watched(self, _scenario: Scenario, _node: str) -> Iterator[Callable[[], None]]:
        """Where faults may come in pairs, and the machine be busy, nothing is a surprise."""
        yield lambda: None

    def heal(self) -> None:
        faults.heal(self.lab)

    def tidy(self, _run: str) -> list[str]:
        return []


def place(context: Context, *, production: bool) -> Place:
    """`production`: a lab is treated as what it stands for."""
    if context.site.lab is not None and not production:
        return LabPlace(context)
    from hactl.cli.drill_real import RealPlace

    return RealPlace(context)
