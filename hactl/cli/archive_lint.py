"""`hactl archive lint`: whether an Orthanc is set up so that failures end well."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from hactl.errors import HactlError, NotHealthy, Refused, SpecError, Unreachable, UsageError

if TYPE_CHECKING:
    from hactl.cli.context import Context
    from hactl.decide.lint.model import LintFinding, Setting
    from hactl.view.orthanc_config import OrthancConfig

_COLOURS = {"error": "red", "warning": "yellow"}


@click.command("lint")
@click.argument("targets", metavar="[FILE|NODE]...", nargs=-1)
@click.option(
    "--orthanc", "version", metavar="VERSION", default="1.10.1", show_default=True,
    help="Of which Orthanc a file is; defaults and settings differ.",
)  # fmt: skip
@click.option(
    "--max-connections", type=click.IntRange(min=1), metavar="N",
    help="PostgreSQL's. Default: the spec's for nodes, 100 for files.",
)  # fmt: skip
@click.option("--openssl-conf", type=click.Path(path_type=Path), help="The OPENSSL_CONF that Orthanc gets.")
@click.pass_context
def command(
    ctx: click.Context,
    targets: tuple[str, ...],
    version: str,
    max_connections: int | None,
    openssl_conf: Path | None,
) -> None:
    """Check an Orthanc's configuration against rules with measured reasons (docs/lint.md).

    FILE is an orthanc.json, or a folder of several that Orthanc reads together; NODE an archive node of
    the spec. Several are taken for the nodes of one archive and compared. Without any: all nodes of the spec.
    Exits with 7 when something is found.

    Examples:
      hactl archive lint
      hactl archive lint arc1
      hactl archive lint /etc/orthanc --max-connections 200
    """
    from hactl.cli.output import emit
    from hactl.decide.lint.rules import lint

    configs, silent, setting = _gather(ctx, targets, _version(version), openssl_conf, max_connections)
    findings = lint(configs, setting)
    output = (ctx.find_root().obj or {}).get("output", "table")
    if output == "table":
        _print(configs, findings)
    else:
        emit(document(configs, findings, silent), output)
    if silent:
        sentences = "; ".join(f"{node}: {error.message}" for node, error in silent.items())
        raise Unreachable(f"not looked at: {sentences}", hint="hactl doctor")
    if findings:
        number = len(findings)
        raise NotHealthy(f"{number} finding{'s' if number != 1 else ''}", hint="docs/lint.md")


def _version(text: str) -> tuple[int, ...]:
    from hactl.view.parse.orthanc_config import parse_version

    try:
        return parse_version(text)
    except ValueError as error:
        raise UsageError(str(error)) from error


def _gather(
    ctx: click.Context,
    targets: Sequence[str],
    version: tuple[int, ...],
    openssl_conf: Path | None,
    max_connections: int | None,
) -> tuple[list[OrthancConfig], Mapping[str, HactlError], Setting]:
    """A word that is a path is a file; every other one is a node, which needs a spec."""
    import dataclasses

    from hactl.decide.lint.model import Setting
    from hactl.view.archive_kind import Ability
    from hactl.wiring_archive import refuse_unless

    files = [t for t in targets if Path(t).exists() or "/" in t or t.endswith(".json")]
    nodes = [t for t in targets if t not in files]
    configs = [_file(Path(f), version, openssl_conf) for f in files]
    setting, silent = Setting(), dict[str, HactlError]()
    if nodes or not targets:
        context = _context(ctx, nodes)
        refuse_unless(context.spec, Ability.LINT)
        chosen = nodes or list(context.spec.archives)
        if unknown := [n for n in chosen if n not in context.spec.archives]:
            known = ", ".join(context.spec.archives)
            raise UsageError(f"no file and no archive node: {', '.join(unknown)}", hint=f"nodes: {known}")
        found, silent = _nodes(context, chosen)
        configs += found
        setting = _setting(context)
    if max_connections is not None:
        setting = dataclasses.replace(setting, max_connections=max_connections)
    return configs, silent, setting


def _context(ctx: click.Context, nodes: Sequence[str]) -> Context:
    from hactl.cli.context import open_context

    try:
        return open_context(ctx)
    except SpecError:
        raise
    except UsageError as error:
        if nodes:
            raise UsageError(f"there is no file {nodes[0]}, and no spec that could name a node so") from error
        raise


def _file(path: Path, version: tuple[int, ...], openssl_conf: Path | None) -> OrthancConfig:
    import dataclasses

    from hactl.adapters.orthanc_config import read
    from hactl.view.parse.orthanc_config import floor_of

    found = read(path, version=version)
    if openssl_conf is None:
        return found
    try:
        text = openssl_conf.read_text(encoding="utf-8", errors="replace")
    except OSError as error:
        raise UsageError(f"{openssl_conf}: {error.strerror}") from error
    return dataclasses.replace(found, tls_floor=floor_of(text))


def _setting(context: Context) -> Setting:
    from hactl.decide.lint.model import Setting
    from hactl.render.orthanc import RESERVED_CONNECTIONS
    from hactl.render.patroni import PARAMETERS

    given = context.spec.database.parameters.get("max_connections", PARAMETERS["max_connections"])
    return Setting(
        max_connections=int(given) if str(given).isdigit() else 100,
        reserve=RESERVED_CONNECTIONS,
        modalities=len(context.spec.archive.modalities),
    )


def _nodes(context: Context, nodes: Sequence[str]) -> tuple[list[OrthancConfig], dict[str, HactlError]]:
    """All at once: what lies there, and why a node did not tell."""
    from concurrent.futures import ThreadPoolExecutor

    from hactl.adapters.orthanc_config import from_node
    from hactl.wiring import dispatchers

    if context.site.on_node:
        raise Refused(
            "a node has no key for other nodes",
            hint="run this where the operator's state folder is, or name the file on this node",
        )
    asked, versions = dispatchers(context.spec, context.site), _versions(context, nodes)
    configs: list[OrthancConfig] = []
    silent: dict[str, HactlError] = {}
    with ThreadPoolExecutor(max_workers=16) as pool:
        answers = {n: pool.submit(from_node, n, asked[n], version=versions[n]) for n in nodes}
        for node, answer in answers.items():
            try:
                configs.append(answer.result())
            except HactlError as error:
                silent[node] = error
    return configs, silent


def _versions(context: Context, nodes: Sequence[str]) -> dict[str, tuple[int, ...]]:
    """As the running Orthancs say; Debian 12's where one does not answer."""
    from hactl.view.orthanc_config import DEBIAN
    from hactl.view.parse.orthanc_config import parse_version
    from hactl.wiring import status_ports

    found: dict[str, tuple[int, ...]] = {}
    ports = status_ports(context.spec, context.site)
    for node in nodes:
        try:
            found[node] = parse_version(str(ports.archives[node].version()))
        except (HactlError, ValueError):
            found[node] = DEBIAN
    return found


