"""Where scrub, reconcile and manifest are asked after: the nodes' dispatchers, or the node's own files."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any, Final

from hactl import layout
from hactl.cli.context import Context
from hactl.errors import HactlError, Unreachable, UsageError
from hactl.view.archive_kind import Ability

NAMES: Final = ("manifest", "scrub", "reconcile")
WITHIN: Final = 20.0
START_WITHIN: Final = 90.0
Ask = Callable[[str, float], Any]


def nodes(
    context: Context, chosen: tuple[str, ...], ability: Ability, *, one: bool = False
) -> dict[str, Ask]:
    """How each archive node is asked; `one`: only the first, where none is named.

    Raises UsageError: not an archive node, or not this one; Refused: the archive's kind lets nobody do this.
    """
    from hactl.wiring_archive import refuse_unless

    refuse_unless(context.spec, ability)
    known = tuple(context.spec.archives)
    for name in chosen:
        if name not in known:
            raise UsageError(f"{name} is no archive node; there are {', '.join(known)}")
    if context.site.on_node:
        return _here(context, chosen)
    from hactl.wiring import dispatchers

    wanted = chosen or (known[:1] if one else known)
    found = dispatchers(context.spec, context.site)
    return {name: _remote(found[name].ask) for name in wanted}


def _remote(ask: Callable[..., bytes]) -> Ask:
    def asked(sentence: str, within: float) -> Any:
        body = ask(sentence, within=within)
        try:
            return json.loads(body) if body.strip() else None
        except ValueError as error:
            raise Unreachable(f"no proper answer to {sentence}", hint="hactl deploy") from error

    return asked


def _here(context: Context, chosen: tuple[str, ...]) -> dict[str, Ask]:
    from hactl.adapters.own_node import own_node

    node = own_node(context.spec)
    if chosen not in {(), (node,)}:
        raise UsageError("a node knows only its own images", hint="run this where the state folder is")
    return {node: _local}


def _local(sentence: str, within: float) -> Any:  # noqa: ARG001 - files answer at once
    from hactl.integrity import reports

    folder = Path(layout.INTEGRITY)
    if sentence == "integrity":
        return {**{name: reports.read(folder / f"{name}.json") for name in NAMES}, "units": {}}
    if sentence.endswith("-report"):
        return reports.read(folder / f"{sentence}.json")
    raise UsageError("on the node itself systemd starts it", hint="systemctl start hactl-scrub.service")


def states(asks: dict[str, Ask]) -> dict[str, dict[str, Any]]:
    """Each node's word of all three; a node that cannot be asked is {"unknown": why}."""
    return {node: _answered(lambda ask=ask: ask("integrity", WITHIN)) for node, ask in asks.items()}  # type: ignore[misc]


def _answered(ask: Callable[[], Any]) -> dict[str, Any]:
    try:
        found = ask()
    except HactlError as error:
        return {"unknown": error.message}
    return found if isinstance(found, dict) else {"unknown": "no proper answer"}


def running(state: dict[str, Any], units: Iterable[str]) -> bool:
    """Whether one of these units runs, as systemd says."""
    return any(state.get("units", {}).get(unit) in {"active", "activating"} for unit in units)
