"""`hactl config edit · rollback`: change PostgreSQL's parameters in the spec, and deploy them."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

import click

from hactl.cli import operator as by_hand
from hactl.cli.context import Context, open_context
from hactl.errors import Refused, UsageError

if TYPE_CHECKING:
    from hactl.spec.edit import Scalar
    from hactl.spec.model import ClusterSpec

PREFIXES = ("database.parameters.", "postgresql.parameters.")
HEAD = """\
# PostgreSQL's parameters of cluster {cluster} (database.parameters of {source}).
# Save and leave: they are checked, shown and asked about before anything is written.
"""

_force = click.option("--force", is_flag=True, help="Although the cluster is not healthy.")


@click.command("edit")
@click.option("--set", "pairs", metavar="NAME=VALUE", multiple=True, help="Set a parameter; may be repeated.")
@click.option("--unset", "gone", metavar="NAME", multiple=True, help="Back to the default; may be repeated.")
@_force
@by_hand.explaining
@click.pass_context
def edit(
    ctx: click.Context, pairs: tuple[str, ...], gone: tuple[str, ...], force: bool, asked: by_hand.Asked
) -> None:
    """Change PostgreSQL's parameters: in the spec, recorded as a version, deployed. Without --set: $EDITOR.

    Values are checked first: against what the running servers say of each parameter, against the rules by
    which Patroni replaces values without saying so, and against what hactl sets itself. Nothing is written
    unless all of them are good. Nothing is restarted: parameters that need it are listed afterwards.

    \b
    Examples:
      hactl config edit --set work_mem=64MB --reason "slow study lists"
      hactl config edit --set max_connections=300 --unset log_statement --explain
      hactl config edit
    """  # noqa: D301 - click's mark for lines that stay as they are
    from hactl.act.config_versions import Draft
    from hactl.cli.config_apply import Proposal, beginning, propose

    context = open_context(ctx, connect=False)
    changes = (_pairs(pairs), tuple(_name(name) for name in gone)) if pairs or gone else _edited(context)
    if vetoes := _managed([*changes[0], *changes[1]]):
        raise Refused("not for editing here", vetoes, hint="docs/config.md; docs/spec.md")
    text, spec = _changed(context, *changes)
    if text == context.text:
        click.echo("nothing to change", err=True)
        return
    wheels = beginning(context)
    _deployed_before(context)
    propose(Proposal(context, spec, Draft(text, "edit", asked.reason), asked, force), wheels)


@click.command("rollback")
@click.argument("number", type=click.IntRange(min=1), metavar="N")
@_force
@by_hand.explaining
@click.pass_context
def rollback(ctx: click.Context, number: int, force: bool, asked: by_hand.Asked) -> None:
    """Make the spec what it was in version N (all of it), as a new version, and deploy it.

    \b
    Examples:
      hactl config history
      hactl config rollback 3 --explain
      hactl config rollback 3 --reason "connections ran out"
    """  # noqa: D301 - click's mark for lines that stay as they are
    from hactl.act import config_versions
    from hactl.act.config_versions import Draft
    from hactl.cli.config_apply import Proposal, beginning, propose
    from hactl.spec.load import load
    from hactl.spec.masked import filled

    context = open_context(ctx, connect=False)
    wheels = beginning(context)
    version = config_versions.one(by_hand.operator(context), number)
    try:
        text = filled(version.text, context.text)
    except ValueError as error:
        raise Refused(
            f"version {number} cannot be put back: {error}", hint=f"hactl config history --show {number}"
        ) from error
    if text == context.text:
        click.echo(f"the spec is as it was in version {number}", err=True)
        return
    spec = load(text, f"version {number}")
    if spec.cluster != context.spec.cluster:
        raise Refused(f"version {number} is of another cluster: {spec.cluster}")
    draft = Draft(text, f"rollback to {number}", asked.reason)
    propose(Proposal(context, spec, draft, asked, force), wheels)


def _name(text: str) -> str:
    for prefix in PREFIXES:
        text = text.removeprefix(prefix)
    return text.strip()


def _pairs(pairs: tuple[str, ...]) -> dict[str, Scalar]:
    from hactl.spec.edit import scalar

    found: dict[str, Scalar] = {}
    for pair in pairs:
        name, equals, value = pair.partition("=")
        if not equals or not _name(name):
            raise UsageError(f"--set {pair}: write NAME=VALUE", hint="hactl config edit --set work_mem=64MB")
        found[_name(name)] = scalar(value.strip())
    return found


def _managed(names: list[str]) -> list[str]:
    """Why some of them are not for editing here, with the spec's field for each that has one."""
    from hactl.decide.config_rules import managed

    dotted = [f"{name}: {_elsewhere(name)}" for name in names if "." in name]
    return dotted + [f"{name} cannot be set here: it {why}" for name in names if (why := managed(name))]


