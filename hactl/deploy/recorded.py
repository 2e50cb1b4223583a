"""Every deployed spec is a version in etcd: written before the nodes are touched, marked when all have it."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager

from hactl.act import config_versions
from hactl.act.config_versions import Draft
from hactl.act.maintenance import Operator, note
from hactl.errors import HactlError, Unreachable
from hactl.view.config_version import ConfigVersion


@contextmanager
def journaled(who: Operator, about: Mapping[str, object], say: Callable[[str], None]) -> Iterator[None]:
    """A record before and one after. A deployment may be what mends etcd: it goes on without, and says so."""
    try:
        note(who, "deploy", about)
    except Unreachable as error:
        say(f"Not in the journal: {error.message}")
    result: dict[str, object] = {"ok": False, "said": "interrupted"}
    try:
        yield
        result = {"ok": True}
    except HactlError as error:
        result = {"ok": False, "said": error.message}
        raise
    finally:
        with contextlib.suppress(HactlError):
            note(who, "deploy-ended", {**about, **result})


@contextmanager
def recorded(
    who: Operator, draft: Draft, *, fresh: bool, whole: bool, say: Callable[[str], None]
) -> Iterator[None]:
    """`fresh`: there is no etcd yet, so it is written afterwards. `whole`: every node is deployed.

    Where etcd cannot be asked the block is run all the same: a deployment may be what mends it.
    """
    version = None if fresh else _begun(who, draft, say)
    yield
    version = version or _begun(who, draft, say)
    if version is not None and whole:
        try:
            why = "" if config_versions.applied(who, version) else "another one was begun meanwhile"
        except Unreachable as error:
            why = error.message
        if why:
            say(f"Version {version.number} is deployed, but not marked so: {why}; hactl deploy does it")


def _begun(who: Operator, draft: Draft, say: Callable[[str], None]) -> ConfigVersion | None:
    try:
        before = config_versions.newest(who)
        version = config_versions.begin(who, draft)
    except Unreachable as error:
        say(f"The configuration's version is not recorded: {error.message}")
        return None
    if before is None or before.number != version.number:
        say(f"Configuration version {version.number}")
        with contextlib.suppress(Unreachable):  # at the first deployment there is no journal yet
            note(
                who,
                "config-version",
                {"version": version.number, "how": version.how, "reason": version.reason},
            )
    return version
