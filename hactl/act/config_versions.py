"""The versions of the configuration in etcd: written before it is applied, marked when that is done."""

from __future__ import annotations

import contextlib
import dataclasses
from dataclasses import dataclass
from typing import Final

from hactl.act.maintenance import TRIES, WITHIN, Operator, now_text
from hactl.errors import Unreachable, UsageError
from hactl.spec.masked import masked
from hactl.view.config_version import (
    ConfigVersion,
    changes_between,
    digest_of,
    parse_version,
    version_text,
)
from hactl.view.kv import Delete, Get, Op, Put, absent, revision_is

KEPT: Final = 100  # versions; a spec of a thousand nodes has 100 KB, and etcd's quota is 2 GB


@dataclass(frozen=True)
class Draft:
    """What shall be recorded: the spec's whole text, how it came (deploy, edit, ...), and why."""

    text: str
    how: str
    reason: str = ""


def newest(operator: Operator) -> ConfigVersion | None:
    """None: nothing was ever recorded. Raises Unreachable."""
    found = operator.kv.ranges((_last(operator),), within=WITHIN).ranges[0]
    return _read(found[0].value) if found else None


def _last(operator: Operator) -> Get:
    return Get(operator.keys.config_versions, prefix=True, last=True, limit=1)


def _read(value: str) -> ConfigVersion:
    try:
        return parse_version(value)
    except ValueError as error:
        raise Unreachable(f"a configuration version in etcd cannot be read: {error}") from error


def every(operator: Operator) -> tuple[ConfigVersion, ...]:
    """All that are kept, the oldest first; one that cannot be read is left out. Raises Unreachable."""
    get = Get(operator.keys.config_versions, prefix=True)
    found = []
    for pair in operator.kv.ranges((get,), within=WITHIN).ranges[0]:
        with contextlib.suppress(ValueError):
            found.append(parse_version(pair.value))
    return tuple(found)


def one(operator: Operator, number: int) -> ConfigVersion:
    """Raises UsageError: there is no such version (any more)."""
    found = operator.kv.range(operator.keys.config_version(number), within=WITHIN).first
    if found is None:
        raise UsageError(f"there is no version {number}", hint="hactl config history")
    return _read(found.value)


def begin(operator: Operator, draft: Draft) -> ConfigVersion:
    """The version that is about to be applied: the newest, if that is what it says already; else a new one.

    Raises:
        Unreachable: it is not written.
        StepFailed: the operation lock was lost.

    """
    digest = digest_of(draft.text)
    for _ in range(TRIES):
        before = newest(operator)
        if before is not None and before.digest == digest:
            return before
        version = _following(operator, before, draft, digest)
        if _put(operator, version):
            return version
        operator.still()
    raise Unreachable("versions are being written all the time")


def _following(operator: Operator, before: ConfigVersion | None, draft: Draft, digest: str) -> ConfigVersion:
    count = before.number + 1 if before else 1
    text = masked(draft.text)
    return ConfigVersion(
        number=count, author=operator.actor, machine=operator.machine, at=now_text(operator.clock.wall()),
        how=draft.how, reason=draft.reason, digest=digest, text=text,
        changes=changes_between(before.text, text, f"version {before.number}", f"version {count}")
        if before else "",
    )  # fmt: skip


def _put(operator: Operator, version: ConfigVersion) -> bool:
    key = operator.keys.config_version(version.number)
    then: list[Op] = [Put(key, version_text(version))]
    if version.number > KEPT:
        then.append(Delete(operator.keys.config_version(version.number - KEPT)))
    return operator.kv.txn((*operator.ours(), absent(key)), then, within=WITHIN).succeeded


def applied(operator: Operator, version: ConfigVersion) -> bool:
    """It is in effect everywhere. False: another version was begun meanwhile, so nobody knows.

    The operation lock is not asked for: whoever lost it in a slow minute has deployed all the same.
    Raises Unreachable.
    """
    if version.applied:
        return True
    key, next_one = (
        operator.keys.config_version(version.number),
        operator.keys.config_version(version.number + 1),
    )
    found = operator.kv.range(key, within=WITHIN).first
    if found is None:
        return False
    done = dataclasses.replace(_read(found.value), applied=now_text(operator.clock.wall()))
    compares = (absent(next_one), revision_is(key, found.mod_revision))
    return operator.kv.txn(compares, (Put(key, version_text(done)),), within=WITHIN).succeeded
