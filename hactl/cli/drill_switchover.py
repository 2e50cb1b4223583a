"""The switchover that a drill makes."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator

from hactl.cli import switchover
from hactl.cli.context import Context


@contextlib.contextmanager
def switched(context: Context, primary: str) -> Iterator[None]:
    """The primary's role is given to the standby. Nothing is broken, so nothing is mended: it stays there."""
    from hactl.act.switchover import checkpoints
    from hactl.decide.switchover import Switch

    target = next(n for n in context.spec.databases if n != primary)
    means = switchover.means_of(context, Switch(primary, target))
    checkpoints(means)
    means.ask()
    yield
