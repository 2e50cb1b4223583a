"""`hactl pki`: certificates and secrets of a cluster, kept in the operator's state folder."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from hactl.errors import NotHealthy, Refused, UsageError
from hactl.units import Seconds

if TYPE_CHECKING:
    from hactl.cli.context import Context
    from hactl.pki.due import CertInfo
    from hactl.pki.known_hosts import HostKey
    from hactl.pki.store import Store

STEPS = ("start", "switch", "finish")
FETCH_WITHIN = 5.0  # seconds for a host key; sshd answers in milliseconds, a busy one in two or three seconds


class _Span(click.ParamType):  # type: ignore[type-arg, unused-ignore]  # generic since click 8.3
    """A duration such as 30d."""

    name = "duration"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> timedelta:
        if isinstance(value, timedelta):
            return value
        try:
            return timedelta(seconds=Seconds.parse(value).value)
        except ValueError as error:
            self.fail(str(error), param, ctx)


def _open(ctx: click.Context, *, connect: bool = False) -> tuple[Context, Store]:
    from hactl.cli.context import open_context
    from hactl.pki.store import Store

    context = open_context(ctx, connect=connect)
    if context.site.on_node:
        raise Refused(
            "this machine is a node of the cluster; it has certificates, but no CA",
            hint="run hactl pki where hactl deploy is run",
        )
    return context, Store(context.site.state)


@click.group("pki")
def command() -> None:
    """The cluster's certificates and secrets."""


@command.command("init")
@click.pass_context
def init(ctx: click.Context) -> None:
    """Make the CA, certificates, passwords and SSH key that are missing; adapt them to a changed spec.

    Example:
      hactl pki init
    """
    from hactl.cli import pki_view

    context, store = _open(ctx)
    pki_view.made(context.output, context.spec.cluster, store.init(context.spec))


@command.command("show")
@click.option("--within", type=_Span(), default="30d", show_default=True, help="What counts as soon.")
@click.option("--names", is_flag=True, help="Show for whom each was made.")
@click.pass_context
def show(ctx: click.Context, within: timedelta, names: bool) -> None:
    """List every certificate, the worst first; exit code 7 when one has expired or soon will.

    Example:
      hactl pki show --within 60d
    """
    from hactl.cli import pki_view

    context, store = _open(ctx)
    found = store.show(context.spec, within)
    title = f"{context.spec.cluster}: certificates in {store.state}"
    pki_view.infos(context.output, context.spec.cluster, title, found, names=names)
    if bad := [i for i in found if not i.fine]:
        worst = bad[0]
        raise NotHealthy(
            f"{len(bad)} of {len(found)} certificates need attention; "
            f"worst: {worst.node} {worst.use} {worst.state}",
            hint=_next_step(bad),
        )


def _next_step(bad: Sequence[CertInfo]) -> str:
    from hactl.pki.due import State
    from hactl.pki.uses import CA_KINDS, MODALITY

    if any(i.state is State.MISSING and i.use in {k.use for k in CA_KINDS} for i in bad):
        return "hactl pki init, then hactl deploy"
    if all(i.use == MODALITY for i in bad):
        return f"hactl pki modality {bad[0].node}"
    kinds = [k for k in CA_KINDS if all(i.use == k.use for i in bad)]
    return f"hactl pki renew {kinds[0].option} start" if kinds else "hactl pki renew, then hactl deploy"


@command.command("renew")
@click.option("--node", "nodes", multiple=True, metavar="NODE", help="Only this node; may be repeated.")
@click.option("--use", "uses", multiple=True, metavar="USE", help="Only this use; may be repeated.")
@click.option("--before", type=_Span(), default="30d", show_default=True, help="Renew what ends sooner.")
@click.option("--all", "force", is_flag=True, help="Renew all that is named, due or not.")
@click.option("--ca", "step", type=click.Choice(STEPS), help="Replace the CA itself.")
@click.option("--dicom-ca", "dicom_step", type=click.Choice(STEPS), help="Replace the CA for DICOM.")
@click.option("--dry-run", is_flag=True, help="Say what would be renewed, change nothing.")
@click.option("--yes", is_flag=True, help="Do not ask.")
@click.pass_context
def renew(  # noqa: PLR0913, PLR0917 - click hands each option as an argument
    ctx: click.Context,
    nodes: tuple[str, ...],
    uses: tuple[str, ...],
    before: timedelta,
    force: bool,
    step: str | None,
    dicom_step: str | None,
    dry_run: bool,
    yes: bool,
) -> None:
    """Issue certificates again; `hactl deploy` then brings them to the nodes, without an outage.

    Examples:
      hactl pki renew
      hactl pki renew --all --node db1 --use hactl
      hactl pki renew --ca start
    """
    from hactl.cli import pki_view

    asked = step or dicom_step
    if (asked and (nodes or uses or force or dry_run)) or (step and dicom_step):
        raise UsageError("--ca and --dicom-ca replace a whole CA; each goes with no other option but --yes")
    context, store = _open(ctx)
    if asked:
        _replace_authority(context, store, asked, dicom=bool(dicom_step), yes=yes)
        return
    found = store.renew(context.spec, nodes=nodes, uses=uses, before=before, force=force, dry_run=dry_run)
    title = "would be renewed, as found" if dry_run else "renewed; as found before"
    if found or context.output != "table":
        pki_view.infos(context.output, context.spec.cluster, title, found)
    if not found:
        click.echo("nothing is due; --all renews it all the same", err=True)
    elif not dry_run:
        click.echo("next: hactl deploy", err=True)


