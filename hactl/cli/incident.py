"""`hactl incident`: one timeline for each, from the suspicion to restored redundancy."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import click

from hactl.cli import journal_data
from hactl.cli.context import open_context
from hactl.cli.history import incident_row, took
from hactl.cli.journal_data import Journal
from hactl.cli.output import emit
from hactl.errors import UsageError
from hactl.view.history import belonging, counted, incidents, of_incident, timeline
from hactl.view.incident import Incident

_FILE = click.option(
    "--file", "file", type=click.Path(path_type=Path), help="A copy of the journal, instead of etcd."
)


@click.group()
def command() -> None:
    """List incidents, and show one phase by phase."""


@command.command(name="list")
@_FILE
@click.pass_context
def list_(ctx: click.Context, file: Path | None) -> None:
    """List incidents, the newest one last.

    Example:
      hactl incident list
    """
    context = open_context(ctx, connect=file is None)
    journal = journal_data.read(context, file)
    rows = [incident_row(i) for i in incidents(journal.records, journal.open_incident)]
    if context.output != "table":
        emit({"version": 1, "cluster": context.spec.cluster, "incidents": rows}, context.output)
        return
    for row in rows:
        click.echo(f"{row['id']:<14} {row['at'][:19]}  {row['subject']:<12} {took(row)}  {row['result']}")
    if not rows:
        click.echo("no incident in the journal")


@command.command()
@click.argument("id_", metavar="[ID]", required=False)
@_FILE
@click.pass_context
def show(ctx: click.Context, id_: str | None, file: Path | None) -> None:
    """Show an incident's timeline: phases with node, time since the suspicion, and evidence.

    Without an ID: the newest one.

    Examples:
      hactl incident show
      hactl incident show failover-7 -o json
    """
    context = open_context(ctx, connect=file is None)
    journal = journal_data.read(context, file)
    data = document(journal, find(incidents(journal.records, journal.open_incident), id_))
    if context.output == "table":
        from hactl.cli.incident_view import draw

        draw(data)
    else:
        emit(data, context.output)


def find(found: Sequence[Incident], id_: str | None) -> Incident:
    """Raises UsageError: there is none of this name, or none at all."""
    if not found:
        raise UsageError("the journal has no incident")
    if id_ is None:
        return found[-1]
    chosen = next((i for i in found if i.id == id_), None)
    if chosen is None:
        raise UsageError(f"no incident {id_} in the journal", hint="hactl incident list")
    return chosen


def document(journal: Journal, incident: Incident) -> dict[str, Any]:
    records = journal.records
    return {
        "version": 1,
        **incident_row(incident),
        "victim": incident.victim,
        "standby": incident.standby,
        "epoch": incident.epoch,
        "phases": [
            {
                "phase": str(m.stamp.phase),
                "node": m.stamp.node,
                "since_ms": m.since_ms,
                "exact": m.exact,
                "mono_ms": m.stamp.mono_ms,
                "clock_of": m.stamp.clock,
                "wall": m.stamp.wall,
                "evidence": m.stamp.evidence,
            }
            for m in timeline(incident)
        ],
        "acts": [
            {
                "seq": a.intent.seq,
                "action": a.intent.action,
                "node": a.intent.node,
                "mono_ms": a.intent.mono_ms,
                "wall": a.intent.wall,
                "ok": a.ok,
                "took_ms": a.took_ms,
                "reason": a.reason,
                "said": a.said,
            }
            for a in belonging(records, incident)
        ],
        "lost_commits": _lost(journal, incident),
        "details": dict(incident.details),
    }


def _lost(journal: Journal, incident: Incident) -> Mapping[str, object] | None:
    """From the journal, or what the victim's agent tells now; None: nothing is known (yet)."""
    found = counted(journal.records, incident)
    if found is not None:
        return dict(found)
    told = journal.ledgers.get(incident.victim, {})
    return dict(told) if of_incident(told, incident) else None
