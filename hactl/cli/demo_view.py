"""The demo on a screen: a picture that changes on a terminal; elsewhere a line for each thing."""

from __future__ import annotations

import time
from collections.abc import Iterable, Iterator
from contextlib import contextmanager

from rich.console import Console, Group, RenderableType
from rich.live import Live
from rich.panel import Panel
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn
from rich.table import Table
from rich.text import Text

from hactl.drill.board import BUCKET, Board, Line
from hactl.drill.checker import Judgment
from hactl.drill.report import lines as report_lines

BLOCKS = "▁▂▃▄▅▆▇█"
SHOWN = 12  # lines of the story
BARS = 72


def sparkline(values: Iterable[int]) -> str:
    """A bar for each value, the highest full; a dot where there is nothing at all."""
    values = list(values)
    top = max(values, default=0)
    return "".join(BLOCKS[min(len(BLOCKS) - 1, v * len(BLOCKS) // (top + 1))] if v else "·" for v in values)


def picture(board: Board, now: float, title: str = "hactl demo") -> RenderableType:
    facts = Table.grid(padding=(0, 2))
    for name, value in _facts(board, now):
        facts.add_row(Text(name, style="dim"), value)
    chart = Text(sparkline(board.bars(now, BARS)), style="green")
    legend = Text(f"acknowledged writes, {BUCKET:g} s a bar, the last {BARS * BUCKET:g} s", style="dim")
    story = Group(*(_line(board, line) for line in board.story(SHOWN)))
    return Panel(Group(facts, Text(), chart, legend, Text(), story), title=title, title_align="left")


def _facts(board: Board, now: float) -> Iterator[tuple[str, RenderableType]]:
    for vip in sorted(board.holders):
        holders = board.holders[vip]
        style = "green" if len(holders) == 1 else "bold red"
        yield f"{vip} VIP", Text(" and ".join(holders) or "nobody", style=style)
    yield "primary", Text(f"{board.acker or '-'}, timeline {board.timeline or '-'}")
    ago = "never" if board.last_ack is None else f"{max(0.0, now - board.last_ack):.1f} s ago"
    yield "last acknowledgement", Text(f"{ago}, {board.rate(now):.0f} commits/s")
    outage = board.outage_so_far(now)
    if outage is not None:
        over = board.outage is not None
        style = "bold green" if over else "bold red"
        yield "outage", Text(f"{outage:.2f} s, over" if over else f"{outage:.1f} s", style=style)


def _line(board: Board, line: Line) -> Text:
    since = line.at - (board.fault.begin if board.fault else board.start)
    when = f"{since:+8.2f} s" if board.fault else f"{since:8.2f} s"
    return Text.assemble((when, "dim"), "  ", line.text)


class Screen:
    """Where the demo speaks. `plain` when nobody watches a terminal."""

    def __init__(self, console: Console) -> None:
        self._console = console
        self._begin = time.monotonic()
        self.plain = not console.is_terminal

    def say(self, text: str, at: float | None = None) -> None:
        since = (time.monotonic() if at is None else at) - self._begin
        self._console.print(f"{since:7.1f} s  {text}", highlight=False, markup=False, soft_wrap=True)

    def show(self, thing: RenderableType) -> None:
        self._console.print(thing, soft_wrap=self.plain)

    def hear(self, line: Line) -> None:
        """For a board's `told`: in plain mode each line of the story is printed when it happens."""
        if self.plain:
            self.say(line.text, line.at)

    @contextmanager
    def live(self, board: Board, title: str = "hactl demo") -> Iterator[None]:
        """The picture, redrawn five times a second by a thread of its own; it stays at the end."""
        if self.plain:
            yield
            return
        draw = lambda: picture(board, time.monotonic(), title)  # noqa: E731 - rich wants a callable
        with Live(console=self._console, get_renderable=draw, refresh_per_second=5):
            yield

    @contextmanager
    def counting(self, what: str, total: int) -> Iterator[Progress]:
        """A progress bar with one task; in plain mode one line at the end."""
        columns = TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn()
        with Progress(*columns, console=self._console, transient=True, disable=self.plain) as progress:
            progress.add_task(what, total=total)
            yield progress
        self.say(f"{what}: {total}")

    def verdict(self, verdict: Judgment) -> None:
        style = "green" if verdict.clean else "red"
        text = Text("\n".join(report_lines(verdict)))
        self.show(Panel(text, title="what was proved", title_align="left", border_style=style))
