"""`hactl demo`: the whole story on one machine."""

from __future__ import annotations

import contextlib
import signal
import sys
import time
from typing import TYPE_CHECKING

import click

if TYPE_CHECKING:
    from hactl.drill.checker import Judgment
    from hactl.lab.lab import Lab

NEXT = """The lab is up. Try next:
  hactl status --watch
  hactl incident show
  hactl lab fault isolate {node} --for 30s
  hactl lab shell -- psql "$(hactl dsn)"
  hactl lab exec {node} -- journalctl -u patroni -n 20
  hactl lab down"""


@click.command()
@click.option("--name", default="demo", show_default=True, metavar="NAME", help="The lab's name.")
@click.option(
    "--images", "count", type=click.IntRange(1, 1000), default=40, show_default=True,
    help="How many images to store.",
)  # fmt: skip
@click.option("--keep/--down", default=True, help="Keep the lab afterwards (default), or take it down.")
@click.pass_context
def command(ctx: click.Context, name: str, count: int, keep: bool) -> None:
    """Lab, deployment, images, power loss and recovery, live; then the proof that nothing is missing.

    Exit code 0 when nothing acknowledged is missing, 7 when something is, 5 when a step failed.

    Example:
      hactl demo
    """
    from hactl.cli import lab as lab_commands

    with contextlib.redirect_stdout(sys.stderr) if _data(ctx) else contextlib.nullcontext():
        ctx.invoke(lab_commands.up_command, name=name, spec_file=None, deploy=True)
    lab = _open(name)
    verdict = _play(ctx, lab, count)
    if keep:
        click.echo(NEXT.format(node=next(iter(lab.spec.databases))), err=True)
    else:
        ctx.invoke(lab_commands.down_command, name=name, with_image=False)
    _end(verdict)


def _data(ctx: click.Context) -> bool:
    """Whether standard output belongs to a program: then the story goes to standard error."""
    return bool((ctx.find_root().obj or {}).get("output", "table") != "table")


def _open(name: str) -> Lab:
    from hactl.lab.folder import LABS, check_name
    from hactl.lab.lab import Lab

    return Lab.open(LABS / check_name(name))


def _play(ctx: click.Context, lab: Lab, count: int) -> Judgment:
    from rich.console import Console

    from hactl.cli.context import Context, enter_lab
    from hactl.cli.demo_story import Story
    from hactl.cli.demo_view import Screen
    from hactl.cli.labdrill import lab_ground
    from hactl.cli.output import emit
    from hactl.cli.status import looker
    from hactl.cli.status_table import screen as status_screen
    from hactl.drill import report
    from hactl.drill.history import History
    from hactl.drill.session import Session

    signal.signal(signal.SIGTERM, _interrupted)  # by default it would end us with a machine switched off
    enter_lab(lab.folder.path)
    run = f"demo-{int(time.time())}"
    history = History.create(lab.folder.path / "drills" / f"{run}.jsonl")
    screen = Screen(Console(stderr=_data(ctx)))
    status = looker(Context(lab.spec, lab.folder.spec, lab.site, "json", 0))
    story = Story(lab, Session(lab_ground(lab), history, run), screen, status)
    story.healthy()
    screen.show(status_screen(status()))
    made = story.store(count)
    story.lose_and_regain()
    verdict = story.read_back(made)
    screen.verdict(verdict)
    saved = report.save(verdict, history.path)
    screen.say(f"history {history.path}, verdict {saved}")
    if _data(ctx):
        emit(report.document(verdict), ctx.find_root().obj["output"])
    return verdict


def _interrupted(_number: int, _frame: object) -> None:
    raise KeyboardInterrupt


def _end(verdict: Judgment) -> None:
    from hactl.errors import NotHealthy

    if not verdict.clean:
        raise NotHealthy(f"{len(verdict.findings)} promises were broken; the evidence is above")
