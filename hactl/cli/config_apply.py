"""A changed spec judged against the running servers, then recorded, written and deployed, in this order."""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from hactl.cli import operator as by_hand
from hactl.cli.config_data import document, look, told, wanted
from hactl.cli.context import Context, enter_lab
from hactl.cli.node_common import journaled
from hactl.cli.output import emit
from hactl.errors import HactlError, Refused, StepFailed, UsageError

if TYPE_CHECKING:
    from hactl.act.config_versions import Draft
    from hactl.act.maintenance import Operator
    from hactl.decide.config_change import Judged
    from hactl.decide.config_drift import Deviation
    from hactl.deploy.run import Result
    from hactl.deploy.wheelhouse import Wheelhouse
    from hactl.observe.config import Seen
    from hactl.spec.model import ClusterSpec

TAKEN_WITHIN = 15.0  # s for the servers to show what they took over; Patroni looks each second


@dataclass(frozen=True)
class Proposal:
    """`context` has the spec as it is, `spec` and `draft.text` as it shall be."""

    context: Context
    spec: ClusterSpec
    draft: Draft
    asked: by_hand.Asked
    force: bool


def beginning(context: Context) -> Wheelhouse | None:
    """Before the lab's network is entered, which has no way out: what a deployment brings along."""
    if context.site.on_node:
        raise Refused("a node has not all that a deployment needs", hint="run this where `hactl deploy` runs")
    if context.site.lab is None:
        return None
    wheels = _wheels()
    enter_lab(context.site.lab)
    return wheels


def _wheels() -> Wheelhouse:
    from hactl.deploy import wheelhouse

    return wheelhouse.build(wheelhouse.cache_folder())


def propose(proposal: Proposal, wheels: Wheelhouse | None) -> None:
    """Say what would change, and what stands against it; ask; do it.

    Raises:
        Refused: a value is not possible, the cluster is not healthy, or the answer was no.
        StepFailed: it is written, and was not deployed to the end.

    """
    context, asked = proposal.context, proposal.asked
    seen = look(context)
    judged = _judged(proposal, seen)
    judged = replace(judged, warnings=(*judged.warnings, *_restarted(proposal)))
    by_others = _by_others(context, seen)
    if asked.explain:
        _explain(proposal, judged)
        return
    if judged.problems:
        raise Refused("the configuration is not changed", judged.problems, hint="hactl config show NAME")
    _healthy(proposal)
    if asked.dry_run:
        _say(proposal, judged, by_others)
        return
    if context.output == "table":
        _say(proposal, judged, by_others)
    by_hand.meant("Write this and deploy it?", yes=asked.yes)
    result = _carried_out(proposal, judged, wheels or _wheels())
    _report(proposal, judged, result)


def _explain(proposal: Proposal, judged: Judged) -> None:
    from hactl.cli.explained import explain
    from hactl.cli.proposal import Proposal as Steps
    from hactl.decide.plan import Veto

    vetoes = [Veto("VALUE_REFUSED", problem) for problem in judged.problems]
    try:
        _healthy(proposal)
    except Refused as error:
        vetoes.append(Veto("NOT_HEALTHY", "; ".join((error.message, *error.vetoes))))
    steps = (
        *(f"{c.name}: {c.before or '(default)'} -> {c.after or '(default)'}" for c in judged.changes),
        f"stop if {proposal.context.source} was changed by then",
        "record the new version in etcd, with author and reason",
        f"write {proposal.context.source}",
        "deploy it; nothing is restarted that clients would notice",
        "wait until the servers show the new values, and name those that wait for a restart",
    )
    idle = {"NOT_HEALTHY": "--force"} if proposal.force else {}
    explain(proposal.context, Steps(
        f"config {proposal.draft.how}", "", "", "the configuration is not changed", steps, tuple(vetoes),
        judged.warnings, asks=("config",), idle=idle,
    ), again=False)  # fmt: skip