def _elsewhere(name: str) -> str:
    from hactl.spec.model import ClusterSpec

    if name.partition(".")[0] not in ClusterSpec.model_fields:
        return "a parameter's name has no dots"
    return "only database.parameters is edited here; edit the file, then: hactl spec check && hactl deploy"


def _changed(
    context: Context, wanted: Mapping[str, Scalar], gone: tuple[str, ...]
) -> tuple[str, ClusterSpec]:
    """The spec's new text, and what it says.

    Raises:
        UsageError: what is to be unset is not set.
        Refused: the file is written in a way that is not edited here; says what to write.
        SpecError: a value that no spec may have.

    """
    from hactl.spec.edit import CannotEdit, with_parameters
    from hactl.spec.load import load

    own = context.spec.database.parameters
    missing = [name for name in gone if name not in own]
    if missing:
        raise UsageError(
            f"the spec does not set {', '.join(missing)}", hint=f"it sets {', '.join(own) or 'none'}"
        )
    unequal = {n: v for n, v in wanted.items() if n not in own or own[n] != v or type(own[n]) is not type(v)}
    try:
        text = with_parameters(context.text, unequal, gone)
    except CannotEdit as error:
        raise Refused(
            f"{context.source} cannot be edited as it is written",
            [str(error)],
            hint="hactl deploy, afterwards",
        ) from error
    return text, load(text, str(context.source))


def _deployed_before(context: Context) -> None:
    """Raises Refused: the file has changes that were not deployed; an edit would bring them along."""
    from hactl.act import config_versions
    from hactl.decide.config_drift import of_versions

    newest = config_versions.newest(by_hand.operator(context))
    if newest is None:
        raise Refused(
            "no version of the configuration is recorded yet", hint="hactl deploy records the first"
        )
    if found := of_versions(newest, context.text):
        raise Refused("the spec's file is not what is deployed", [d.detail for d in found], hint=found[0].fix)


def _edited(context: Context) -> tuple[dict[str, Scalar], tuple[str, ...]]:
    """What somebody made of the parameters in $EDITOR. Raises Refused: not names and values."""
    import yaml

    from hactl.spec import document

    own = dict(context.spec.database.parameters)
    head = HEAD.format(cluster=context.spec.cluster, source=context.source.name)
    body = yaml.safe_dump(own, sort_keys=False) if own else "# work_mem: 64MB\n"
    said = click.edit(head + body, extension=".yaml", require_save=True)
    if said is None:
        return {}, ()
    read = document.parse(said)
    if read.data is None and not read.problems:
        return {}, ()
    if read.problems or not isinstance(read.data, dict):
        reasons = [f"line {p.line}: {p.reason}" for p in read.problems]
        raise Refused("what was written is not NAME: VALUE on each line", reasons or ["it is no mapping"])
    bad = [name for name, value in read.data.items() if not isinstance(value, str | int | float | bool)]
    if bad:
        raise Refused("each parameter has one value", [f"{name} has none, or more than one" for name in bad])
    new: dict[str, Scalar] = dict(read.data)
    return {n: v for n, v in new.items() if own.get(n) != v}, tuple(n for n in own if n not in new)
