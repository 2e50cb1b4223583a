"""`hactl config drift`: where file, Patroni and running servers disagree."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import click

from hactl.cli import operator as by_hand
from hactl.cli.config_data import document, look, table, told, wanted
from hactl.cli.context import Context, open_context
from hactl.cli.output import emit
from hactl.errors import HactlError, NotHealthy, Unreachable

if TYPE_CHECKING:
    from hactl.decide.config_drift import Deviation
    from hactl.view.config_version import ConfigVersion

PATRONI = "(patroni)"
FILES_SHOWN = 3  # of each node; `hactl config diff` has all


@click.command("drift")
@click.pass_context
def drift(ctx: click.Context) -> None:
    """Compare spec, Patroni's configuration and what each database runs with; exit 7 when they disagree.

    Found are: a spec that was changed and not deployed, a change that was interrupted, what somebody did with
    patronictl edit-config or ALTER SYSTEM, values that Patroni replaces by others, parameters that wait for a
    restart, files on the nodes that are not as rendered. Each with the command that ends it.

    Exit code 4: nothing was found, but not everything could be asked.

    Example:
      hactl config drift
    """
    from hactl.decide.config_drift import Kind, deviations, of_versions

    context = open_context(ctx)
    seen = look(context)
    newest, silent = _newest(context)
    found = list(deviations(wanted(context.spec), seen.dcs, seen.running))
    if not context.site.on_node:  # a node's copy of the spec is rendered, and has another text
        found = [*of_versions(newest, context.text), *found]
    files, unasked = _files(context)
    silent = {**seen.silent, **silent, **unasked}
    waiting = [d for d in found if d.kind is Kind.PENDING]
    others = [d for d in found if d.kind is not Kind.PENDING]
    if context.output != "table":
        emit(
            document(
                context, recorded=_version(newest), drift=[told(d) for d in others],
                pending_restarts=[told(d) for d in waiting], files=files, unreachable=silent,
            ),
            context.output,
        )  # fmt: skip
    else:
        _print(others, waiting, files, silent)
    _end(len(others), len(waiting), len(files), silent)


def _newest(context: Context) -> tuple[ConfigVersion | None, dict[str, str]]:
    from hactl.act import config_versions

    try:
        return config_versions.newest(by_hand.operator(context)), {}
    except Unreachable as error:
        return None, {"versions": error.message}


def _version(newest: ConfigVersion | None) -> dict[str, Any] | None:
    return None if newest is None else {"number": newest.number, "applied": newest.applied}


def _files(context: Context) -> tuple[list[dict[str, str]], dict[str, str]]:
    from hactl.cli.config_files import ask_files, rendered

    if context.site.on_node:
        return [], {"files": "a node has no key for the others: run this where `hactl deploy` runs"}
    try:
        files, secrets = rendered(context, ())
        differences, silent = ask_files(context, list(context.spec.nodes), files, secrets)
    except HactlError as error:  # no state folder here: everything else was compared
        return [], {"files": error.message}
    return (
        [{"node": d.node, "path": d.path, "what": d.what} for d in differences],
        {f"files of {node}": error.message for node, error in silent.items()},
    )


def _print(
    others: list[Deviation], waiting: list[Deviation], files: list[dict[str, str]], silent: dict[str, str]
) -> None:
    table(("WHERE", "SETTING", "SHOULD BE", "IS", "WHY"), [_line(d) for d in others])
    for fix in dict.fromkeys(d.fix for d in others):
        click.echo(f"  -> {fix}")
    for node in dict.fromkeys(entry["node"] for entry in files):
        said = [f"{e['path']} {e['what']}" for e in files if e["node"] == node]
        more = f", and {len(said) - FILES_SHOWN} more" if len(said) > FILES_SHOWN else ""
        click.echo(f"{node}: {', '.join(said[:FILES_SHOWN])}{more}")
    if files:
        click.echo("  -> hactl config diff shows how; hactl deploy")
    if waiting:
        click.echo("waiting for a restart:")
        table(("WHERE", "SETTING", "SHOULD BE", "IS", ""), [[*_line(d)[:4], ""] for d in waiting])
        click.echo("  -> hactl node restart --all --pending   (standby first, then a switchover, never both)")
    for source, why in silent.items():
        click.echo(f"not asked: {source}: {why}", err=True)


def _line(deviation: Deviation) -> list[str]:
    where = deviation.where or ("(file)" if deviation.name == "spec" else PATRONI)
    return [where, deviation.name, deviation.wanted or "-", deviation.found or "-", deviation.detail]


def _end(others: int, waiting: int, files: int, silent: dict[str, str]) -> None:
    """Raises NotHealthy: something differs; Unreachable: not all of it is known."""
    counted = [
        f"{count} {word}{'s' if count != 1 else ''}"
        for count, word in ((others, "difference"), (waiting, "pending restart"), (files, "file"))
        if count
    ]
    if counted:
        raise NotHealthy(f"CONFIG_DRIFT: {', '.join(counted)}", hint="docs/config.md")
    if silent:
        raise Unreachable(f"not compared: {', '.join(silent)}", hint="hactl doctor")