def _judged(proposal: Proposal, seen: Seen) -> Judged:
    from hactl.decide.config_change import judge_change, not_taken, to_try

    if not seen.running:
        silent = [f"{source}: {why}" for source, why in seen.silent.items()]
        raise Refused("no server tells what its parameters may be", silent, hint="hactl status; hactl deploy")
    before, after = wanted(proposal.context.spec).dynamic, wanted(proposal.spec).dynamic
    judged = judge_change(before, after, seen.running)
    settings = next(iter(seen.running.values())).settings
    if not judged.problems and (values := to_try(judged, settings)):
        judged = replace(judged, problems=not_taken(judged, _tried(proposal.context, values)))
    return judged


def _restarted(proposal: Proposal) -> list[str]:
    """Services that start anew because a file of theirs changes too: the archive's pools, for instance."""
    from hactl.deploy.desired import render_secrets
    from hactl.pki.store import Store
    from hactl.render.all import render

    secrets = render_secrets(Store(proposal.context.site.state))
    before = {(f.node, f.path): f.content for f in render(proposal.context.spec, secrets)}
    changed = [f for f in render(proposal.spec, secrets) if before.get((f.node, f.path)) != f.content]
    units: dict[str, list[str]] = {}
    for file in changed:
        if file.unit and file.on_change == "restart":
            units.setdefault(file.unit, []).append(file.node)
    return [f"{unit} is restarted on {', '.join(dict.fromkeys(nodes))}" for unit, nodes in units.items()]


def _tried(context: Context, values: Any) -> dict[str, str]:
    from hactl import layout
    from hactl.adapters import postgres_settings
    from hactl.wiring_controller import heartbeat_conninfo

    role = {"user": layout.ROLE_MONITOR, "dbname": "postgres"}
    return postgres_settings.tried({**heartbeat_conninfo(context.spec, context.site), **role}, values)


def _by_others(context: Context, seen: Seen) -> list[Deviation]:
    """What stands in Patroni and not in the spec: deploying puts it back."""
    from hactl.decide.config_drift import Kind, deviations

    found = deviations(wanted(context.spec), seen.dcs, seen.running)
    return [d for d in found if d.kind in {Kind.DCS, Kind.CLAMPED} and d.fix == "hactl deploy"]


def _healthy(proposal: Proposal) -> None:
    """As `deploy` demands it, before anything is written. Raises Refused."""
    from hactl.decide.health import judge
    from hactl.deploy.gate import refuse_unhealthy

    if not proposal.force:
        view = by_hand.look(proposal.context)
        refuse_unhealthy(judge(proposal.context.spec, view).findings, ())


def _carried_out(proposal: Proposal, judged: Judged, wheels: Wheelhouse) -> Result:
    from hactl.act import config_versions

    context, draft = proposal.context, proposal.draft
    with by_hand.operating(context, f"config {draft.how}", draft.reason) as who:
        if context.source.read_text(encoding="utf-8-sig") != context.text:
            raise Refused(f"{context.source} has just been changed", hint="look at it, and begin again")
        changes = {c.name: [c.before, c.after] for c in judged.changes}
        about = {"how": draft.how, "reason": draft.reason, "changes": changes}
        with journaled(who, "config-change", about, go_on="hactl config drift; hactl deploy") as result:
            version = config_versions.begin(who, draft)
            result["version"] = version.number
            _write(context.source, draft.text)
            click.echo(
                f"version {version.number} is recorded, {context.source} is written; deploying", err=True
            )
            return _finished(proposal, wheels, who, version.number)


def _finished(proposal: Proposal, wheels: Wheelhouse, who: Operator, number: int) -> Result:
    try:
        return _deployed(proposal, wheels, who)
    except HactlError as error:
        raise _unfinished(error, number) from error
    except KeyboardInterrupt:
        click.echo(f"version {number} is not deployed to the end: {_ways(number)}", err=True)
        raise


def _ways(number: int) -> str:
    return f"hactl deploy finishes it; hactl config rollback {number - 1} goes back"


def _unfinished(error: HactlError, number: int) -> HactlError:
    hint = _ways(number)
    return StepFailed(
        f"version {number} is written, and not deployed to the end: {error.message}",
        last_done=getattr(error, "last_done", "") or "the spec's file is written",
        hint=f"{error.hint}; {hint}" if error.hint else hint,
    )


