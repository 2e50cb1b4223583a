"""`hactl archive manifest`: hactl's own record of what each image was at ingest."""

from __future__ import annotations

import click

from hactl.cli.context import open_context
from hactl.view.archive_kind import Ability


@click.group("manifest")
def command() -> None:
    """SHA-256 of each image, taken seconds after it was stored, where the index's owner cannot change it."""


@command.command()
@click.option("--node", "chosen", multiple=True, metavar="NODE", help="Only this archive node.")
@click.pass_context
def status(ctx: click.Context, chosen: tuple[str, ...]) -> None:
    """How many objects it has, and how far behind it is.

    Example:
      hactl archive manifest status
    """
    from hactl.cli import integrity_source as source
    from hactl.cli import integrity_view as view
    from hactl.cli.output import emit

    context = open_context(ctx)
    states = source.states(source.nodes(context, chosen, Ability.MANIFEST))
    if context.output != "table":
        emit({node: state.get("manifest") for node, state in states.items()}, context.output)
        return
    for line in view.manifest_lines(states):
        click.echo(line)


@command.command()
@click.pass_context
def follow(ctx: click.Context) -> None:
    """Hash new images until told to stop. hactl-manifest.service does this on an archive node.

    Example:
      hactl archive manifest follow
    """
    from hactl.adapters.events import EventLog
    from hactl.adapters.own_node import own_node
    from hactl.integrity import programs
    from hactl.integrity.build import Here
    from hactl.wiring_archive import refuse_unless

    context, stop = open_context(ctx), programs.stopping()
    refuse_unless(context.spec, Ability.MANIFEST)
    node = own_node(context.spec)
    here = Here(context.spec, context.site, node, stop.wait, stop.is_set)
    programs.follow(here, stop, EventLog(f"manifest {node}").say)


@command.command()
@click.pass_context
def verify(ctx: click.Context) -> None:
    """Read this node's manifest to its end and compare it with its anchors. Exit code 7: it was changed.

    Runs on the archive node, as root or hactl. Each scrub does the same.

    Example:
      hactl archive manifest verify
    """
    from pathlib import Path

    from hactl import layout
    from hactl.adapters.own_node import own_node
    from hactl.errors import NotHealthy
    from hactl.integrity.etcd_notes import EtcdNotes
    from hactl.integrity.manifest import Manifest
    from hactl.view.keys import Keys
    from hactl.wiring import etcd_kv
    from hactl.wiring_archive import refuse_unless

    context = open_context(ctx)
    refuse_unless(context.spec, Ability.MANIFEST)
    node = own_node(context.spec)
    manifest = Manifest(Path(layout.INTEGRITY) / "manifest.db", node)
    anchors = EtcdNotes(etcd_kv(context.spec, context.site, here=node), Keys(context.spec.cluster)).anchored()
    found = manifest.problems(anchors)
    if found:
        raise NotHealthy("the manifest was changed: " + "; ".join(found), hint="docs/integrity.md")
    head = manifest.head()
    click.echo(f"{node}: whole, {manifest.objects()} objects in {head.number if head else 0} segments")