def document(
    configs: Sequence[OrthancConfig], findings: Sequence[LintFinding], silent: Mapping[str, HactlError]
) -> dict[str, Any]:
    return {
        "version": 1,
        "looked_at": [c.source for c in configs],
        "unreachable": {node: error.message for node, error in silent.items()},
        "findings": [
            {
                "code": f.rule.code, "severity": f.rule.severity.value, "source": f.source,
                "summary": f.rule.title, "detail": f.detail, "why": f.rule.why, "fix": f.rule.fix,
                "docs": f"docs/lint.md#{f.rule.code.lower()}",
            }
            for f in findings
        ],
    }  # fmt: skip


def _print(configs: Sequence[OrthancConfig], findings: Sequence[LintFinding]) -> None:
    for found in findings:
        said = f"{found.rule.severity.value}: {found.rule.code} {found.source}"
        click.echo(click.style(said, fg=_COLOURS.get(found.rule.severity.value, "cyan"), bold=True))
        click.echo(f"    {found.rule.title}: {found.detail}")
        click.echo(f"    {found.rule.why}")
        click.echo(f"    instead: {found.rule.fix}   (docs/lint.md#{found.rule.code.lower()})")
    if configs and not findings:
        click.echo(f"{', '.join(c.source for c in configs)}: nothing found")
