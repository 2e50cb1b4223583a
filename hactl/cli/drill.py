"""`hactl drill`: faults on purpose, measured and judged."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click

from hactl.cli import operator as by_hand
from hactl.cli.context import Context, open_context
from hactl.cli.output import emit
from hactl.errors import NotHealthy, Refused

_FILE = click.Path(exists=True, dir_okay=False, path_type=Path)


@click.group()
def command() -> None:
    """Faults on purpose: listed, run under load, judged, reported. In the lab only, so far."""


@command.command(name="list")
@click.pass_context
def list_(ctx: click.Context) -> None:
    """List the scenarios: what is struck, how, and what must come of it.

    Example:
      hactl drill list
    """
    from hactl.drill.scenarios import SCENARIOS

    output = (ctx.find_root().obj or {}).get("output", "table")
    if output == "table":
        for s in SCENARIOS:
            click.echo(f"{s.name:<24} {s.limit:>3g} s  {s.says}")
        return
    rows = [
        {"scenario": s.name, "says": s.says, "limit_seconds": s.limit, "failovers": list(s.failovers)}
        for s in SCENARIOS
    ]
    emit({"version": 1, "scenarios": rows}, output)


@command.command()
@click.argument("scenarios", nargs=-1, required=True, metavar="SCENARIO...")
@by_hand.acting
@click.pass_context
def run(ctx: click.Context, scenarios: tuple[str, ...], asked: by_hand.Asked) -> None:
    """Run drills one after the other: role/fault, patterns like 'archive/*', or a fault's name alone.

    Each waits until redundancy is full again before it is judged. Refused (exit code 3, with all reasons)
    when redundancy is not full before; ended with exit code 7 when a promise was broken, and then the drills
    that follow are left out. Whatever happens, Ctrl-C included, the fault is healed.

    Examples:
      hactl drill run primary/power-off --dry-run
      hactl drill run 'archive/*' --reason 'before the audit'
    """
    from hactl.cli import drill_run
    from hactl.drill.scenarios import find

    chosen = find(scenarios)
    context = open_context(ctx)
    lab = in_lab(context)
    if asked.dry_run:
        vetoes = drill_run.vetoes(context, chosen)
        for scenario in chosen:
            click.echo(f"would run {scenario.name}: {scenario.says}")
        for sentence in vetoes:
            click.echo(f"  - {sentence}")
        return
    by_hand.meant(f"Run {', '.join(s.name for s in chosen)} on lab {lab.name}?", yes=asked.yes)
    done: list[dict[str, Any]] = []
    for scenario in chosen:
        done.append(drill_run.run(context, scenario, asked.reason))
        if not done[-1]["clean"]:
            break
    if context.output != "table":
        emit({"version": 1, "cluster": context.spec.cluster, "drills": done}, context.output)
    if not done[-1]["clean"]:
        left = len(chosen) - len(done)
        more = f"; {left} drills were left out" if left else ""
        said = f"{done[-1]['scenario']} broke {', '.join(broken(done[-1]))}{more}"
        raise NotHealthy(said, hint=f"hactl drill report {done[-1]['run']}")


def broken(found: dict[str, Any]) -> list[str]:
    return [name for name, state in found["invariants"].items() if state == "broken"]


def in_lab(context: Context) -> Path:
    """The lab's folder. Raises Refused: it is no lab."""
    if context.site.lab is None:
        raise Refused(
            f"{context.spec.cluster} is no lab: drills on production nodes are not supported yet",
            hint="hactl lab up, then hactl drill run there",
        )
    return context.site.lab


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

    context = open_context(ctx, connect=False)
    place = shelf.folder(context.site.state)
    found = shelf.records(place)
    if only_list:
        if context.output != "table":
            emit({"version": 1, "cluster": context.spec.cluster, "drills": found}, context.output)
            return
        for one in found:
            said = "kept" if one["clean"] else f"broken: {', '.join(broken(one))}"
            click.echo(f"{one['run']:<40} {one['node']:<8} {seconds(one['rto_seconds']):>8}  {said}")
        return
    one = shelf.chosen(found, run_)
    target = out or place / f"{one['run']}.html"
    target.write_text(page(one, found), encoding="utf-8")
    beside = target.with_suffix(".json")
    data = {"version": 1, "drill": one, "drills": found}
    beside.write_text(json.dumps(data, indent=1) + "\n", encoding="utf-8")
    click.echo(f"{target}\n{beside}")
