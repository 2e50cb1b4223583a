"""The rendered files, and what of them lies on the nodes."""

from __future__ import annotations

from typing import TYPE_CHECKING

from hactl.errors import HactlError, Refused, Unreachable, UsageError

if TYPE_CHECKING:
    from collections.abc import Sequence

    from hactl.cli.context import Context
    from hactl.render.compare import Difference, Found
    from hactl.render.targets import RenderedFile

FILES_WITHIN = 20.0  # seconds; a node's answer has some 100 KiB and takes well below one


def rendered(context: Context, nodes: Sequence[str]) -> tuple[tuple[RenderedFile, ...], tuple[str, ...]]:
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


def ask_files(
    context: Context, nodes: Sequence[str], files: Sequence[RenderedFile], secrets: Sequence[str]
) -> tuple[list[Difference], dict[str, HactlError]]:
    """All nodes at once: the differences, and per node that gave no answer the reason."""
    from hactl.render.compare import compare

    there, silent = found_files(context, nodes)
    differences = [d for node, found in there.items() for d in compare(node, files, found, secrets)]
    return differences, silent


def found_files(
    context: Context, nodes: Sequence[str]
) -> tuple[dict[str, dict[str, Found | None]], dict[str, HactlError]]:
    """What lies on each node; per node that gave no answer the reason."""
    from concurrent.futures import ThreadPoolExecutor

    from hactl.render.compare import parse_files
    from hactl.wiring import dispatchers

    asked = dispatchers(context.spec, context.site)
    there: dict[str, dict[str, Found | None]] = {}
    silent: dict[str, HactlError] = {}
    with ThreadPoolExecutor(max_workers=16) as pool:
        answers = {node: pool.submit(asked[node].ask, "files", within=FILES_WITHIN) for node in nodes}
        for node, answer in answers.items():
            try:
                there[node] = parse_files(answer.result())
            except HactlError as error:
                silent[node] = error
            except ValueError as error:
                silent[node] = Unreachable(str(error))
    return there, silent
