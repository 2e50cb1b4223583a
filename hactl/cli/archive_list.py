"""`hactl archive list · check`: what is known of each archive node, and why."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import click

from hactl.cli import operator as by_hand
from hactl.cli.archive_drain import drained_by
from hactl.cli.context import open_context
from hactl.cli.output import emit
from hactl.errors import NotHealthy, UsageError

if TYPE_CHECKING:
    from hactl.spec.model import ClusterSpec
    from hactl.view.cluster import ClusterView

COLOURS = {"ok": "green", "failed": "red", "unknown": "yellow"}


@click.command("list")
@click.pass_context
def listing(ctx: click.Context) -> None:
    """Show each archive node: levels, who holds the VIP, who keeps it out, and its last end-to-end check.

    Example:
      hactl archive list
    """
    context = open_context(ctx)
    data = document(context.spec, by_hand.look(context))
    if context.output != "table":
        emit(data, context.output)
        return
    if data["vip"]["address"]:
        click.echo(f"archive VIP {data['vip']['address']}: {data['vip']['holder'] or 'nobody'}")
    for node in data["nodes"]:
        click.echo(_line(node))


@click.command("check")
@click.argument("node", required=False)
@click.pass_context
def check(ctx: click.Context, node: str | None) -> None:
    """Look at every level of each archive node (or NODE) now; exit 7 if one failed.

    L0 to L2 are asked from here, L3 and L4 by the node's agent (L4 each minute; `hactl archive probe` does it
    now). An archive of kind dicom has no agent: its L3 and L4 stay unknown. Of more than 50 nodes only
    NODE is asked from here; without it, the active controller tells of L0 to L2.

    Examples:
      hactl archive check
      hactl archive check arc1 -o json
    """
    context = open_context(ctx)
    if node is not None and node not in context.spec.archive_addresses:
        raise UsageError(f"{node} is no archive node", hint="hactl archive list")
    data = document(context.spec, by_hand.look(context, *([node] if node else [])))
    data["nodes"] = [n for n in data["nodes"] if node in {None, n["name"]}]
    if context.output == "table":
        for found in data["nodes"]:
            _print(found)
    else:
        emit(data, context.output)
    bad = [n["name"] for n in data["nodes"] if "failed" in n["levels"].values()]
    if bad:
        raise NotHealthy(f"a level failed on {', '.join(bad)}", hint="hactl doctor")


def document(spec: ClusterSpec, view: ClusterView) -> dict[str, Any]:
    vip = view.vips.get("archive")
    holder = vip.holder if vip is not None and isinstance(vip.holder, str) else None
    return {
        "version": 1,
        "cluster": spec.cluster,
        "vip": {"address": str(own.address.ip) if (own := spec.vips.archive) else None, "holder": holder},
        "nodes": [_node(view, name, holds=name == holder) for name in spec.archive_addresses],
    }


def _node(view: ClusterView, name: str, *, holds: bool) -> dict[str, Any]:
    from hactl.view.control import Dcs
    from hactl.view.model import LEVELS

    dcs = view.control if isinstance(view.control, Dcs) else None
    archive, facts = view.archives[name], dcs.facts.get(name) if dcs else None
    own = facts.archive if facts else None
    mark = dcs.archive_states.get(name) if dcs else None
    probes = {level: archive.level(level) for level in LEVELS}
    return {
        "name": name,
        "state": str(mark.state) if mark else None,
        "holds_vip": holds,
        "levels": {level: probe.state.value for level, probe in probes.items()},
        "why": {level: probe.why for level, probe in probes.items() if probe.why},
        "drained": drained_by(view, name),
        "out": own.out if own else None,
        "out_for": own.out_for if own else "",
        "refusing": own.refusing if own else None,
        "under_way": own.associations if own else None,
    }


def _line(node: dict[str, Any]) -> str:
    levels = " ".join(click.style(level, fg=COLOURS[state]) for level, state in node["levels"].items())
    said = [
        word
        for word, there in (("holds the VIP", node["holds_vip"]), ("out of the VIP", node["out"]))
        if there
    ]
    said += [text for text in (node["drained"], node["out_for"]) if text]
    if node["under_way"]:
        said.append(f"{node['under_way']} under way")
    return f"{node['name']:<12} {node['state'] or '-':<9} {levels}  {', '.join(said)}".rstrip()


def _print(node: dict[str, Any]) -> None:
    click.echo(click.style(node["name"], bold=True))
    for level, state in node["levels"].items():
        word = click.style(f"{state:<7}", fg=COLOURS[state])
        click.echo(f"  {level}  {word}  {node['why'].get(level, '')}".rstrip())
    for text in (node["drained"], node["out_for"]):
        if text:
            click.echo(f"      {text}")
