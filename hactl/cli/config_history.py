"""`hactl config history`: the versions of the configuration, who made them and why."""

from __future__ import annotations

from dataclasses import asdict
from typing import TYPE_CHECKING

import click

from hactl.cli import operator as by_hand
from hactl.cli.config_data import document, table
from hactl.cli.context import Context, open_context
from hactl.cli.output import emit
from hactl.errors import UsageError

if TYPE_CHECKING:
    from hactl.view.config_version import ConfigVersion


@click.command("history")
@click.option("--diff", "diff", type=int, metavar="N", help="What version N changed.")
@click.option(
    "--against", type=int, metavar="M", help="With --diff: compare with version M instead of the former."
)
@click.option("--show", "text", type=int, metavar="N", help="The spec as version N has it.")
@click.pass_context
def history(ctx: click.Context, diff: int | None, against: int | None, text: int | None) -> None:
    """List what was deployed: version, when, by whom, how, and why. Secrets are not kept.

    \b
    Examples:
      hactl config history
      hactl config history --diff 4
      hactl config history --diff 7 --against 3
      hactl config history --show 3
    """  # noqa: D301 - click's mark for lines that stay as they are
    from hactl.act import config_versions

    if against is not None and diff is None:
        raise UsageError("--against M goes with --diff N")
    context = open_context(ctx)
    who = by_hand.operator(context)
    if text is not None:
        _show(context, config_versions.one(who, text))
    elif diff is not None:
        base = None if against is None else config_versions.one(who, against)
        _diff(context, config_versions.one(who, diff), base)
    else:
        _list(context, config_versions.every(who))


def _list(context: Context, versions: tuple[ConfigVersion, ...]) -> None:
    if context.output != "table":
        said = [{k: v for k, v in asdict(version).items() if k != "text"} for version in versions]
        emit(document(context, versions=said), context.output)
        return
    if not versions:
        click.echo("nothing is recorded yet: hactl deploy does it")
    table(
        ("VERSION", "WHEN", "HOW", "BY", "STATE", "REASON"),
        [
            [
                str(v.number),
                f"{v.at[:10]} {v.at[11:19]}",
                v.how,
                f"{v.author} on {v.machine}",
                _state(v),
                v.reason,
            ]
            for v in reversed(versions)
        ],
    )


def _state(version: ConfigVersion) -> str:
    return "deployed" if version.applied else "not completed"


def _diff(context: Context, version: ConfigVersion, base: ConfigVersion | None) -> None:
    from hactl.view.config_version import changes_between

    changes = version.changes
    if base is not None:
        changes = changes_between(
            base.text, version.text, f"version {base.number}", f"version {version.number}"
        )
    if context.output != "table":
        emit(document(context, number=version.number, changes=changes), context.output)
        return
    click.echo(changes or f"version {version.number}: no difference to show", nl=not changes)


def _show(context: Context, version: ConfigVersion) -> None:
    if context.output != "table":
        emit(document(context, **asdict(version)), context.output)
        return
    click.echo(version.text, nl=not version.text.endswith("\n"))
