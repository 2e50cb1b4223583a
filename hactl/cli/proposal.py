"""What a command is about to do: asked for, refused or explained before anything is touched."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from hactl.decide.plan import Veto


@dataclass(frozen=True)
class Proposal:
    """What a command is about to do. `question` is asked; `refused` is how its refusal begins.

    For --explain: `asks` are the lists of questions (decide/asked.py; none: that of `action`), `idle` those
    that an option has made idle, with the option.
    """

    action: str
    node: str
    question: str
    refused: str
    steps: tuple[str, ...] = ()
    vetoes: tuple[Veto, ...] = ()
    notes: tuple[str, ...] = ()
    hint: str = "hactl status"
    more: Mapping[str, Any] = field(default_factory=dict)
    asks: tuple[str, ...] = ()
    idle: Mapping[str, str] = field(default_factory=dict)
