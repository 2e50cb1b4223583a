"""`hactl config show`: every setting from the spec to the running servers."""

from __future__ import annotations

import hashlib
from typing import TYPE_CHECKING, Any

import click

from hactl.cli.config_data import document, look, table, wanted
from hactl.cli.context import Context, open_context
from hactl.cli.output import emit

if TYPE_CHECKING:
    from hactl.decide.config_drift import Row

SUMMARISED = ("archive", "keepalived")  # whose files are told by their digest


@click.command("show")
@click.option(
    "--effective", is_flag=True, help="Also what neither spec nor hactl sets, where it is not the default."
)
@click.argument("names", nargs=-1, metavar="[NAME]...")
@click.pass_context
def show(ctx: click.Context, effective: bool, names: tuple[str, ...]) -> None:
    """Show each setting (or NAME): what the spec says, what Patroni has, what each database runs with.

    \b
    Examples:
      hactl config show
      hactl config show work_mem max_connections
      hactl config show --effective -o json
    """  # noqa: D301 - click's mark for lines that stay as they are
    from hactl.decide.config_drift import rows

    context = open_context(ctx)
    seen = look(context)
    found = rows(wanted(context.spec), seen.dcs, seen.running, whole=effective or bool(names))
    if names:
        found = tuple(row for row in found if row.name in names)
    files, silent = ([], {}) if names else _files(context)
    silent = {**seen.silent, **silent}
    if context.output != "table":
        settings = [_told(row) for row in found]
        emit(
            document(context, primary=seen.primary, settings=settings, files=files, unreachable=silent),
            context.output,
        )
        return
    nodes = [n for n in context.spec.databases if n in seen.running]
    head = ("SETTING", "SPEC", "FROM", "PATRONI", *nodes, "NOTE")
    table(head, [_line(row, nodes) for row in found])
    if names:
        _origins(found)
    for entry in files:
        state = {True: "as rendered", False: "not as rendered: hactl config diff", None: ""}[
            entry["as_rendered"]
        ]
        click.echo(f"{entry['node']:<8} {entry['component']:<10} {entry['files']:>2} files  "
                   f"{entry['sha256'][:12]}  {state}".rstrip())  # fmt: skip
    for source, why in silent.items():
        click.echo(f"not asked: {source}: {why}", err=True)


def _line(row: Row, nodes: list[str]) -> list[str]:
    from hactl.decide.config_drift import HIDDEN, secret

    def shown(node: str) -> str:
        setting = row.running.get(node)
        return "" if setting is None else HIDDEN if secret(row.name) else setting.shown

    return [row.name, row.wanted, str(row.origin), row.dcs, *(shown(n) for n in nodes), _note(row)]


def _origins(found: tuple[Row, ...]) -> None:
    """Where each server has its value from, and what it takes to change it."""
    for row in found:
        for node, setting in row.running.items():
            where = f"{setting.source}{f', {setting.file}' if setting.file else ''}"
            how = "a restart" if setting.restarts else "a reload"
            click.echo(f"  {row.name} on {node}: from {where}; changed by {how}")


def _note(row: Row) -> str:
    said = [f"takes effect as {row.effective}"] if row.effective else []
    if row.pending:
        said.append(f"waits for a restart on {', '.join(sorted(row.pending))}")
    said += [f"ALTER SYSTEM on {n}" for n, s in row.running.items() if s.by_alter_system]
    return "; ".join(said)


def _told(row: Row) -> dict[str, Any]:
    from hactl.decide.config_drift import HIDDEN, secret

    hidden = secret(row.name)
    return {
        "name": row.name, "of": "postgresql" if row.parameter else "patroni",
        "spec": row.wanted, "from": str(row.origin), "patroni": row.dcs,
        "effective": row.effective or row.dcs,
        "nodes": {
            node: {
                "value": HIDDEN if hidden else s.shown, "unit": s.unit, "source": s.source, "file": s.file,
                "change": "restart" if s.restarts else "reload", "pending_restart": node in row.pending,
            }
            for node, s in row.running.items()
        },
    }  # fmt: skip


def _files(context: Context) -> tuple[list[dict[str, Any]], dict[str, str]]:
    """The archive's and keepalived's files on each node, as one digest each."""
    from hactl.cli.config_files import found_files, rendered
    from hactl.render.compare import compare

    if context.site.on_node:
        return [], {"files": "a node has no key for the others: run this where `hactl deploy` runs"}
    files, secrets = rendered(context, ())
    there, silent = found_files(context, list(context.spec.nodes))
    said = []
    for node, found in there.items():
        wrong = {d.path for d in compare(node, files, found, secrets)}
        for what in SUMMARISED:
            paths = sorted(f.path for f in files if f.node == node and _kind(f.component) == what)
            if paths:
                digests = "".join(
                    f"{path} {entry.sha256 if (entry := found.get(path)) else '-'}\n" for path in paths
                )
                said.append({
                    "node": node, "component": what, "files": len(paths),
                    "sha256": hashlib.sha256(digests.encode()).hexdigest(),
                    "as_rendered": wrong.isdisjoint(paths),
                })  # fmt: skip
    return said, {f"files of {node}": error.message for node, error in silent.items()}


def _kind(component: str) -> str:
    return "archive" if component in {"orthanc", "nginx"} else component
