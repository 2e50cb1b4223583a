"""`hactl deploy`: bring every node to what the spec says, and show what happens while it happens."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING, Any

import click

from hactl.errors import Refused

if TYPE_CHECKING:
    from collections.abc import Iterator
    from contextlib import AbstractContextManager

    from hactl.deploy.events import Progress
    from hactl.deploy.run import Listener, Result


@click.command("deploy")
@click.option("--limit", metavar="NODE", help="Deploy this node only.")
@click.option("--check", "--dry-run", is_flag=True, help="Show what would change; change nothing.")
@click.option(
    "--explain", is_flag=True, help="Say step by step what would be done and why not. Nothing is touched."
)
@click.option("--force", is_flag=True, help="Deploy although the cluster is not healthy.")
@click.option(
    "--skip-packages", is_flag=True, help="Never ask a mirror; fail when a Debian package is missing."
)
@click.option(
    "--reason",
    default="",
    metavar="TEXT",
    help="Why; kept with the configuration's version, if it is a new one.",
)
@click.pass_context
def command(ctx: click.Context, /, limit: str | None, check: bool, reason: str, **how: bool) -> None:
    """Bring every node to what the spec says.

    The first deployment starts everything together. Later ones restart only what changed, one node at a time,
    the standby before the primary, and refuse a cluster that is not healthy.

    Examples:
      hactl deploy --check
      hactl deploy --explain
      hactl deploy
      hactl deploy --limit arc2
    """
    from hactl.act.config_versions import Draft
    from hactl.cli.context import enter_lab, open_context
    from hactl.cli.output import emit
    from hactl.deploy import wheelhouse
    from hactl.deploy.events import Progress
    from hactl.deploy.run import Request, deploy

    context = open_context(ctx, connect=False)
    if context.site.on_node:
        raise Refused(
            "this machine is a node of the cluster; deployments need the CA and the keys of the state folder",
            hint="run hactl deploy where hactl pki was run",
        )
    with progress(context.verbose) as tell:
        tell(Progress("play", "Wheelhouse"))
        # Before the lab's network is entered: it has no way out, as a hospital's has none.
        wheels = wheelhouse.build(wheelhouse.cache_folder(), lambda text: tell(Progress("task", text)))
        if context.site.lab is not None:
            enter_lab(context.site.lab)
        request = Request(
            context.spec,
            context.site,
            wheels,
            limit=limit,
            check=check or how["explain"],
            force=how["force"] or how["explain"],
            packages=not how["skip_packages"],
            record=Draft(context.text, "deploy", reason),
        )
        if how["explain"]:
            from hactl.cli import deploy_explained

            deploy_explained.run(context, request, tell)
            return
        result = deploy(request, tell)
    if context.output != "table":
        emit(_data(result), context.output)
        return
    if check:
        _print_differences(result)
    click.echo(_summary(result))


def _summary(result: Result) -> str:
    nodes = len({c.node for c in result.changes})
    verb = "would change" if result.check else "changed"
    if not result.changes:
        return f"nothing to change; {result.seconds:.0f} s"
    number = len(result.changes)
    steps, places = _many(number, "step"), _many(nodes, "node")
    return f"{steps} {verb} {places}; {result.seconds:.0f} s"


def _many(number: int, thing: str) -> str:
    return f"{number} {thing}" if number == 1 else f"{number} {thing}s"


def _data(result: Result) -> dict[str, Any]:
    return {
        "first": result.first,
        "check": result.check,
        "changed": len(result.changes),
        "changes": [
            {"node": c.node, "task": c.task, "what": list(c.what), "diff": c.diff} for c in result.changes
        ],
        "made": list(result.made),
        "seconds": round(result.seconds, 1),
    }


def _print_differences(result: Result) -> None:
    for change in result.changes:
        click.echo(f"{change.node}: {change.task}" + (f" ({', '.join(change.what)})" if change.what else ""))
        if change.diff:
            click.echo(change.diff)


def progress(verbose: int) -> AbstractContextManager[Listener]:
    """One living line on a terminal; elsewhere a line for each phase and each change."""
    if sys.stderr.isatty():
        return _live()
    return _lines(verbose)


def _lines(verbose: int) -> AbstractContextManager[Listener]:
    import contextlib
    import time

    start = time.monotonic()

    def tell(progress: Progress) -> None:
        if progress.kind == "task" and not verbose:
            return
        about = f"{progress.node}: " if progress.node else ""
        detail = f": {progress.detail}" if progress.detail and progress.kind != "task" else ""
        click.echo(
            f"[{time.monotonic() - start:5.1f}] {_INDENT[progress.kind]}{about}{progress.text}{detail}",
            err=True,
        )

    return contextlib.nullcontext(tell)


_INDENT = {
    "play": "",
    "task": "  ",
    "changed": "    ",
    "failed": "    failed: ",
    "unreachable": "    unreachable: ",
}


def _live() -> AbstractContextManager[Listener]:
    import contextlib

    from rich.console import Console
    from rich.markup import escape

    console = Console(stderr=True, highlight=False)

    @contextlib.contextmanager
    def run() -> Iterator[Listener]:
        play = ""
        with console.status("deploying") as status:

            def tell(progress: Progress) -> None:
                nonlocal play
                if progress.kind == "play":
                    play = progress.text
                    status.update(escape(play))
                elif progress.kind == "task":
                    status.update(f"{escape(play)}: {escape(progress.text)}")
                elif progress.kind == "changed":
                    what = f" [dim]{escape(progress.detail)}[/]" if progress.detail else ""
                    console.print(f"  {escape(progress.node):<8} {escape(progress.text)}{what}")

            yield tell

    return run()
