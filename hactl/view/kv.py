"""etcd's keys and transactions as data. What is asked of etcd: hactl/ports.py; how: adapters/etcd_kv.py."""

from __future__ import annotations

import enum
from dataclasses import dataclass


@dataclass(frozen=True)
class Pair:
    """One key. `version` counts its puts since it was created; `lease` is 0 when none is attached."""

    key: str
    value: str
    mod_revision: int
    create_revision: int
    version: int
    lease: int = 0


class Target(enum.StrEnum):
    VALUE = "VALUE"
    VERSION = "VERSION"
    MOD = "MOD"
    CREATE = "CREATE"
    LEASE = "LEASE"


class Is(enum.StrEnum):
    EQUAL = "EQUAL"
    NOT_EQUAL = "NOT_EQUAL"
    LESS = "LESS"
    GREATER = "GREATER"


@dataclass(frozen=True)
class Compare:
    """`operand` is text for VALUE, else a number. A key that is not there has 0 everywhere, and no value."""

    key: str
    target: Target
    operand: str | int
    op: Is = Is.EQUAL


def value_is(key: str, value: str) -> Compare:
    return Compare(key, Target.VALUE, value)


def revision_is(key: str, mod_revision: int) -> Compare:
    return Compare(key, Target.MOD, mod_revision)


def lease_is(key: str, lease: int) -> Compare:
    return Compare(key, Target.LEASE, lease)


def version_is(key: str, version: int) -> Compare:
    return Compare(key, Target.VERSION, version)


def absent(key: str) -> Compare:
    return Compare(key, Target.VERSION, 0)


def present(key: str) -> Compare:
    return Compare(key, Target.VERSION, 0, Is.GREATER)


@dataclass(frozen=True)
class Put:
    key: str
    value: str
    lease: int = 0


@dataclass(frozen=True)
class Get:
    """One key; with `prefix` all that begin with it; with `until` all from it up to, and without, `until`.

    In key order. `limit` 0: all. `last`: in the opposite order, so that with a limit the last ones come.
    """

    key: str
    prefix: bool = False
    until: str = ""
    limit: int = 0
    last: bool = False


@dataclass(frozen=True)
class Delete:
    """The keys as of Get."""

    key: str
    prefix: bool = False
    until: str = ""


Op = Put | Get | Delete


@dataclass(frozen=True)
class RangeReply:
    """`revision`: etcd's, at which all pairs were read together."""

    revision: int
    pairs: tuple[Pair, ...]

    @property
    def first(self) -> Pair | None:
        return self.pairs[0] if self.pairs else None


@dataclass(frozen=True)
class LeaseTime:
    """Of a lease, in seconds: what is `left` of what was `granted`. A new leader of etcd starts it anew."""

    left: int
    granted: int


@dataclass(frozen=True)
class RangesReply:
    """The pairs of each range asked for, in that order, all read at `revision`."""

    revision: int
    ranges: tuple[tuple[Pair, ...], ...]


@dataclass(frozen=True)
class TxnReply:
    """`succeeded`: every comparison held, and the first branch was run, else the second one.

    `results`: for each operation of the branch that was run: what a Get found, what a Delete removed (as it
    was), nothing for a Put. `revision`: of a branch with changes, the mod_revision that they got.
    """

    succeeded: bool
    revision: int
    results: tuple[tuple[Pair, ...], ...] = ()


def end_of(op: Get | Delete) -> str:
    """As etcd's range_end: empty for one key. A prefix ends before itself with its last character raised."""
    if op.until:
        return op.until
    return op.key[:-1] + chr(ord(op.key[-1]) + 1) if op.prefix else ""
