"""`hactl config`: the files that hactl makes for the nodes, and how they compare with what lies there."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import click

from hactl.errors import HactlError, NotHealthy, Refused, Unreachable, UsageError

if TYPE_CHECKING:
    from collections.abc import Sequence

    from hactl.cli.context import Context
    from hactl.render.compare import Difference
    from hactl.render.targets import RenderedFile

FILES_WITHIN = 20.0  # seconds; a node's answer has some 100 KiB and takes well below one


@click.group("config")
def command() -> None:
    """Render the configuration files of all nodes, compare them with what is there."""


_nodes = click.option(
    "--node", "nodes", metavar="NODE", multiple=True, help="Only this node; may be repeated."
)


def _rendered(context: Context, nodes: Sequence[str]) -> tuple[tuple[RenderedFile, ...], tuple[str, ...]]:
    """The files of the chosen nodes, and the secrets in them."""
    from hactl.deploy.desired import render_secrets
    from hactl.pki.store import Store
    from hactl.render.all import render

    unknown = [node for node in nodes if node not in context.spec.nodes]
    if unknown:
        raise UsageError(
            f"no such node: {', '.join(unknown)}", hint=f"there are {', '.join(context.spec.nodes)}"
        )
    if context.site.on_node:
        raise Refused(
            "this machine is a node of the cluster and has not all of its secrets",
            hint="run hactl config where hactl deploy is run",
        )
    secrets = render_secrets(Store(context.site.state))
    chosen = set(nodes or context.spec.nodes)
    return tuple(f for f in render(context.spec, secrets) if f.node in chosen), secrets.values()


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
    """
    from hactl.cli.context import open_context
    from hactl.cli.output import emit
    from hactl.render.manifest import write

    context = open_context(ctx, connect=False)
    files, _ = _rendered(context, nodes)
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
    """
    from hactl.cli.context import open_context
    from hactl.cli.output import emit

    context = open_context(ctx)
    files, secrets = _rendered(context, nodes)
    chosen = [node for node in context.spec.nodes if not nodes or node in nodes]
    differences, silent = _ask(context, chosen, files, secrets)
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


def _ask(
    context: Context, nodes: Sequence[str], files: Sequence[RenderedFile], secrets: Sequence[str]
) -> tuple[list[Difference], dict[str, HactlError]]:
    """All nodes at once: the differences, and per node that gave no answer the reason."""
    from concurrent.futures import ThreadPoolExecutor

    from hactl.render.compare import compare, parse_files
    from hactl.wiring import dispatchers

    asked = dispatchers(context.spec, context.site)
    differences: list[Difference] = []
    silent: dict[str, HactlError] = {}
    with ThreadPoolExecutor(max_workers=16) as pool:
        answers = {node: pool.submit(asked[node].ask, "files", within=FILES_WITHIN) for node in nodes}
        for node, answer in answers.items():
            try:
                differences += compare(node, files, parse_files(answer.result()), secrets)
            except HactlError as error:
                silent[node] = error
            except ValueError as error:
                silent[node] = Unreachable(str(error))
    return differences, silent
