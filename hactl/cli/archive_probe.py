"""`hactl archive probe`: an image in, found, back and away again, now."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Any

import click

from hactl.cli.context import Context, open_context
from hactl.cli.output import emit
from hactl.errors import NotHealthy, UsageError

if TYPE_CHECKING:
    from hactl.view.archive import EndToEnd


@click.command("probe")
@click.argument("node", required=False)
@click.option("--on-node", hidden=True, metavar="NODE", help="As this node's agent, over loopback.")
@click.pass_context
def command(ctx: click.Context, node: str | None, on_node: str | None) -> None:
    """Check each archive node (or NODE) end to end, from here.

    Over DICOM with TLS and over DICOMweb: a small image of a reserved patient is stored, found, retrieved,
    compared and removed. Each node's agent does the same on itself each minute; `hactl archive list` shows
    its last result.
    """
    context = open_context(ctx)
    if on_node:
        _on_node(context, on_node)
        return
    nodes = tuple(context.spec.archives) if node is None else (node,)
    if unknown := [n for n in nodes if n not in context.spec.archives]:
        raise UsageError(f"{unknown[0]} is no archive node", hint="hactl archive list")
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

    address = str(context.spec.archives[node].address)
    return endtoend.check(probe_place.from_here(context.spec, context.site, address), _boottime)


def document(cluster: str, found: dict[str, EndToEnd]) -> dict[str, Any]:
    from hactl.view.parse.archive import check_object

    nodes = [{"name": name, **check_object(result)} for name, result in found.items()]
    return {"version": 1, "cluster": cluster, "nodes": nodes}


def line(name: str, result: EndToEnd) -> str:
    steps = "  ".join(f"{step} {seconds:.2f} s" for step, seconds in result.took.items())
    word = click.style("ok", fg="green") if result.ok else click.style("failed", fg="red")
    left = f"; {result.leftovers} objects of an earlier check were removed" if result.leftovers else ""
    return f"{name}: {word}  {steps}{'' if result.ok else f'  {result.why}'}{left}"
