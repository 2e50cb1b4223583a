"""`hactl drill`: faults on purpose, measured and judged."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from hactl.cli import node_common
from hactl.cli import operator as by_hand
from hactl.cli.context import Context, open_context
from hactl.cli.labdrill import in_lab
from hactl.cli.output import emit
from hactl.errors import NotHealthy, UsageError

if TYPE_CHECKING:
    from hactl.drill.scenarios import Scenario

_FILE = click.Path(exists=True, dir_okay=False, path_type=Path)


@click.group()
def command() -> None:
    """Faults on purpose: listed, run under load, judged, reported."""


@command.command(name="list")
@click.pass_context
def list_(ctx: click.Context) -> None:
    """List the scenarios: what is struck, how, and what must come of it.

    Example:
      hactl drill list
    """
    from hactl.drill.scenarios import ALL, for_real

    output = (ctx.find_root().obj or {}).get("output", "table")
    if output == "table":
        for s in ALL:
            lab = "" if for_real(s) else " (lab only)"
            click.echo(f"{s.name:<33} {s.limit:>3g} s  {s.says}{lab}")
        return
    rows = [
        {
            "scenario": s.name,
            "says": s.says,
            "limit_seconds": s.limit,
            "failovers": list(s.failovers),
            "lab_only": not for_real(s),
        }
        for s in ALL
    ]
    emit({"version": 1, "scenarios": rows}, output)


@command.command()
@click.argument("scenarios", nargs=-1, required=True, metavar="SCENARIO...")
@click.option("--production", is_flag=True, help="A lab is treated as an installation that people rely on.")
@by_hand.explaining
@click.pass_context
def run(ctx: click.Context, scenarios: tuple[str, ...], production: bool, asked: by_hand.Asked) -> None:
    """Run drills one after the other: role/fault, patterns like 'archive/*', or a fault's name alone.

    Each waits until redundancy is full again before it is judged. Refused (exit code 3, with all reasons)
    when redundancy is not full before; ended with exit code 7 when a promise was broken, and then the drills
    that follow are left out. Whatever happens, Ctrl-C included, the fault is healed.

    Where people rely on the service there is one drill at a time, with a --reason, in a window of the spec
    (drills.windows), of the faults that each node mends by itself if nobody else does. It stops at the first
    thing that its fault does not explain.

    Examples:
      hactl drill run primary/switchover --explain
      hactl drill run 'archive/*' --reason 'before the audit'
    """
    from hactl.drill.scenarios import find

    chosen = find(scenarios)
    context = open_context(ctx)
    real = production or context.site.lab is None
    done = _for_real(context, chosen, asked) if real else _in_lab(context, chosen, asked)
    if not done:
        return
    if context.output != "table":
        emit({"version": 1, "cluster": context.spec.cluster, "drills": done}, context.output)
    if not done[-1]["clean"]:
        from hactl.drill.record import said

        left = len(chosen) - len(done)
        more = f"; {left} drills were left out" if left else ""
        raise NotHealthy(
            f"{done[-1]['scenario']}: {said(done[-1])}{more}",
            hint=f"hactl drill report {done[-1]['run']}",
        )


def _in_lab(context: Context, chosen: tuple[Scenario, ...], asked: by_hand.Asked) -> list[dict[str, Any]]:
    """The records; none: it was only told what would be done."""
    from hactl.cli import drill_run

    if asked.dry_run:
        vetoes = drill_run.vetoes(context, chosen)
        for scenario in chosen:
            click.echo(f"would run {scenario.name}: {scenario.says}")
        for sentence in vetoes:
            click.echo(f"  - {sentence}")
        return []
    by_hand.meant(f"Run {', '.join(s.name for s in chosen)} on lab {in_lab(context).name}?", yes=asked.yes)
    done: list[dict[str, Any]] = []
    for scenario in chosen:
        done.append(drill_run.run(context, scenario, asked.reason))
        if not done[-1]["clean"]:
            break
    return done


def _for_real(context: Context, chosen: tuple[Scenario, ...], asked: by_hand.Asked) -> list[dict[str, Any]]:
    """As `_in_lab`. Raises UsageError: more than one, or no reason."""
    from hactl.cli import drill_real, drill_run

    if len(chosen) != 1:
        names = ", ".join(s.name for s in chosen)
        raise UsageError(f"one drill at a time where people rely on it, not {names}", hint="hactl drill list")
    if not asked.dry_run:
        by_hand.reason_given(asked, "a drill")
    found = drill_real.proposal(context, chosen[0])
    if not node_common.go_ahead(context, found, asked):
        return []
    if chosen[0].failovers[1]:  # which is a failover on purpose
        by_hand.second_person(context, found.question, found.steps, asked.reason)
    return [drill_run.run_for_real(context, chosen[0], asked.reason, found)]


@command.command()
@click.argument("file", type=_FILE)
@click.pass_context
def judge(ctx: click.Context, file: Path) -> None:
    """Judge a kept history again: FILE is a drill's NAME.jsonl. Needs no cluster.

    Exit code 7 when a promise was broken.

    Example:
      hactl drill judge /var/lib/hactl-lab/demo/drills/primary-power-off.jsonl
    """
    from hactl.drill import report as told
    from hactl.drill.checker import judged
    from hactl.drill.history import read

    output = (ctx.find_root().obj or {}).get("output", "table")
    verdict = judged(read(file))
    if output == "table":
        click.echo("\n".join(told.lines(verdict)))
    else:
        emit(told.document(verdict), output)
    if not verdict.clean:
        raise NotHealthy(f"{len(verdict.findings)} findings")


@command.command()
@click.argument("run_", metavar="[NAME]", required=False)
@click.option("--out", type=click.Path(path_type=Path), help="Where the page goes; JSON beside it.")
@click.option("--list", "only_list", is_flag=True, help="List the drills there were.")
@click.pass_context
def report(ctx: click.Context, run_: str | None, out: Path | None, only_list: bool) -> None:
    """Write a drill's report: one HTML page that needs no network, JSON beside it. Default: the newest.

    Examples:
      hactl drill report
      hactl drill report --out /tmp/drill.html
    """
    import json

    from hactl.drill import shelf
    from hactl.drill.page import page, seconds
    from hactl.drill.record import said

    context = open_context(ctx, connect=False)
    place = shelf.folder(context.site.state)
    found = shelf.records(place)
    if only_list:
        if context.output != "table":
            emit({"version": 1, "cluster": context.spec.cluster, "drills": found}, context.output)
            return
        for one in found:
            click.echo(f"{one['run']:<40} {one['node']:<8} {seconds(one['rto_seconds']):>8}  {said(one)}")
        return
    one = shelf.chosen(found, run_)
    target = out or place / f"{one['run']}.html"
    target.write_text(page(one, found), encoding="utf-8")
    beside = target.with_suffix(".json")
    data = {"version": 1, "drill": one, "drills": found}
    beside.write_text(json.dumps(data, indent=1) + "\n", encoding="utf-8")
    click.echo(f"{target}\n{beside}")
