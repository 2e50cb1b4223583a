"""What the page of a health code says besides the code itself: docs/codes/CODE.md is made of both."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Advice:
    """`itself`: what hactl does about it without being asked. `steps`: what somebody does, in this order.

    `related`: other codes that come with it, or that it is mistaken for. `see`: pages below docs/.
    `{node}` in a step stands for the finding's subject. Text is Markdown.
    """

    itself: str = ""
    steps: tuple[str, ...] = ()
    related: tuple[str, ...] = ()
    see: tuple[str, ...] = ()
