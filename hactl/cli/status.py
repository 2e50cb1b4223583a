"""`hactl status`: one look at everything; verdict and reasons first."""

from __future__ import annotations

import contextlib
import functools
import json
import sys
import time
from collections.abc import Callable
from typing import Any

import click

from hactl.cli.context import Context, open_context
from hactl.cli.output import emit
from hactl.errors import NotHealthy, UsageError

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

    Examples:
      hactl status
      hactl status --watch
      hactl status --check -o json
    """
    if check and interval is not None:
        raise UsageError("--check asks once, --watch never ends: give one of them")
    context = open_context(ctx)
    look, table = looker(context), functools.partial(_print_table, every=every)
    if interval is not None:
        if context.output == "table" and sys.stdout.isatty():
            _watch_live(context, look, interval)
        else:
            _watch(look, interval, _block_printer(context.output, table))
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


def _printer(output: str, table: Printer) -> Printer:
    return table if output == "table" else lambda data: emit(data, output)


def _print_yaml_document(data: dict[str, Any]) -> None:
    click.echo("---")
    emit(data, "yaml")


def _print_table(data: dict[str, Any], *, every: bool = False) -> None:
    from rich.console import Console

    from hactl.cli.status_table import screen

    Console(highlight=False, soft_wrap=not sys.stdout.isatty()).print(screen(data, every=every))


def _watch(look: Callable[[], dict[str, Any]], interval: float, show: Printer) -> None:
    """One block (or one JSON line, or YAML document) per look."""
    with contextlib.suppress(KeyboardInterrupt):  # the way to end it
        _repeat(look, interval, show)


def _block_printer(output: str, table: Printer) -> Printer:
    if output == "json":
        return lambda data: click.echo(json.dumps(data))
    return _print_yaml_document if output == "yaml" else table


def _watch_live(context: Context, look: Callable[[], dict[str, Any]], interval: float) -> None:
    """The whole screen, given back afterwards as it was."""
    from rich.console import Console, Group
    from rich.live import Live

    from hactl.cli.watch_around import follower
    from hactl.cli.watch_screen import PLAIN, Signs, Size, frame

    console, follow = Console(highlight=False), follower(context)
    signs = Signs() if "utf" in console.encoding.lower() else PLAIN

    def show(data: dict[str, Any]) -> None:
        follow.active(data["controller"]["active"])
        lines = frame(data, follow.around(), Size(console.width, console.height), signs)
        live.update(Group(*lines), refresh=True)

    with follow.following(), Live(console=console, screen=True, auto_refresh=False) as live:
        _watch(look, interval, show)


def _repeat(look: Callable[[], dict[str, Any]], interval: float, show: Printer) -> None:
    """At a steady pace: a look that takes longer than the interval is followed by the next at once."""
    due = time.monotonic()
    while True:
        show(look())
        due = max(due + interval, time.monotonic())
        time.sleep(max(0.0, due - time.monotonic()))
