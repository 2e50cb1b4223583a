"""The journal for commands: out of etcd, or out of a file."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

import click

from hactl import layout
from hactl.cli.context import Context
from hactl.errors import Unreachable, UsageError
from hactl.view.journal import Entry, Record, parse_lines, records

WITHIN = 5.0


@dataclass(frozen=True)
class Journal:
    """`source`: where it was read. `open_incident`: the text of the incident key, which is newer.

    `ledgers`: what each database node last found of commits that it alone had (docs/journal.md).
    """

    source: str
    entries: tuple[Entry, ...]
    open_incident: str | None = None
    ledgers: Mapping[str, Mapping[str, object]] = field(default_factory=dict)

    @property
    def records(self) -> list[Record]:
        return records(list(self.entries))


def from_file(path: Path) -> Journal:
    """With the full segments beside it, the oldest first. Raises UsageError: it cannot be read."""
    from hactl.adapters.journal_file import segments

    parts = segments(path)
    if not parts or path.exists():  # else it was put aside a moment ago, and nothing was written since
        parts = (*parts, path)
    entries = [entry for part in parts for entry in _lines(part)]
    return Journal(str(path), tuple(entries))


def _lines(path: Path) -> list[Entry]:
    try:
        return parse_lines(path.read_text(encoding="utf-8", errors="replace").split("\n"))
    except OSError as error:
        raise UsageError(f"cannot read the journal {path}: {error.strerror}") from error


def from_etcd(context: Context) -> Journal:
    """The last 2,000 records. Raises Unreachable."""
    from hactl.view.keys import Keys
    from hactl.view.kv import Get
    from hactl.wiring import etcd_kv

    keys = Keys(context.spec.cluster)
    facts = tuple(Get(keys.facts(node)) for node in context.spec.databases)
    asked = (Get(keys.journal_prefix, prefix=True), Get(keys.incident), *facts)
    found, incident, *told = etcd_kv(context.spec, context.site).ranges(asked, within=WITHIN).ranges
    entries = tuple(parse_lines([pair.value or "-" for pair in found]))
    ledgers = dict(_ledger(pair.value) for pairs in told for pair in pairs)
    return Journal("etcd", entries, incident[0].value if incident else None, ledgers)


def _ledger(text: str) -> tuple[str, Mapping[str, object]]:
    from hactl.view.parse.agent_facts import parse_agent_facts

    try:
        facts = parse_agent_facts(text)
    except ValueError:  # as if the agent had said nothing of it
        return "", {}
    return facts.node, facts.ledger


def own_copy(context: Context) -> Path | None:
    """The copy on this machine, where it is a controller's node."""
    path = Path(layout.JOURNAL)
    from hactl.adapters.journal_file import segments

    there = path.exists() or segments(path)
    return path if context.site.on_node and there else None


def read(context: Context, file: Path | None = None) -> Journal:
    """`file` if given, else etcd; on a node whose etcd does not answer, its own copy, and that is said."""
    if file is not None:
        return from_file(file)
    try:
        return from_etcd(context)
    except Unreachable as error:
        copy = own_copy(context)
        if copy is None:
            raise
        click.echo(f"hactl: {error.message}; reading this node's copy {copy}", err=True)
        return from_file(copy)
