"""Who changes something by hand at this moment: the value of one key, which one command at a time has."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Holder:
    """The command that holds the cluster's operation lock. `since`: ISO time, for readers only.

    `who`: account and where its session came from. `machine`, `pid`: the process, should it hang. `id` makes
    each command's value another.
    """

    who: str
    machine: str
    pid: int
    what: str
    since: str
    reason: str
    id: str