_QUESTIONS = {
    "start": "A second CA becomes trusted beside the present one. Start?",
    "switch": "Has `hactl deploy` reached every node since the start? Nodes without it refuse the others",
    "finish": "Has `hactl deploy` reached every node since the switch? Nodes without it are refused",
}
_MODALITIES = {
    "start": "",
    "switch": ". Do all modalities trust both CAs (dicom-ca.crt)? Those that do not refuse the archive",
    "finish": ". Has every modality a certificate of the new CA? Those without one are refused",
}
_NEXT = {
    "start": "hactl deploy, then hactl pki renew {option} switch",
    "switch": "hactl deploy, then hactl pki renew {option} finish",
    "finish": "hactl deploy",
}


def _replace_authority(context: Context, store: Store, step: str, *, dicom: bool, yes: bool) -> None:
    from hactl.cli import pki_view
    from hactl.pki.uses import CLUSTER_CA, DICOM_CA

    kind = DICOM_CA if dicom else CLUSTER_CA
    if not yes:
        click.confirm(_QUESTIONS[step] + (_MODALITIES[step] if dicom else ""), abort=True, err=True)
    issued = store.replace_authority(context.spec, step, kind)
    if context.output != "table":
        pki_view.infos(context.output, context.spec.cluster, "issued again", issued)
    click.echo(f"CA replacement: {step} done, {len(issued)} certificates issued again", err=True)
    click.echo(f"next: {_NEXT[step].format(option=kind.option)}", err=True)


@command.command("modality")
@click.argument("name")
@click.option(
    "--days", type=click.IntRange(1, 3650), default=397, show_default=True, help="How long it is good."
)
@click.option(
    "--out", type=click.Path(file_okay=False, path_type=Path),
    help="Where to; others may not write there. Default: modalities/NAME in the state folder.",
)  # fmt: skip
@click.option("--force", is_flag=True, help="Though the present one is good for more than 30 days.")
@click.pass_context
def modality(ctx: click.Context, name: str, days: int, out: Path | None, force: bool) -> None:
    """Make a key and a certificate for a modality of the spec: the archive's DICOM port demands one.

    Bring NAME.key, NAME.crt and dicom-ca.crt to the modality by a way that nobody else can read.

    Example:
      hactl pki modality ct1 --out /media/stick
    """
    from hactl.cli import pki_view

    context, store = _open(ctx)
    made = store.modality(context.spec, name, life=timedelta(days=days), out=out, force=force)
    pki_view.made(context.output, context.spec.cluster, made)
    click.echo(f"next: bring these three files to {name}", err=True)


@command.command("trust")
@click.argument("node")
@click.option(
    "--fingerprint", metavar="SHA256:...", help="What the console shows; pin only this key, without asking."
)
@click.option("--replace", is_flag=True, help="Pin another key than before; needs --fingerprint.")
@click.option("--yes", is_flag=True, help="Pin whatever key answers, if none is pinned yet.")
@click.pass_context
def trust(ctx: click.Context, node: str, fingerprint: str | None, replace: bool, yes: bool) -> None:
    """Pin a node's SSH host key: hactl then speaks to no other machine under that address.

    Examples:
      hactl pki trust db1
      hactl pki trust db1 --replace --fingerprint SHA256:…
    """
    if replace and not fingerprint:
        raise UsageError(
            "--replace needs --fingerprint", hint="ssh-keygen -lf /etc/ssh/ssh_host_ed25519_key.pub"
        )
    context, store = _open(ctx, connect=True)
    if node not in context.spec.nodes:
        raise UsageError(f"no node {node}", hint=f"one of: {', '.join(context.spec.nodes)}")
    address, port = str(context.spec.nodes[node].address), context.spec.ssh.port
    key = _fetch(address, port)
    click.echo(f"{node} ({address} port {port}) shows {key.kind} {key.fingerprint}", err=True)
    if fingerprint and fingerprint != key.fingerprint:
        raise Refused(f"{node} shows another host key than {fingerprint}", ["somebody may be in between"])
    if store.is_trusted(address, port, key, replace=replace):
        click.echo(f"{node} is pinned already", err=True)
        return
    if not (fingerprint or yes):
        click.confirm("Is that the fingerprint on the node's console?", abort=True, err=True)
    store.trust(address, port, key, replace=replace)
    click.echo(f"pinned in {store.known_hosts}", err=True)


def _fetch(address: str, port: int) -> HostKey:
    from hactl.adapters import hostkey
    from hactl.pki.known_hosts import HostKey

    kind, blob = hostkey.fetch(address, port, within=FETCH_WITHIN)
    return HostKey(kind, blob)
