"""`hactl archive probe`: an image in, found, back and away again, now."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Any

import click

from hactl.cli import operator as by_hand
from hactl.cli.context import Context, open_context
from hactl.cli.output import emit
from hactl.errors import NotHealthy, UsageError
from hactl.view.archive_kind import Ability

if TYPE_CHECKING:
    from hactl.view.archive import EndToEnd


@click.command("probe")
@click.argument("node", required=False)
@click.option("--on-node", hidden=True, metavar="NODE", help="As this node's agent, over loopback.")
@click.option("--yes", is_flag=True, help="Do not ask whether an image may stay there (kind dicom).")
@click.pass_context
def command(ctx: click.Context, node: str | None, on_node: str | None, yes: bool) -> None:
    """Check each archive node (or NODE) end to end, from here.

    Over DICOM with TLS and over DICOMweb: a small image of a reserved patient is stored, found, retrieved,
    compared and removed. Each node's agent does the same on itself each minute; `hactl archive list` shows
    its last result.

    DICOM cannot delete: on an archive of kind dicom one image of that patient stays. It is the same one each
    time, so there is never a second; and you are asked.

    Examples:
      hactl archive probe
      hactl archive probe arc1
    """
    from hactl.render.archive_guard import probe_patient
    from hactl.wiring_archive import abilities

    context = open_context(ctx)
    if on_node:
        _on_node(context, on_node)
        return
    nodes = tuple(context.spec.archive_addresses) if node is None else (node,)
    if unknown := [n for n in nodes if n not in context.spec.archive_addresses]:
        raise UsageError(f"{unknown[0]} is no archive node", hint="hactl archive list")
    if Ability.FORGET not in abilities(context.spec).does:
        asked = f"Leave one image of patient {probe_patient('ops')} on {', '.join(nodes)}?"
        by_hand.meant(asked, yes=yes)
    found = {n: _from_here(context, n) for n in nodes}
    if context.output == "table":
        for name, result in found.items():
            click.echo(line(name, result))
    else:
        emit(document(context.spec.cluster, found), context.output)
    if failed := [n for n, result in found.items() if not result.ok]:
        raise NotHealthy(f"end-to-end check failed: {', '.join(failed)}", hint="hactl archive check")


def _boottime() -> float:
    return time.clock_gettime(time.CLOCK_BOOTTIME)


def _on_node(context: Context, node: str) -> None:
    from hactl.drill import endtoend, probe_place
    from hactl.view.parse.archive import check_object

    place = probe_place.on_node(context.spec, context.site, node)
    emit(check_object(endtoend.check(place, _boottime)), "json")


def _from_here(context: Context, node: str) -> EndToEnd:
    from hactl.drill import endtoend, probe_place

    return endtoend.check(probe_place.from_here(context.spec, context.site, node), _boottime)


def document(cluster: str, found: dict[str, EndToEnd]) -> dict[str, Any]:
    from hactl.view.parse.archive import check_object

    nodes = [{"name": name, **check_object(result)} for name, result in found.items()]
    return {"version": 1, "cluster": cluster, "nodes": nodes}


def line(name: str, result: EndToEnd) -> str:
    steps = "  ".join(f"{step} {seconds:.2f} s" for step, seconds in result.took.items())
    word = click.style("ok", fg="green") if result.ok else click.style("failed", fg="red")
    left = f"; {result.leftovers} objects of an earlier check were removed" if result.leftovers else ""
    return f"{name}: {word}  {steps}{'' if result.ok else f'  {result.why}'}{left}"
