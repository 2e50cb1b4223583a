"""`hactl journal`: what the controllers announced, did and saw; and whether that is what they wrote."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import click

from hactl.cli import journal_data
from hactl.cli.context import Context, open_context
from hactl.cli.journal_data import Journal
from hactl.cli.output import emit
from hactl.errors import NotHealthy
from hactl.view.journal import Record
from hactl.view.journal_check import Finding, compare, verify

_FILE = click.option(
    "--file", "file", type=click.Path(path_type=Path), help="A copy, instead of the records in etcd."
)


@click.group()
def command() -> None:
    """Show and verify the journal of what hactl did."""


@command.command()
@click.option("-n", "count", type=click.IntRange(min=1), default=20, show_default=True, help="How many.")
@_FILE
@click.pass_context
def tail(ctx: click.Context, count: int, file: Path | None) -> None:
    """Print the last records, the newest one last.

    Example:
      hactl journal tail -n 50
    """
    context = open_context(ctx, connect=file is None)
    found = journal_data.read(context, file).records[-count:]
    if context.output == "table":
        _print(found)
    else:
        emit([dataclasses.asdict(r) | {"kind": str(r.kind)} for r in found], context.output)


@command.command(name="verify")
@_FILE
@click.pass_context
def verify_(ctx: click.Context, file: Path | None) -> None:
    """Check every record's hash, its link to the one before, and that each act has its result.

    Without --file: the records in etcd, and on a controller's node also its own copy, one against the other.
    Exits with 7 when something is found.

    Examples:
      hactl journal verify
      hactl journal verify --file /var/lib/hactl/tls/evidence.jsonl
    """
    context = open_context(ctx, connect=file is None)
    copies = _copies(context, file)
    findings = [(copy.source, f) for copy in copies for f in verify(copy.entries)]
    findings += [("etcd and copy", f) for f in compare(copies[0].records, copies[-1].records)]
    _show(copies, findings, context.output)
    if findings:
        raise NotHealthy(f"the journal has {len(findings)} finding{'s' if len(findings) > 1 else ''}")


def _copies(context: Context, file: Path | None) -> list[Journal]:
    first = journal_data.read(context, file)
    own = None if file or first.source != "etcd" else journal_data.own_copy(context)
    return [first, *([journal_data.from_file(own)] if own else [])]


def _show(copies: Sequence[Journal], findings: Sequence[tuple[str, Finding]], output: str) -> None:
    if output != "table":
        emit(_document(copies, findings), output)
        return
    for copy in copies:
        found = copy.records
        span = f", {found[0].seq} to {found[-1].seq}, head {found[-1].hash[:16]}" if found else ""
        click.echo(f"{copy.source}: {len(found)} records{span}")
    for source, finding in findings:
        where = f"record {finding.seq}: " if finding.seq else ""
        click.echo(f"  {click.style(finding.fault, fg='red', bold=True)}  {source}: {where}{finding.what}")
    if not findings:
        click.echo("nothing found: every record is what was written, in its place")


def _document(copies: Sequence[Journal], findings: Sequence[tuple[str, Finding]]) -> dict[str, Any]:
    return {
        "version": 1,
        "copies": [
            {
                "source": c.source,
                "records": len(c.records),
                "first": c.records[0].seq if c.records else None,
                "last": c.records[-1].seq if c.records else None,
                "head": c.records[-1].hash if c.records else None,
            }
            for c in copies
        ],
        "findings": [
            {"fault": str(f.fault), "source": source, "seq": f.seq, "what": f.what} for source, f in findings
        ],
    }


def _print(found: Sequence[Record]) -> None:
    for r in found:
        of = f" of {r.of}" if r.of else ""
        what = f" {r.incident}" if r.incident else ""
        click.echo(f"{r.seq:>7}  {r.wall[:23]}Z  {r.node:<6} {r.kind:<6}{of} {r.action}{what}  {summary(r)}")


def summary(record: Record) -> str:
    """The sentence in a record's data, or its small fields."""
    data = record.data
    answer = "done: " if data.get("ok") else "unknown: " if data.get("ok") is None else "FAILED: "
    said = next((str(data[k]) for k in ("said", "reason", "evidence") if data.get(k)), "")
    head = f"{data['phase']}: " if "phase" in data else answer if "ok" in data else ""
    return f"{head}{said}".strip()
