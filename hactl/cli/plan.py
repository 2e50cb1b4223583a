"""`hactl plan`: what the controller would do now."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import click

from hactl.cli.context import open_context
from hactl.cli.failover import SECONDS, ports
from hactl.cli.output import emit

if TYPE_CHECKING:
    from hactl.decide.plan import Plan


@click.command()
@click.option(
    "--for", "seconds", type=click.FloatRange(min=0.5, max=300), default=SECONDS, show_default=True,
    metavar="SECONDS", help="How long to look: some things must last for a while before they are acted on.",
)  # fmt: skip
@click.pass_context
def command(ctx: click.Context, seconds: float) -> None:
    """Print the plan: steps with their reasons, and what is held back by which veto.

    The controller's own functions decide, over a look of their own; nothing is done. What must have lasted
    longer than the look (a standby that does not stream for a minute, say) only the controller's log tells.

    Examples:
      hactl plan
      hactl plan --for 60
    """
    context = open_context(ctx)
    from hactl.cli.live import watch

    seen = watch(context.spec, ports(context), seconds)
    data = {
        "version": 1,
        "cluster": context.spec.cluster,
        "controller": seen.active,
        "plans": [document(about, plan) for about, plan in seen.plans().items()],
    }
    if context.output == "table":
        _print(data)
    else:
        emit(data, context.output)


def document(about: str, plan: Plan) -> dict[str, Any]:
    from hactl.act.run import described, kind

    return {
        "about": about,
        "steps": [
            {"action": kind(s.action), "reason": s.reason, "with": described(s.action)} for s in plan.steps
        ],
        "vetoes": [{"code": v.code, "why": v.why, "evidence": v.evidence} for v in plan.vetoes],
        "reasons": list(plan.reasons),
        "alarms": list(plan.alarms),
    }


def _print(data: Mapping[str, Any]) -> None:
    who = f"active on {data['controller']}" if data["controller"] else "none is active: nothing would be done"
    click.echo(f"{data['cluster']}: controller: {who}")
    quiet = True
    for plan in data["plans"]:
        for step in plan["steps"]:
            click.echo(f"  {click.style(plan['about'], bold=True)}: {step['action']}: {step['reason']}")
        for veto in plan["vetoes"]:
            evidence = f" [{veto['evidence']}]" if veto["evidence"] else ""
            click.echo(
                click.style(f"  {plan['about']}: vetoed: {veto['code']}: {veto['why']}{evidence}", fg="red")
            )
        for said in (*plan["reasons"], *plan["alarms"]):
            click.echo(f"  {plan['about']}: {said}")
        quiet = quiet and not any(plan[k] for k in ("steps", "vetoes", "reasons", "alarms"))
    if quiet:
        click.echo("  nothing to do")
