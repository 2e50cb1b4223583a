"""`hactl config`: the configuration, from the spec to the running servers."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import click

from hactl.cli import config_drift, config_edit, config_history, config_show
from hactl.cli.config_files import ask_files, rendered
from hactl.errors import NotHealthy, Unreachable

if TYPE_CHECKING:
    from collections.abc import Sequence

    from hactl.render.compare import Difference


@click.group("config")
def command() -> None:
    """The configuration: files, Patroni, what runs; edit it, look who did, go back."""


command.add_command(config_drift.drift)
command.add_command(config_edit.edit)
command.add_command(config_edit.rollback)
command.add_command(config_history.history)
command.add_command(config_show.show)

_nodes = click.option(
    "--node", "nodes", metavar="NODE", multiple=True, help="Only this node; may be repeated."
)


@command.command("render")
@click.option(
    "--out", type=click.Path(file_okay=False, path_type=Path),
    help="Where to. Default: rendered/ in the state folder.",
)  # fmt: skip
@_nodes
@click.pass_context
def render_files(ctx: click.Context, out: Path | None, nodes: tuple[str, ...]) -> None:
    """Write every configuration file, as `deploy` would install it, into one folder per node.

    They hold passwords: the folder is made readable for you alone. Beside the files lies manifest.json.

    Example:
      hactl config render --node db1
    """
    from hactl.cli.context import open_context
    from hactl.cli.output import emit
    from hactl.render.manifest import write

    context = open_context(ctx, connect=False)
    files, _ = rendered(context, nodes)
    target = out or context.site.state / "rendered"
    written = write(files, target)
    if context.output != "table":
        listing = [{"node": f.node, "path": f.path, "component": f.component, "mode": f.mode} for f in files]
        emit({"out": str(target), "files": listing}, context.output)
        return
    for folder in written:
        count = sum(f.node == folder.name for f in files)
        click.echo(f"{folder.name:<16} {count:>3} files in {folder}")


@command.command("diff")
@_nodes
@click.pass_context
def diff(ctx: click.Context, nodes: tuple[str, ...]) -> None:
    """Compare what lies on the nodes with what would be rendered now; secrets are masked.

    Exit code 0: all equal. 7: something differs. 4: a node could not be asked.

    Example:
      hactl config diff --node db1
    """
    from hactl.cli.context import open_context
    from hactl.cli.output import emit

    context = open_context(ctx)
    files, secrets = rendered(context, nodes)
    chosen = [node for node in context.spec.nodes if not nodes or node in nodes]
    differences, silent = ask_files(context, chosen, files, secrets)
    if context.output != "table":
        rows = [{"node": d.node, "path": d.path, "what": d.what, "diff": d.diff} for d in differences]
        emit({"differences": rows, "unreachable": {n: e.message for n, e in silent.items()}}, context.output)
    else:
        _print(differences)
    if silent:
        sentences = "; ".join(f"{node}: {error.message}" for node, error in silent.items())
        raise Unreachable(f"not compared: {sentences}", hint="hactl doctor")
    if differences:
        count = len({(d.node, d.path) for d in differences})
        raise NotHealthy(
            f"{count} file{'s' if count != 1 else ''} not as rendered", hint="hactl deploy --check"
        )


def _print(differences: Sequence[Difference]) -> None:
    for found in differences:
        click.echo(f"{found.node}: {found.path}: {found.what}")
        if found.diff:
            click.echo(found.diff, nl=False)
