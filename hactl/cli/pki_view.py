"""How `hactl pki` prints: a table for people, JSON or YAML for programs."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, Final

import click

from hactl.pki.due import CertInfo, State
from hactl.pki.setup import Made

_COLOUR: Final = {State.OK: "green", State.UNUSED: "dim", State.EXPIRING: "yellow", State.OLD_CA: "yellow"}


def emit(output: str, data: Mapping[str, Any]) -> None:
    """Print `data` as JSON or YAML."""
    if output == "json":
        click.echo(json.dumps(data, indent=2))
        return
    import yaml

    click.echo(yaml.safe_dump(dict(data), sort_keys=False), nl=False)


def as_data(info: CertInfo) -> dict[str, Any]:
    """One certificate for programs; times as ISO 8601 in UTC."""
    return {
        "node": info.node,
        "use": info.use,
        "state": info.state.value,
        "why": info.why,
        "cn": info.cn,
        "sans": list(info.sans),
        "serial": info.serial,
        "not_after": info.not_after.isoformat() if info.not_after else None,
        "days_left": info.days_left,
    }


def made(output: str, cluster: str, things: Sequence[Made]) -> None:
    if output != "table":
        emit(output, {"cluster": cluster, "made": [{"path": str(m.path), "why": m.why} for m in things]})
        return
    for thing in things:
        click.echo(f"{thing.path}  {thing.why}")
    if not things:
        click.echo("nothing to do: everything is there and as the spec wants it")


def infos(output: str, cluster: str, title: str, found: Sequence[CertInfo], *, names: bool = False) -> None:
    if output != "table":
        emit(output, {"cluster": cluster, "certificates": [as_data(i) for i in found]})
        return
    from rich.console import Console

    Console(highlight=False).print(_table(title, found, names=names))


def _table(title: str, found: Iterable[CertInfo], *, names: bool) -> Any:
    from rich import box
    from rich.table import Table

    table = Table(title=title, title_justify="left", box=box.SIMPLE_HEAD, pad_edge=False)
    for column in ("node", "use", "state"):
        table.add_column(column, no_wrap=True)
    table.add_column("days left", justify="right", no_wrap=True)
    table.add_column("until", no_wrap=True)
    table.add_column("names" if names else "why", overflow="fold")
    for i in found:
        colour = _COLOUR.get(i.state, "bold red")
        until = f"{i.not_after:%Y-%m-%d}" if i.not_after else ""
        days = "" if i.days_left is None else str(i.days_left)
        text = ", ".join(dict.fromkeys((i.cn, *i.sans))) if names else i.why
        table.add_row(i.node, i.use, f"[{colour}]{i.state}[/]", days, until, text)
    return table
