"""`hactl history`: what happened here, oldest first."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import click

from hactl.cli import journal_data
from hactl.cli.context import open_context
from hactl.cli.output import emit
from hactl.view.history import Act, acts, belongs, incidents
from hactl.view.incident import Incident, Phase, elapsed
from hactl.view.journal import Record

# What an incident is measured by, best first: until clients could write again, until it was given up.
_DONE = (Phase.FIRST_COMMIT, Phase.VIP_UP, Phase.PROMOTED, Phase.WITHDRAWN)


@click.command()
@click.option("-n", "count", type=click.IntRange(min=1), default=30, show_default=True, help="How many.")
@click.option("--file", "file", type=click.Path(path_type=Path), help="A copy, instead of etcd.")
@click.pass_context
def command(ctx: click.Context, count: int, file: Path | None) -> None:
    """Show what hactl did: incidents, and acts that belong to none, with how long each took.

    Example:
      hactl history -n 10
    """
    context = open_context(ctx, connect=file is None)
    journal = journal_data.read(context, file)
    rows = events(journal.records, incidents(journal.records, journal.open_incident))[-count:]
    if context.output == "table":
        _print(rows)
    else:
        emit({"version": 1, "cluster": context.spec.cluster, "events": rows}, context.output)


def events(records: Sequence[Record], found: Sequence[Incident]) -> list[dict[str, Any]]:
    alone = [a for a in acts(records) if not any(belongs(a.intent, i) for i in found)]
    return sorted([*map(incident_row, found), *map(_act, alone)], key=lambda row: str(row["at"]))


def incident_row(incident: Incident) -> dict[str, Any]:
    reached = [p for p in Phase if incident.reached(p)]
    measured = next((p for p in _DONE if incident.reached(p)), None)
    took = None if measured is None else elapsed(incident, measured)
    return {
        "at": incident.stamps[0].wall if incident.stamps else "",
        "what": incident.kind,
        "id": incident.id,
        "subject": f"{incident.victim} -> {incident.standby}",
        "result": incident.outcome or f"open: {reached[-1] if reached else 'nothing yet'}",
        "open": not incident.outcome,
        "automatic": incident.automatic,
        "took_seconds": None if took is None else round(took, 3),
        "took_until": None if measured is None else str(measured),
    }


def _act(act: Act) -> dict[str, Any]:
    data = act.intent.data
    subject = " ".join(str(data[k]) for k in ("node", "to", "verb", "unit") if data.get(k))
    return {
        "at": act.intent.wall,
        "what": act.intent.action,
        "id": str(act.intent.seq),
        "subject": subject,
        "result": act.said or {True: "done", False: "failed", None: "unknown"}[act.ok],
        "ok": act.ok,
        "reason": act.reason,
        "took_seconds": None if act.took_ms is None else act.took_ms / 1000,
    }


def took(row: dict[str, Any]) -> str:
    if row["took_seconds"] is None:
        return "-"
    until = f" to {row['took_until']}" if row.get("took_until") else ""
    return f"{row['took_seconds']:.3f} s{until}"


def _tell(row: dict[str, Any]) -> str:
    """Of an act that was done, why; of any other, what became of it."""
    return row["reason"] if row.get("ok") and row["reason"] else str(row["result"])


def _print(rows: Sequence[dict[str, Any]]) -> None:
    from rich.console import Console
    from rich.table import Table

    if not rows:
        click.echo("nothing yet")
        return
    table = Table(box=None, pad_edge=False)
    for column in ("AT", "WHAT", "ID", "SUBJECT", "TOOK", "RESULT"):
        table.add_column(column, header_style="dim", overflow="fold")
    for row in rows:
        at = str(row["at"])[:19].replace("T", " ")
        table.add_row(at, row["what"], row["id"], row["subject"], took(row), _tell(row))
    # In a file or a pipe no line is folded: it has no width.
    Console(highlight=False, markup=False, width=None if sys.stdout.isatty() else 240).print(table)
