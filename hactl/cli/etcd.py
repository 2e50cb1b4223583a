"""`hactl etcd`: what its members say of themselves; and giving back the space that they do not use."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any

import click

from hactl import layout
from hactl.act import etcd_care, maintenance
from hactl.cli import node_common
from hactl.cli import operator as by_hand
from hactl.cli.context import Context, open_context
from hactl.cli.output import emit
from hactl.cli.proposal import Proposal
from hactl.decide.etcd_care import HINT, NOT_MENDED, Mending, full_of_keys, mending
from hactl.errors import HactlError, NotHealthy
from hactl.ports import EtcdCare, NoSpace
from hactl.units import Bytes
from hactl.view.keys import Keys
from hactl.view.model import EtcdAlarm, EtcdStatus, Unknown

if TYPE_CHECKING:
    from hactl.act.maintenance import Operator

WITHIN = 3.0
BUSY = "a member answers nobody while it defragments: a minute for 2 GiB; the others serve meanwhile"
Members = Mapping[str, EtcdStatus | Unknown]


@click.group()
def command() -> None:
    """Show etcd's members, and keep them in shape."""


@command.command()
@click.pass_context
def show(ctx: click.Context) -> None:
    """Each member: who leads, how large its database is, how much of that is in use, alarms.

    Example:
      hactl etcd show
    """
    context = open_context(ctx)
    with caring(context) as care:
        members = etcd_care.look(care, tuple(context.spec.voters))
        alarms = care.alarms(within=WITHIN)
    _print(context, members, alarms)


@command.command()
@by_hand.explaining
@click.pass_context
def mend(ctx: click.Context, asked: by_hand.Asked) -> None:
    """Give back the space that etcd does not use, and take the alarm NOSPACE back.

    Compacts, then defragments one member after the other while all others are well; the leader comes last,
    when it has handed its leadership over. Nothing that serves is stopped. Done twice, it does no harm.

    Examples:
      hactl etcd mend --explain
      hactl etcd mend
    """
    context = open_context(ctx)
    voters = tuple(context.spec.voters)
    with caring(context) as care:
        found = _proposal(_plan(context, care))
        if not node_common.go_ahead(context, found, asked):
            return
        with _alone(context, asked.reason) as result:
            plan = _plan(context, care)
            node_common.still(found, _proposal(plan))
            etcd_care.run(care, plan.steps, voters, lambda step: node_common.progress(str(step)))
            members, alarms = etcd_care.look(care, voters), care.alarms(within=WITHIN)
            result["db_bytes"] = {n: s.db_size.value for n, s in members.items() if isinstance(s, EtcdStatus)}
    _print(context, members, alarms)
    _judge(members, alarms)


def _plan(context: Context, care: EtcdCare) -> Mending:
    members = etcd_care.look(care, tuple(context.spec.voters))
    return mending(members, care.alarms(within=WITHIN), may_lead(context, care))


def _proposal(plan: Mending) -> Proposal:
    return Proposal(
        "etcd mend", "", "Compact and defragment etcd, one member at a time?", NOT_MENDED,
        node_common.texts(plan.steps), plan.vetoes, (BUSY,) if plan.steps else (), hint=HINT,
    )  # fmt: skip


@contextlib.contextmanager
def _alone(context: Context, reason: str) -> Iterator[dict[str, object]]:
    """The operation lock and the journal; a full etcd takes neither, and that is what is mended.

    What the block adds to the result is in the journal afterwards, in any case.
    """
    about, go_on = {"reason": reason}, "hactl etcd show"
    with contextlib.ExitStack() as stack:
        who, result = by_hand.operator(context), dict[str, object]()
        try:
            who = stack.enter_context(by_hand.operating(context, "etcd mend", reason))
            result = stack.enter_context(node_common.journaled(who, "etcd-mend", about, go_on=go_on))
        except NoSpace as error:
            node_common.progress(f"without the lock and the journal's first record: {error.message}")
            stack.enter_context(by_hand.signals())
            stack.callback(_afterwards, who, about, result)
        yield result


def _afterwards(who: Operator, about: Mapping[str, object], result: Mapping[str, object]) -> None:
    with contextlib.suppress(HactlError):  # there is space for it now, or it was not mended
        maintenance.note(who, "etcd-mend-ended", {**about, "ok": bool(result), **result})


def may_lead(context: Context, care: EtcdCare) -> tuple[str, ...]:
    """Whoever is not the primary's node, witnesses first (ETCD_LEADER_ON_PRIMARY)."""
    primary = care.range(Keys(context.spec.cluster).leader, within=WITHIN).first
    others = [n for n in context.spec.voters if primary is None or n != primary.value]
    return (*context.spec.witnesses, *others)


@contextlib.contextmanager
def caring(context: Context) -> Iterator[EtcdCare]:
    """A client that may do more than read and write keys."""
    from hactl.wiring import etcd_kv

    client = etcd_kv(context.spec, context.site)
    try:
        yield client
    finally:
        client.close()


def _judge(members: Members, alarms: Sequence[EtcdAlarm]) -> None:
    large = [
        f"{n} still has {s.db_size}"
        for n, s in members.items()
        if isinstance(s, EtcdStatus) and full_of_keys(s.db_size, layout.ETCD_QUOTA)
    ]
    if large:
        raise NotHealthy(
            f"{', '.join(large)} of {Bytes(layout.ETCD_QUOTA)}: that is what keys need",
            hint='somebody writes them; see which: etcdctl get "" --prefix --keys-only; then remove them',
        )
    if alarms:
        raise NotHealthy(f"alarms stand: {', '.join(a.kind for a in alarms)}", hint="hactl etcd show")


def _print(context: Context, members: Members, alarms: Sequence[EtcdAlarm]) -> None:
    if context.output != "table":
        emit(_document(context, members, alarms), context.output)
        return
    quota = layout.ETCD_QUOTA
    for node, found in members.items():
        if isinstance(found, Unknown):
            click.echo(f"{node}  unknown: {found.why}")
            continue
        leads = "leader  " if found.member_id == found.leader_id else "follower"
        share = f"{100 * found.db_size.value / quota:.1f} %"
        click.echo(
            f"{node}  {leads}  {found.version}  {found.db_size}, {found.db_used} in use, {share} of the quota"
        )
    for alarm in alarms:
        click.echo(f"alarm {alarm.kind}, raised by member {alarm.member_id}")


def _document(context: Context, members: Members, alarms: Sequence[EtcdAlarm]) -> dict[str, Any]:
    return {
        "version": 1,
        "cluster": context.spec.cluster,
        "quota_bytes": layout.ETCD_QUOTA,
        "members": [_member(node, found) for node, found in members.items()],
        "alarms": [{"member": alarm.member_id, "kind": alarm.kind} for alarm in alarms],
    }


def _member(node: str, found: EtcdStatus | Unknown) -> dict[str, Any]:
    if isinstance(found, Unknown):
        return {"node": node, "unknown": found.why}
    return {
        "node": node, "id": found.member_id, "leader": found.member_id == found.leader_id,
        "version": found.version, "db_bytes": found.db_size.value, "db_used_bytes": found.db_used.value,
        "errors": list(found.errors),
    }  # fmt: skip
