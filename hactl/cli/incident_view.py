"""An incident on a screen, drawn from the very data that -o json prints. Importing this imports rich."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from typing import Any

from rich.console import Console, Group, RenderableType
from rich.table import Table
from rich.text import Text

WIDTH = 36
_LATE = ("powered-on", "redundancy-restored")  # minutes or hours later: the picture is of the outage
_WORDS = {True: ("done", "green"), False: ("failed", "bold red"), None: ("unknown", "yellow")}


def draw(data: dict[str, Any]) -> None:
    # In a file or a pipe no line is folded: it has no width.
    Console(highlight=False, width=None if sys.stdout.isatty() else 240).print(Group(*screen(data)))


def screen(data: dict[str, Any]) -> Iterator[RenderableType]:
    head = Text(f"{data['id']}: ", "bold")
    head.append(f"{data['what']} {data['subject']}, epoch {data['epoch']}", "bold")
    head.append(f"   {data['result']}", "yellow" if data["open"] else "green")
    yield head
    if data["took_seconds"] is not None:
        yield Text(f"{data['took_seconds']:.3f} s from the suspicion to {data['took_until']}")
    yield _phases(data["phases"])
    if data["acts"]:
        yield _acts(data["acts"])
    yield _lost(data["lost_commits"], data["victim"])
    yield from _details(data["details"])


def _lost(ledger: dict[str, Any] | None, victim: str) -> Text:
    head = f"commits that only {victim} had: "
    if ledger is None:
        return Text(f"{head}not counted: no rewind or copy of it since, or its agent has not told yet", "dim")
    fork, end, timeline = (ledger.get(name) for name in ("fork_lsn", "end_lsn", "timeline"))
    span = f"in its WAL from {fork} to {end}, timeline {timeline}"
    if ledger.get("commits") is None:
        return Text(f"{head}unknown: {ledger.get('why_unknown')}; {span}", "yellow")
    return Text(f"{head}{ledger['commits']} {span}", "yellow" if ledger["commits"] else "green")


def _details(details: dict[str, Any]) -> Iterator[Text]:
    for name, value in details.items():
        if isinstance(value, dict):
            yield Text(f"  {name}:", "dim")
            yield from (Text(f"    {inner}: {said}", "dim") for inner, said in value.items())
        else:
            yield Text(f"  {name}: {value}", "dim")


def _phases(phases: list[dict[str, Any]]) -> Table:
    table = _table("", "PHASE", "NODE", "MS", "", "EVIDENCE")
    end = max((p["since_ms"] or 0 for p in phases if p["phase"] not in _LATE), default=0)
    before = 0
    for phase in phases:
        since = phase["since_ms"]
        at = "?" if since is None else f"{'' if phase['exact'] else '~'}{since}"
        bar = _bar(before, since, end) if phase["phase"] not in _LATE else Text("later", "dim")
        table.add_row(phase["phase"], phase["node"], Text(at, justify="right"), bar, phase["evidence"])
        before = before if since is None else since
    return table


def _bar(begin: int, end: int | None, whole: int) -> Text:
    """From the phase before to this one; at least a mark, so that what took no time is seen too."""
    if end is None or whole <= 0:
        return Text("|", "cyan")
    left, right = (round(WIDTH * min(t, whole) / whole) for t in (begin, end))
    return Text(" " * left + ("█" * (right - left) or "|"), "cyan")


def _acts(acts: list[dict[str, Any]]) -> Table:
    table = _table("\nacts", "NR", "ACTION", "BY", "TOOK", "", "SAID")
    for act in acts:
        took = "-" if act["took_ms"] is None else f"{act['took_ms']} ms"
        word, style = _WORDS[act["ok"]]
        table.add_row(str(act["seq"]), act["action"], act["node"], took, Text(word, style), act["said"])
    return table


def _table(title: str, *columns: str) -> Table:
    table = Table(title=title or None, title_justify="left", title_style="bold", box=None, pad_edge=False)
    for column in columns:
        table.add_column(column, header_style="dim", overflow="fold", no_wrap=column in {"PHASE", "MS", ""})
    return table
