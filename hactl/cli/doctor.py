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
    certificates, Patroni's dynamic configuration. Exits with 7 when a warning or an error is found.
    """
    context = open_context(ctx)
    findings, took = examine(context)
    head = {"version": 1, "cluster": context.spec.cluster, "took_seconds": round(took, 3)}
    _show({**head, "findings": findings}, context.output)
    bad = [f for f in findings if f["severity"] in {Severity.WARNING, Severity.ERROR}]
    if bad:
        raise NotHealthy(f"{context.spec.cluster}: {len(bad)} of {len(findings)} findings need attention")


def examine(context: Context) -> tuple[list[dict[str, Any]], float]:
    """All findings, worst first, as plain data; and how long it took, in seconds."""
    from hactl.decide.preconditions import examine as judge
    from hactl.observe.gather import gather
    from hactl.render.patroni import dynamic
    from hactl.wiring import doctor_ports

    view = gather(doctor_ports(context.spec, context.site), within=WITHIN)
    verdict = judge(context.spec, view, dynamic(context.spec))
    return [_finding(f) for f in verdict.findings], view.took


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
    if not data["findings"]:
        click.echo(f"{data['cluster']}: nothing found that would need attention")
