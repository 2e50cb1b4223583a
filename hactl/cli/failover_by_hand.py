"""`hactl failover --to NODE`: a person orders it; fenced and proved as always."""

from __future__ import annotations

import sys
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import click

from hactl.cli import node_common, node_fence
from hactl.cli import operator as by_hand
from hactl.cli.context import Context
from hactl.cli.output import emit
from hactl.errors import HactlError, Refused, StepFailed, UsageError
from hactl.view.incident import Phase

if TYPE_CHECKING:
    from hactl.act.forced import Means, Taken
    from hactl.act.forced_incident import Story
    from hactl.act.maintenance import Operator
    from hactl.decide.forced import Forced
    from hactl.decide.plan import Veto
    from hactl.view.control import Dcs, FenceIntent

COMMIT_WITHIN = 30.0  # s until a commit by a new connection through the VIP
COMMIT_TRY = 1.0
HINT = "hactl status; hactl failover --explain; for a planned change of roles: hactl switchover"


def run(context: Context, to: str, asked: by_hand.Asked, *, force: bool, keep: bool) -> None:
    """Raises Refused (all vetoes), UsageError (--force without --reason), StepFailed, LockHeld."""
    if to not in context.spec.databases:
        raise UsageError(f"{to} is no database node", hint=f"one of: {', '.join(context.spec.databases)}")
    found = judged(context, to)
    if asked.dry_run:
        _show(context, found, force=force, keep=keep)
        return
    _refuse(found, force=force)
    if force:
        by_hand.reason_given(asked, "a forced failover")
    for line in _before(found):
        node_common.progress(line)
    _meant(context, found, yes=asked.yes)
    what = f"failover from {found.victim} to {to}"
    approved = by_hand.second_person(context, what, _before(found), asked.reason)
    with by_hand.operating(context, what, asked.reason) as who:
        now = judged(context, to)
        _still(found, now, force=force)
        about = {
            "node": to, "from": now.victim, "force": force, "reason": asked.reason,
            "overruled": [v.code for v in now.soft], "loss": now.loss.said, "approved_by": approved,
        }  # fmt: skip
        with node_common.journaled(who, "failover-by-hand", about) as result:
            _run(context, who, now, asked.reason, result, keep=keep)
    _show(context, now, force=force, keep=keep, result=result)


def judged(context: Context, to: str) -> Forced:
    from hactl.decide.forced import may_force

    return may_force(context.spec, by_hand.look(context), to)


def _refuse(found: Forced, *, force: bool) -> None:
    soft = () if force else found.soft
    if found.hard or soft:
        lines = [*_sentences(found.hard, "cannot be overruled"), *_sentences(soft, "--force overrules it")]
        raise Refused(f"no failover to {found.target}", lines, hint=HINT)


def _sentences(vetoes: tuple[Veto, ...], word: str) -> list[str]:
    return [f"{sentence} ({word})" for sentence in by_hand.sentences(vetoes)]


def _still(found: Forced, now: Forced, *, force: bool) -> None:
    """What somebody agreed to is what was shown. Raises Refused."""
    _refuse(now, force=force)
    new = {v.code for v in now.soft} - {v.code for v in found.soft}
    if new:
        lines = _sentences(tuple(v for v in now.soft if v.code in new), "it was not shown before")
        raise Refused(f"no failover to {now.target}", lines, hint="look at it again")
    if (now.victim, now.leader, now.loss.nothing) != (found.victim, found.leader, found.loss.nothing):
        raise Refused(
            f"no failover to {now.target}",
            ["CHANGED: who leads, or what would be lost, is not what was shown"],
            hint="look at it again: --dry-run",
        )


def _before(found: Forced) -> list[str]:
    """What whoever confirms must have read."""
    return [
        *_sentences(found.soft, "overruled"),
        f"{found.victim} is fenced: PostgreSQL there is killed, every session ends",
        found.loss.said,
    ]


def _meant(context: Context, found: Forced, *, yes: bool) -> None:
    """The cluster's name, typed. Raises Refused."""
    if yes:
        return
    if not sys.stdin.isatty():
        raise Refused("nobody is here to be asked whether this is meant", hint="add --yes")
    cluster = context.spec.cluster
    said = click.prompt(
        f"Fail over from {found.victim} to {found.target}? Type the cluster's name ({cluster})"
    )
    if said.strip() != cluster:
        raise Refused(f"that is not {cluster}: nothing was done")


def _run(
    context: Context, who: Operator, found: Forced, reason: str, result: dict[str, object], *, keep: bool
) -> None:
    from hactl.act.forced_incident import Story, told
    from hactl.decide.forced import incident, intent

    dcs = _keys(who)
    wanted = found.fence or intent(dcs.epoch, found, who.actor, reason)
    story = Story(who, incident(found, wanted, reason))
    with told(story) as details:
        taken = _taken(context, who, found, wanted, story)
        node_common.progress(f"{found.target} is the primary after {taken.took:.1f} s")
        commit = _commit(context, who, found.target)
        if commit:
            vip = context.spec.vips.database.address.ip
            said = f"a new connection through {vip} committed on {found.target}"
            story.mark(Phase.FIRST_COMMIT, found.target, said)
        result.update({
            "epoch": wanted.epoch, "incident": story.incident.id, "proof": taken.proof,
            "proof_kind": str(taken.kind), "took": round(taken.took, 1), "commit": commit,
        })  # fmt: skip
        result["readmitted"] = not keep and _readmitted(who, found.victim, wanted.epoch, taken)
        if not commit:
            raise StepFailed(
                f"no commit gets through the database VIP to {found.target}",
                last_done=f"{found.target} is the primary",
                hint="hactl status; hactl doctor",
            )
        back = "may take part again" if result["readmitted"] else "stays fenced"
        details["outcome"] = f"{found.target} is primary; {found.victim} {back}"


