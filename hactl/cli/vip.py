"""`hactl vip`: the virtual IPs."""

from __future__ import annotations

from typing import Any

import click

from hactl.cli import operator as by_hand
from hactl.cli.context import Context, open_context
from hactl.cli.node_show import print_columns
from hactl.cli.output import emit


@click.group()
def command() -> None:
    """Look at the virtual IPs."""


@command.command("list")
@click.pass_context
def list_vips(ctx: click.Context) -> None:
    """Each virtual IP: who answers there, whose agents say that they have it, who may have it.

    Example: hactl vip list
    """
    context = open_context(ctx)
    rows = _rows(context)
    if context.output != "table":
        emit({"version": 1, "cluster": context.spec.cluster, "vips": rows}, context.output)
        return
    head = ("NAME", "ADDRESS", "ANSWERS", "HAVE IT", "MAY HAVE IT", "OTHERS")
    print_columns([head, *(_cells(row) for row in rows)])


def _rows(context: Context) -> list[dict[str, Any]]:
    from hactl.cli.status_data import vip

    spec, view = context.spec, by_hand.look(context)
    may = {"database": spec.databases, "archive": spec.archives}
    return [
        {
            "name": name, "network": str(address.address.network), **vip(view, name),
            "may": _may(context, view, name, tuple(may[name])),
        }
        for name, address in spec.vips.by_name.items()
    ]  # fmt: skip


def _may(context: Context, view: Any, name: str, nodes: tuple[str, ...]) -> dict[str, str]:
    """Node -> why it must not have it now; empty: it may."""
    from hactl.decide.vip_shown import against

    return {node: against(context.spec, view, name, node) for node in nodes}


def _cells(row: dict[str, Any]) -> tuple[str, ...]:
    may = [node for node, why in row["may"].items() if not why]
    others = "; ".join(f"{node}: {why}" for node, why in row["may"].items() if why)
    have = "unknown" if row["on"] is None else ", ".join(row["on"]) or "nobody"
    return (
        row["name"], row["address"] or "-", row["holder"] or f"nobody ({row['why']})", have,
        ", ".join(may) or "nobody", others or "-",
    )  # fmt: skip
