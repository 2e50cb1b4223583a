"""`hactl doctor`: everything that a failover will rely on, checked before it is needed."""

from __future__ import annotations

import contextlib
import sys
from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING, Any

import click

from hactl.cli.context import Context, open_context
from hactl.cli.output import emit
from hactl.decide.codes import Finding, Severity
from hactl.errors import HactlError, NotHealthy

if TYPE_CHECKING:
    from hactl.adapters.node_look import Differences

# Health within status's 2 s; the rest is a login on each node, its programs, and the certificates.
WITHIN = 12.0
SHOWN = 3  # of what is waited for


@click.command()
@click.pass_context
def command(ctx: click.Context) -> None:
    """Check every precondition; say why it matters and what to do.

    Besides what `status` sees, each node is asked over SSH: units, disks, clock, versions, whether its files
    are as rendered, whether it reaches every port that it needs of the others, who answers for the virtual
    IPs (ARP), what its kernel can, whether upgrades come by themselves. And certificates, what Patroni and
    PostgreSQL really run with, room for WAL, the way back for an old primary, backup, last drill.

    It changes nothing, and works with nodes down and without etcd: what could not be looked at is a finding.
    Exits with 7 when a warning or an error is found that is not muted.

    Examples:
      hactl doctor
      hactl doctor -o json
    """
    context = open_context(ctx)
    findings, muted, took = examine(context)
    head = {"version": 1, "cluster": context.spec.cluster, "took_seconds": round(took, 3)}
    _show({**head, "findings": findings, "muted": muted}, context.output)
    bad = [f for f in findings if f["severity"] in {Severity.WARNING, Severity.ERROR}]
    if bad:
        raise NotHealthy(f"{context.spec.cluster}: {len(bad)} of {len(findings)} findings need attention")


def examine(context: Context) -> tuple[list[dict[str, Any]], list[dict[str, Any]], float]:
    """All findings, worst first, as plain data; those that are muted; and how long it took, in seconds."""
    from hactl.cli.status_data import muted, mutes
    from hactl.decide.mute import heard
    from hactl.decide.preconditions import examine as judge
    from hactl.observe.gather import gather
    from hactl.render.patroni import dynamic, pinned_parameters
    from hactl.wiring import doctor_ports

    ports = doctor_ports(context.spec, context.site, _differences(context))
    with _waiting() as tell:
        view = gather(ports, within=WITHIN, waiting=tell)
    told = heard(judge(context.spec, view, dynamic(context.spec), pinned_parameters()), mutes(view))
    return [_finding(f) for f in told.verdict.findings], [muted(f, m) for f, m in told.muted], view.took


def _differences(context: Context) -> Callable[[str], Differences] | None:
    """What of a node's files is not as rendered; None where nothing can be rendered: no secrets here."""
    from hactl.cli.config_files import rendered
    from hactl.render.compare import compare, parse_files

    try:
        files, secrets = rendered(context, ())
    except HactlError:
        return None

    def of(node: str) -> Differences:
        return lambda body: tuple(
            f"{d.path} {d.what}" for d in compare(node, files, parse_files(body), secrets)
        )

    return of


@contextlib.contextmanager
def _waiting() -> Iterator[Callable[[list[str]], None] | None]:
    """On a terminal: one line that says what has not answered yet, and is gone at the end."""
    if not sys.stderr.isatty():
        yield None
        return

    def tell(late: list[str]) -> None:
        more = f" and {len(late) - SHOWN} more" if len(late) > SHOWN else ""
        click.echo(f"\r\x1b[Kwaiting for {', '.join(late[:SHOWN])}{more}", nl=False, err=True)

    try:
        yield tell
    finally:
        click.echo("\r\x1b[K", nl=False, err=True)


def _finding(found: Finding) -> dict[str, Any]:
    from hactl.cli.status_data import reason

    return {**reason(found), "why": found.code.why}


def _show(data: dict[str, Any], output: str) -> None:
    if output == "table":
        _show_text(data)
    else:
        emit(data, output)


def _show_text(data: dict[str, Any]) -> None:
    for found in data["findings"]:
        subject = f" {found['subject']}" if found["subject"] else ""
        colour = {"error": "red", "warning": "yellow"}.get(found["severity"], "cyan")
        click.echo(click.style(f"{found['severity']}: {found['code']}{subject}", fg=colour, bold=True))
        for line in (found["summary"], found["detail"], found["why"]):
            if line:
                click.echo(f"    {line}")
        click.echo(f"    next: {found['fix']}   ({found['docs']})")
    for found in data["muted"]:
        until = f" until {found['muted_until'][:16]}Z" if found["muted_until"] else ""
        about = f"{found['code']} {found['subject']}".rstrip()
        click.echo(
            click.style(f"muted: {about}{until}, by {found['muted_by']}: {found['muted_why']}", dim=True)
        )
    if not data["findings"]:
        click.echo(f"{data['cluster']}: nothing found that would need attention")
