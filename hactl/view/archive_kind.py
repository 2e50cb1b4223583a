"""What can be known of a kind of archive software, and done with it. Pure; docs/archive-kinds.md."""

from __future__ import annotations

import enum
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Final

SERVING: Final = ("L0", "L1", "L2", "L3")  # the levels that decide whether a node serves


class Ability(enum.StrEnum):
    """What hactl may be asked to do with an archive, or does by itself. The value is the word for it."""

    START = "start"
    STOP = "stop"
    RESTART = "restart"
    DRAIN = "drain"
    REDEPLOY = "redeploy"
    RECONCILE = "reconcile"
    SCRUB = "scrub"
    MANIFEST = "manifest"
    LINT = "lint"
    SIGN = "sign"
    FORGET = "remove what a probe stored"


@dataclass(frozen=True)
class Abilities:
    """`does`: what is possible. `why_not`: one sentence for everything that is not.

    `unseen`: levels that nobody can tell, and why: they are unknown for ever, which makes no archive worse.
    """

    does: frozenset[Ability] = frozenset(Ability)
    why_not: str = ""
    unseen: Mapping[str, str] = field(default_factory=dict)

    @property
    def serving(self) -> tuple[str, ...]:
        """The levels that decide whether it serves."""
        return tuple(level for level in SERVING if level not in self.unseen)

    @property
    def mended(self) -> bool:
        """Whether anything that hactl does could help an archive that fails."""
        return not self.does.isdisjoint({Ability.RESTART, Ability.DRAIN, Ability.REDEPLOY})


ABLE: Final = Abilities()  # of what hactl runs itself


@dataclass(frozen=True)
class Program:
    """How root starts and stops an archive on its node: a unit, and the act that stops it for good."""

    unit: str
    stop: str
