"""`hactl status`: one look at everything; verdict and reasons first."""

from __future__ import annotations

import functools
import json
import sys
import time
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import click

from hactl.cli.context import Context, open_context
from hactl.cli.output import emit
from hactl.errors import NotHealthy, UsageError

if TYPE_CHECKING:
    from rich.live import Live

DEFAULT_INTERVAL = 1.0


@click.command()
@click.option(
    "--watch", "interval", type=click.FloatRange(min=0.2), is_flag=False, flag_value=DEFAULT_INTERVAL,
    metavar="[SECONDS]", help="Look again and again, each 1 s or as given; Ctrl-C ends it.",
)  # fmt: skip
@click.option("--check", is_flag=True, help="Exit with 7 when the verdict is not healthy.")
@click.option("--all", "every", is_flag=True, help="List all archive nodes and reasons, however many.")
@click.pass_context
def command(ctx: click.Context, interval: float | None, check: bool, every: bool) -> None:
    """Show the whole installation on one screen: verdict and reasons first.

    Every source is asked at once and has its own deadline: who does not answer is shown as unknown, with the
    reason, and delays nothing beyond 2 s. Of more than 20 archive
    nodes the worst are listed, and all counted. -o json and -o yaml print all as data (docs/status.md).
    """
    if check and interval is not None:
        raise UsageError("--check asks once, --watch never ends: give one of them")
    context = open_context(ctx)
    look, table = looker(context), functools.partial(_print_table, every=every)
    if interval is not None:
        _watch(look, context.output, interval, table)
        return
    data = look()
    _printer(context.output, table)(data)
    if check and data["verdict"] != "healthy":
        raise NotHealthy(f"{data['cluster']} is {data['verdict']}", hint="hactl doctor")


def looker(context: Context) -> Callable[[], dict[str, Any]]:
    """A function that looks once and answers with the status document."""
    from hactl.cli.status_data import document
    from hactl.decide.archive_told import told
    from hactl.decide.health import judge
    from hactl.observe.gather import gather
    from hactl.wiring import glance_ports

    ports = glance_ports(context.spec, context.site)

    def look() -> dict[str, Any]:
        view = told(context.spec, gather(ports))
        return document(context.spec, view, judge(context.spec, view))

    return look


Printer = Callable[[dict[str, Any]], None]
Table = Callable[..., None]  # _print_table


def _printer(output: str, table: Printer) -> Printer:
    return table if output == "table" else lambda data: emit(data, output)


def _print_yaml_document(data: dict[str, Any]) -> None:
    click.echo("---")
    emit(data, "yaml")


def _print_table(data: dict[str, Any], live: Live | None = None, *, every: bool = False) -> None:
    from rich.console import Console

    from hactl.cli.status_table import screen

    drawn = screen(data, every=every)
    if live is not None:
        live.update(drawn, refresh=True)
        return
    Console(highlight=False, soft_wrap=not sys.stdout.isatty()).print(drawn)


def _watch(look: Callable[[], dict[str, Any]], output: str, interval: float, table: Table) -> None:
    """On a terminal one screen that changes; else one block (or one JSON line, or YAML document) per look."""
    try:
        if output == "table" and sys.stdout.isatty():
            _watch_live(look, interval, table)
        else:
            _repeat(look, interval, _block_printer(output, table))
    except KeyboardInterrupt:
        return  # the way to end it


def _block_printer(output: str, table: Table) -> Printer:
    if output == "json":
        return lambda data: click.echo(json.dumps(data))
    return _print_yaml_document if output == "yaml" else table


def _watch_live(look: Callable[[], dict[str, Any]], interval: float, table: Table) -> None:
    from rich.live import Live

    with Live(auto_refresh=False) as live:
        _repeat(look, interval, lambda data: table(data, live))


def _repeat(look: Callable[[], dict[str, Any]], interval: float, show: Printer) -> None:
    """At a steady pace: a look that takes longer than the interval is followed by the next at once."""
    due = time.monotonic()
    while True:
        show(look())
        due = max(due + interval, time.monotonic())
        time.sleep(max(0.0, due - time.monotonic()))
