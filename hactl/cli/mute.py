"""`hactl mute`: nobody wants to hear of a health code for a while."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import click

from hactl.cli import explained
from hactl.cli import operator as by_hand
from hactl.cli.context import Context, open_context
from hactl.cli.node_common import journaled
from hactl.cli.output import emit
from hactl.cli.pause import keys
from hactl.cli.when import for_a_while, local
from hactl.decide.codes import CODES
from hactl.errors import UsageError
from hactl.view.times import iso, span

if TYPE_CHECKING:
    from hactl.act.maintenance import Operator
    from hactl.view.mute import Mute

USUAL = 4 * 3600.0  # s


@click.command()
@click.argument("code", required=False)
@click.argument("node", required=False)
@for_a_while(USUAL)
@click.option("--list", "listed", is_flag=True, help="What is muted now, until when, by whom and why.")
@by_hand.explaining
@click.pass_context
def command(
    ctx: click.Context, code: str | None, node: str | None, seconds: float, listed: bool, asked: by_hand.Asked
) -> None:
    """Hear nothing of CODE (of NODE) for a while: no word in the verdict, no alert.

    It ends by itself, and before its time when it gets worse: more findings of this code than now (or than
    one, if there is none yet), or graver ones. NODE is what the finding is about, mostly a node.

    Examples:
      hactl mute STANDBY_LOST --for 4h --reason "db2 gets a new disk"
      hactl mute CERT_EXPIRING db1 --reason "renewed on Monday" --explain
    """
    if listed or code is None:
        if not listed:
            raise UsageError("which code? hactl status names those that are found", hint="hactl mute --list")
        _list(open_context(ctx))
        return
    code = known(code)
    by_hand.reason_given(asked, "a mute")
    context = open_context(ctx)
    wanted = _wanted(context, code, node or "")
    if asked.explain:
        name = f"{code} {wanted['subject']}".rstrip()
        steps = (
            f"put the mute of {name} into etcd, for {span(seconds)}: it ends by itself",
            f"the controller ends it before, if there are more than {wanted['count']} or graver ones",
        )
        explained.plain(context, "mute", steps, locked=False)
        return
    if asked.dry_run:
        _say(context, wanted, seconds, done=False)
        return
    _run(by_hand.operator(context), wanted, seconds, asked.reason)
    _say(context, wanted, seconds, done=True)


def known(code: str) -> str:
    """Raises UsageError."""
    if code.upper() in CODES:
        return code.upper()
    import difflib

    like = difflib.get_close_matches(code.upper(), CODES, n=3)
    hint = f"perhaps {', '.join(like)}" if like else "docs/health.md has them all"
    raise UsageError(f"there is no health code {code}", hint=hint)


def _wanted(context: Context, code: str, subject: str) -> dict[str, Any]:
    """How bad it is now. Raises UsageError: the subject is no node, and nothing is found of it."""
    from hactl.decide.health import judge
    from hactl.decide.mute import extent

    findings = judge(context.spec, by_hand.look(context)).findings
    subjects = {f.subject for f in findings if f.code.name == code}
    if subject and subject not in context.spec.nodes and subject not in subjects:
        raise UsageError(f"{subject} is no node, and nothing of {code} is about it", hint="hactl status")
    severity, count = extent(code, subject, findings)
    found = [f for f in findings if f.code.name == code and subject in {"", f.subject}]
    return {"code": code, "subject": subject, "severity": severity, "count": count, "found": len(found)}


def _run(who: Operator, wanted: dict[str, Any], seconds: float, reason: str) -> None:
    from hactl.act import pause as acts
    from hactl.view.mute import Mute

    now = who.clock.wall()
    code, subject, severity = wanted["code"], wanted["subject"], wanted["severity"]
    times = round(now), round(now + seconds)
    mute = Mute(code, subject, who.actor, reason, severity, wanted["count"], *times)
    data = {"code": code, "subject": subject, "seconds": round(seconds), "reason": reason}
    with journaled(who, "mute", data, go_on="hactl mute --list", end="done"):
        acts.mute(who, mute, seconds)


def _say(context: Context, wanted: dict[str, Any], seconds: float, *, done: bool) -> None:
    if context.output != "table":
        data = {"version": 1, "cluster": context.spec.cluster, "muted": done, "seconds": round(seconds)}
        emit({**data, **wanted}, context.output)
        return
    name = f"{wanted['code']} {wanted['subject']}".rstrip()
    found = f"{wanted['found']} found now" if wanted["found"] else "none is found now"
    click.echo(
        f"{name} {'is' if done else 'would be'} muted for {span(seconds)} ({found}; "
        f"more than {wanted['count']} ends it)"
    )


def _list(context: Context) -> None:
    mutes = keys(context).mutes
    if context.output != "table":
        data = {"version": 1, "cluster": context.spec.cluster, "mutes": [_as_data(m) for m in mutes]}
        emit(data, context.output)
        return
    for mute in mutes:
        until = f" until {local(mute.until)}" if mute.until is not None else ""
        click.echo(f"{mute.name}{until}, by {mute.by}: {mute.reason}")
    if not mutes:
        click.echo("nothing is muted")


def _as_data(mute: Mute) -> dict[str, Any]:
    return {
        "code": mute.code, "subject": mute.subject, "by": mute.by, "reason": mute.reason,
        "severity": mute.severity, "count": mute.count,
        "since": None if mute.since is None else iso(mute.since),
        "until": None if mute.until is None else iso(mute.until),
    }  # fmt: skip
