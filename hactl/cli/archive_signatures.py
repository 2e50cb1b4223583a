"""`hactl archive signatures`: detached DICOM signatures of what was stored. Works on an archive node."""

from __future__ import annotations

import random
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import click

from hactl.cli.context import open_context
from hactl.errors import NotHealthy, UsageError
from hactl.view.archive_kind import Ability

if TYPE_CHECKING:
    from hactl.integrity.build import Here
    from hactl.integrity.model import Row
    from hactl.integrity.signer import Checked, Signer

SAMPLE = 100


@click.group("signatures")
def command() -> None:
    """Signatures of images (dcmsign), kept beside them. On an archive node, as root or hactl."""


@command.command()
@click.pass_context
def follow(ctx: click.Context) -> None:
    """Sign new images until told to stop. hactl-sign.service does this where archive.signing is set.

    Example:
      hactl archive signatures follow
    """
    from hactl.adapters.events import EventLog
    from hactl.integrity import programs

    stop = programs.stopping()
    here = _here(ctx, stop.wait)
    programs.sign(here, stop, EventLog(f"sign {here.node}").say)


@command.command()
@click.pass_context
def status(ctx: click.Context) -> None:
    """How many images are signed on this node, and how many cannot be.

    Example:
      hactl archive signatures status
    """
    from hactl.cli.output import emit
    from hactl.integrity import build
    from hactl.integrity.signatures import NOT, OWN, SIGNED, Signatures

    here = _here(ctx)
    path = here.file(build.SIGNATURES)
    counts = Signatures(path).counts() if path.exists() else {}
    found = {kind: counts.get(kind, 0) for kind in (SIGNED, OWN, NOT)}
    output = (ctx.find_root().obj or {}).get("output", "table")
    if output == "table":
        click.echo(f"{here.node}: {', '.join(f'{count} {kind}' for kind, count in found.items())}")
    else:
        emit({"version": 1, "node": here.node, **found}, output)


@command.command()
@click.argument("instances", metavar="[INSTANCE]...", nargs=-1)
@click.option(
    "--sample", type=click.IntRange(min=1), default=SAMPLE, show_default=True, help="So many, drawn."
)
@click.option("--all", "every", is_flag=True, help="All that came since signing began.")
@click.pass_context
def verify(ctx: click.Context, instances: tuple[str, ...], sample: int, every: bool) -> None:
    """Check images against their signatures: by Orthanc's ids of instances, a sample, or all.

    Exit code 7: an image is not what was signed, is gone, or has no signature.

    Examples:
      hactl archive signatures verify --sample 100
      hactl archive signatures verify --all
    """
    from hactl.cli.output import emit
    from hactl.integrity import build

    here = _here(ctx)
    signer = build.signer(here)
    rows = _named(here, instances) if instances else signer.rows() if every else _sample(signer, sample)
    count = 0
    found: list[Checked] = []
    for row in rows:
        checked = signer.check(row)
        count += 1
        if not checked.fine and _still_there(here, row):
            found.append(checked)
    output = (ctx.find_root().obj or {}).get("output", "table")
    if output == "table":
        for one in found:
            click.echo(f"{one.word:<10} {one.uuid}  {one.why}")
        click.echo(f"{here.node}: {count} checked, {len(found)} not as they were signed")
    else:
        marks = [{"uuid": one.uuid, "word": one.word, "why": one.why} for one in found]
        emit({"version": 1, "node": here.node, "checked": count, "findings": marks}, output)
    if found:
        raise NotHealthy(
            f"{len(found)} of {count} images are not as they were signed", hint="docs/signatures.md"
        )


@command.command()
@click.argument("instance")
@click.argument("file", type=click.Path(dir_okay=False, path_type=Path))
@click.pass_context
def export(ctx: click.Context, instance: str, file: Path) -> None:
    """Write an image with its signature in it, which any DICOM toolkit can verify. FILE must not exist.

    Example:
      hactl archive signatures export 1a2b3c4d-5e6f7a8b-9c0d1e2f-3a4b5c6d-7e8f9a0b signed.dcm
    """
    from hactl.integrity import build

    here = _here(ctx)
    signer = build.signer(here)
    row = next(_named(here, [instance]))
    try:
        with file.open("xb") as target:
            signer.export(row, target)
    except OSError as error:
        raise UsageError(f"{file}: {error.strerror}") from error


def _here(ctx: click.Context, wait: object = None) -> Here:
    import time

    from hactl.adapters.own_node import own_node
    from hactl.integrity.build import Here
    from hactl.wiring_archive import refuse_unless

    context = open_context(ctx)
    refuse_unless(context.spec, Ability.SIGN)

    def sleep(seconds: float) -> bool:
        time.sleep(seconds)
        return False

    pause = wait if callable(wait) else sleep
    return Here(context.spec, context.site, own_node(context.spec), pause, lambda: False)


def _named(here: Here, instances: Sequence[str]) -> Iterator[Row]:
    index = here.index()
    for instance in instances:
        row = index.image(instance)
        if row is None:
            raise UsageError(
                f"the index has no instance {instance}", hint="Orthanc's id, as in /instances/ID"
            )
        yield row


def _sample(signer: Signer, size: int) -> list[Row]:
    """Each image has the same chance; one pass over the index (Vitter's algorithm R)."""
    chosen: list[Row] = []
    for number, row in enumerate(signer.rows()):
        if number < size:
            chosen.append(row)
        elif (place := random.randrange(number + 1)) < size:  # noqa: S311 - a sample, no secret
            chosen[place] = row
    return chosen


def _still_there(here: Here, row: Row) -> bool:
    """What was deleted since it was listed is no finding."""
    return row.uuid in here.index().having([row.uuid])