def _taken(context: Context, who: Operator, found: Forced, wanted: FenceIntent, story: Story) -> Taken:
    from hactl.act import forced as acts

    others = [name for name in context.spec.databases if name != found.victim]
    return acts.take_over(
        wanted, found.target, means_of(context, who, found.victim, story),
        named=found.named, others=others, stands=found.fence is not None,
    )  # fmt: skip


def _keys(who: Operator) -> Dcs:
    from hactl.view.parse.control import parse_look

    return parse_look(who.keys, who.kv.ranges(who.keys.look(), within=3.0))


def _readmitted(who: Operator, victim: str, epoch: int, taken: Taken) -> bool:
    """Only what says itself that it is silent: who was cut, or is away, is let in by a person."""
    from hactl.act import node_keys
    from hactl.view.control import ProofKind

    if taken.kind is not ProofKind.SELF_FENCED:
        return False
    try:
        node_keys.unfence(who, victim, epoch)
    except HactlError as error:
        node_common.progress(f"{victim} stays fenced: {error.message}")
        return False
    return True


def _commit(context: Context, who: Operator, target: str) -> bool:
    from hactl.act import maintenance
    from hactl.adapters.heartbeat import VipHeartbeat
    from hactl.cli.switchover import HEARTBEAT_ROW
    from hactl.wiring_controller import heartbeat_conninfo

    heart = VipHeartbeat(
        heartbeat_conninfo(context.spec, context.site), row=HEARTBEAT_ROW, by="failover by hand"
    )

    return maintenance.wait_until(who, lambda: heart.beat(COMMIT_TRY).node == target, COMMIT_WITHIN)


def means_of(context: Context, who: Operator, victim: str, story: Story) -> Means:
    from hactl.act.forced import Means
    from hactl.view import derive

    return Means(
        operator=who,
        spec=context.spec,
        device=node_fence.device_of(context, victim),
        dcs=lambda: _keys(who),
        answers=lambda: victim in derive.primaries(by_hand.look(context)),
        say=node_common.changing(),
        story=story,
    )


def _steps(found: Forced, *, keep: bool) -> list[str]:
    victim, target = found.victim, found.target
    power = ", or cut its power and read that it is off" if found.power else ""
    fence = "go on from the fence that stands" if found.fence else f"put the fence of {victim} into etcd"
    told = f", and tell Patroni that {target} shall be the next" if found.named else ""
    back = () if keep else (f"let {victim} in again as a standby, if its own agent proved it silent",)
    return [
        fence,
        f"wait until its agent says that {victim} is silent, or its lease has ended{power}",
        f"release the leader key{told}",
        f"wait until {target} leads and takes a commit through the VIP",
        *back,
    ]


def _show(
    context: Context, found: Forced, *, force: bool, keep: bool, result: Mapping[str, Any] | None = None
) -> None:
    steps = _steps(found, keep=keep)
    if context.output != "table":
        kinds = (("hard", found.hard), ("soft", found.soft))
        told = [{**v, "kind": kind} for kind, vs in kinds for v in by_hand.vetoed(vs)]
        emit({
            "version": 1, "cluster": context.spec.cluster, "action": "failover", "from": found.victim,
            "to": found.target, "done": result is not None, "force": force, "steps": steps, "vetoes": told,
            "loss": {"nothing": found.loss.nothing, "said": found.loss.said,
                     "bytes": None if found.loss.behind is None else found.loss.behind.value,
                     "last_commit_age_seconds": found.loss.commit_age},
            **(result or {}),
        }, context.output)  # fmt: skip
        return
    if result is not None:
        _done(found, result, keep=keep)
        return
    for number, step in enumerate(steps, 1):
        click.echo(f"{number}. would {step}")
    click.echo(f"   {found.loss.said}")
    for title, vetoes in (
        ("cannot be overruled:", found.hard),
        ("overruled by --force:" if force else "refused without --force:", found.soft),
    ):
        if vetoes:
            click.echo(title)
            for sentence in by_hand.sentences(vetoes):
                click.echo(f"  - {sentence}")


def _done(found: Forced, result: Mapping[str, Any], *, keep: bool) -> None:
    click.echo(f"{found.target} is the primary after {result['took']} s; {found.loss.said}")
    click.echo(f"its timeline: hactl incident show {result['incident']}")
    if result["readmitted"]:
        click.echo(f"{found.victim} is let in again; what it had alone is counted before it is rewound")
    else:
        why = "as you asked" if keep else f"proved silent by {result['proof_kind']}"
        click.echo(f"{found.victim} stays fenced ({why}): hactl node unfence {found.victim}")
