"""What the `hactl config` commands look at, and how they print tables."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import click

if TYPE_CHECKING:
    from hactl.cli.context import Context
    from hactl.decide.config_drift import Deviation, Wanted
    from hactl.observe.config import Seen
    from hactl.spec.model import ClusterSpec

WIDEST = 28  # characters of a value in a table; -o json has all of it


def wanted(spec: ClusterSpec) -> Wanted:
    from hactl.decide.config_drift import Wanted
    from hactl.render.patroni import dynamic, pinned_parameters

    return Wanted(dynamic(spec), frozenset(spec.database.parameters), pinned_parameters())


def look(context: Context) -> Seen:
    """Patroni and the database nodes, all at once."""
    from hactl.observe.config import look as at_all
    from hactl.wiring import config_servers

    return at_all(config_servers(context.spec, context.site))


def told(deviation: Deviation) -> dict[str, str]:
    return {
        "kind": str(deviation.kind), "name": deviation.name, "node": deviation.where,
        "wanted": deviation.wanted, "found": deviation.found, "detail": deviation.detail,
        "fix": deviation.fix,
    }  # fmt: skip


def table(head: Sequence[str], lines: Sequence[Sequence[str]]) -> None:
    """Columns as wide as what stands in them; nothing is printed for no lines."""
    if not lines:
        return
    cells = [[_cut(cell) for cell in line[:-1]] + [line[-1]] for line in lines]
    widths = [max(len(row[i]) for row in (head, *cells)) for i in range(len(head))]
    click.echo(click.style(_line(head, widths), bold=True))
    for row in cells:
        click.echo(_line(row, widths))


def _cut(text: str) -> str:
    return text if len(text) <= WIDEST else f"{text[: WIDEST - 3]}..."


def _line(cells: Sequence[str], widths: Sequence[int]) -> str:
    return "  ".join(f"{cell:<{width}}" for cell, width in zip(cells, widths, strict=True)).rstrip()


def document(context: Context, **more: Any) -> dict[str, Any]:
    return {"version": 1, "cluster": context.spec.cluster, **more}
