"""`hactl etcd`: what its members say of themselves; and giving back the space that they do not use."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import click

from hactl import layout
from hactl.act import etcd_care
from hactl.cli import operator as by_hand
from hactl.cli.context import Context, open_context
from hactl.cli.output import emit
from hactl.decide.etcd_care import full_of_keys, steps
from hactl.errors import NotHealthy
from hactl.ports import EtcdCare, NoSpace
from hactl.units import Bytes
from hactl.view.keys import Keys
from hactl.view.model import EtcdAlarm, EtcdStatus, Unknown

WITHIN = 3.0
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
@click.option("--dry-run", is_flag=True, help="Only print what would be done.")
@click.option("--yes", is_flag=True, help="Do not ask.")
@click.pass_context
def mend(ctx: click.Context, dry_run: bool, yes: bool) -> None:
    """Give back the space that etcd does not use, and take the alarm NOSPACE back.

    Compacts, then defragments one member after the other while all others are well; the leader comes last,
    when it has handed its leadership over. Nothing that serves is stopped. Done twice, it does no harm.

    Examples:
      hactl etcd mend --dry-run
      hactl etcd mend
    """
    context = open_context(ctx)
    voters = tuple(context.spec.voters)
    with caring(context) as care:
        plan = steps(etcd_care.look(care, voters), care.alarms(within=WITHIN), may_lead(context, care))
        if dry_run:
            _say(plan)
            return
        if not yes:
            _say(plan)
            click.confirm("Do it?", abort=True, err=True)
        with _alone(context):
            etcd_care.run(care, plan, voters, lambda step: click.echo(str(step), err=True))
        members, alarms = etcd_care.look(care, voters), care.alarms(within=WITHIN)
    _print(context, members, alarms)
    _judge(members, alarms)


@contextlib.contextmanager
def _alone(context: Context) -> Iterator[None]:
    """The operation lock, unless etcd is full: then it takes no lock either, and that is what is mended."""
    with contextlib.ExitStack() as stack:
        with contextlib.suppress(NoSpace):
            stack.enter_context(by_hand.operating(context, "etcd mend"))
        yield


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


def _say(plan: Sequence[object]) -> None:
    for step in plan:
        click.echo(str(step))


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