def _write(path: Path, text: str) -> None:
    """All or nothing; owner and rights stay. A link's target is written, not the link replaced."""
    import os

    from hactl.pki.files import write

    target = path.resolve()
    was = target.stat()
    try:
        write(target, text.encode(), was.st_mode & 0o777)
    except Refused as error:
        raise UsageError(error.message, hint="change the file by hand, then: hactl deploy") from error
    if (was.st_uid, was.st_gid) != (os.geteuid(), os.getegid()):
        os.chown(target, was.st_uid, was.st_gid)


def _deployed(proposal: Proposal, wheels: Wheelhouse, who: Operator) -> Result:
    from hactl.cli.deploy import progress
    from hactl.deploy.run import Request, deploy

    with progress(proposal.context.verbose) as tell:
        request = Request(
            proposal.spec, proposal.context.site, wheels, force=proposal.force, packages=False,
            restarts=False, record=proposal.draft, holding=who,
        )  # fmt: skip
        return deploy(request, tell)


def _report(proposal: Proposal, judged: Judged, result: Result) -> None:
    """What runs now; parameters that wait for a restart are named, with the command."""
    from hactl.decide.config_drift import RESTART, Kind, deviations

    context, names = replace(proposal.context, spec=proposal.spec), {c.name for c in judged.changes}
    should = wanted(proposal.spec)
    found: list[Deviation] = []

    def settled() -> bool:
        seen = look(context)
        found[:] = [d for d in deviations(should, seen.dcs, seen.running) if d.name in names]
        return all(d.kind is Kind.PENDING for d in found)

    from hactl.act.maintenance import wait_until

    wait_until(by_hand.operator(context), settled, TAKEN_WITHIN)
    waiting, wrong = (
        [d for d in found if d.kind is Kind.PENDING],
        [d for d in found if d.kind is not Kind.PENDING],
    )
    if context.output != "table":
        more = {"pending_restarts": [told(d) for d in waiting], "drift": [told(d) for d in wrong]}
        emit(
            _data(proposal, judged, [], applied=True, seconds=round(result.seconds, 1), **more),
            context.output,
        )
    else:
        click.echo(f"deployed in {result.seconds:.0f} s")
        for d in wrong:
            click.echo(
                f"{d.where or 'patroni'}: {d.name} is {d.found}, not {d.wanted}: {d.detail} -> {d.fix}"
            )
        if waiting:
            said = ", ".join(dict.fromkeys(d.name for d in waiting))
            where = ", ".join(dict.fromkeys(d.where for d in waiting))
            click.echo(f"{said}: taken over by a restart of PostgreSQL on {where}: {RESTART}")


def _say(proposal: Proposal, judged: Judged, by_others: list[Deviation]) -> None:
    from hactl.view.config_version import changes_between

    context = proposal.context
    if context.output != "table":
        emit(_data(proposal, judged, by_others, applied=False), context.output)
        return
    from hactl.spec.masked import masked

    name = context.source.name
    click.echo(
        changes_between(masked(context.text), masked(proposal.draft.text), name, f"{name}, new"), nl=False
    )
    for change in judged.changes:
        how = "at the next restart" if change.restarts else "by a reload"
        click.echo(f"{change.name}: {change.before or '(default)'} -> {change.after or '(default)'}, {how}")
    for warning in judged.warnings:
        click.echo(f"warning: {warning}")
    for d in by_others:
        click.echo(
            f"also put back: {d.name} in Patroni, {d.found or '(not set)'} -> {d.wanted or '(not set)'}"
        )


def _data(
    proposal: Proposal, judged: Judged, by_others: list[Deviation], *, applied: bool, **more: Any
) -> dict[str, Any]:
    changes = [
        {"name": c.name, "before": c.before, "after": c.after, "restart": c.restarts} for c in judged.changes
    ]
    return document(
        proposal.context, how=proposal.draft.how, applied=applied, changes=changes,
        warnings=list(judged.warnings), put_back=[told(d) for d in by_others], **more,
    )  # fmt: skip
