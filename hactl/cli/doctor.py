"""`hactl doctor`: everything that a failover will rely on, checked before it is needed."""

from __future__ import annotations

from typing import Any

import click

from hactl.cli.context import Context, open_context
from hactl.cli.output import emit
from hactl.decide.codes import Finding, Severity
from hactl.errors import NotHealthy

# Health within status's 2 s; the rest is a login on each node, its programs, and the certificates.
WITHIN = 12.0


@click.command()
@click.pass_context
def command(ctx: click.Context) -> None:
    """Check every precondition; say why it matters and what to do.

    Besides what `status` sees: each node's addresses, units, disks, clock and versions over SSH,
    certificates, Patroni's dynamic configuration. Exits with 7 when a warning or an error is found that is
    not muted.

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
    from hactl.render.patroni import dynamic
    from hactl.wiring import doctor_ports

    view = gather(doctor_ports(context.spec, context.site), within=WITHIN)
    told = heard(judge(context.spec, view, dynamic(context.spec)), mutes(view))
    return [_finding(f) for f in told.verdict.findings], [muted(f, m) for f, m in told.muted], view.took


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
