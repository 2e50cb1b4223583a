"""What the commands that act on a node have in common: the proposal, whether it is meant, the journal."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import click

from hactl.cli import operator as by_hand
from hactl.cli.context import Context, open_context
from hactl.cli.output import emit
from hactl.errors import HactlError, Refused, UsageError

if TYPE_CHECKING:
    from hactl.act.maintenance import Operator
    from hactl.decide.plan import Veto


@dataclass(frozen=True)
class Proposal:
    """What a command is about to do. `question` is asked; `refused` is how its refusal begins."""

    action: str
    node: str
    question: str
    refused: str
    steps: tuple[str, ...] = ()
    vetoes: tuple[Veto, ...] = ()
    notes: tuple[str, ...] = ()
    hint: str = "hactl status"
    more: Mapping[str, Any] = field(default_factory=dict)


def node_context(ctx: click.Context, node: str) -> Context:
    """Raises UsageError: the spec has no such node."""
    context = open_context(ctx)
    if node not in context.spec.nodes:
        raise UsageError(f"the spec has no node {node}", hint="hactl status")
    return context


def database_context(ctx: click.Context, node: str) -> Context:
    """Raises UsageError: it is no database node."""
    context = node_context(ctx, node)
    if node not in context.spec.databases:
        raise UsageError(f"{node} is no database node", hint="hactl status")
    return context


def go_ahead(context: Context, found: Proposal, asked: by_hand.Asked) -> bool:
    """Whether to do it: not with --dry-run, which prints it.

    Raises:
        Refused: all vetoes; or it is not meant.

    """
    if asked.dry_run:
        show(context, found, done=False)
        return False
    if found.vetoes:
        raise Refused(found.refused, by_hand.sentences(found.vetoes), hint=found.hint)
    for note in found.notes:
        progress(note)
    by_hand.meant(found.question, yes=asked.yes)
    return True


def still(found: Proposal, now: Proposal) -> None:
    """What was true when the question was asked need not be true any more. Raises Refused."""
    if now.vetoes:
        raise Refused(found.refused, by_hand.sentences(now.vetoes), hint=found.hint)
    if now.steps != found.steps:
        raise Refused(found.refused, ["CHANGED: by now other steps would be needed"], hint=found.hint)


def show(
    context: Context, found: Proposal, *, done: bool, said: str = "", more: Mapping[str, Any] | None = None
) -> None:
    """The end of the command. `said`: one line for people."""
    if context.output != "table":
        data = {
            "version": 1, "cluster": context.spec.cluster, "action": found.action, "node": found.node,
            "done": done, "steps": list(found.steps), "vetoes": by_hand.vetoed(found.vetoes),
            "notes": list(found.notes), **found.more, **(more or {}),
        }  # fmt: skip
        emit(data, context.output)
        return
    if done:
        click.echo(said)
        return
    for number, step in enumerate(found.steps, 1):
        click.echo(f"{number}. would {step}")
    for note in found.notes:
        click.echo(f"   {note}")
    if found.vetoes:
        click.echo(f"{found.refused} now:")
        for sentence in by_hand.sentences(found.vetoes):
            click.echo(f"  - {sentence}")


def progress(text: str) -> None:
    click.echo(f"  {text}", err=True)


def changing(say: Callable[[str], None] = progress) -> Callable[[str], None]:
    """Says only what is new."""
    last = ""

    def told(text: str) -> None:
        nonlocal last
        if text and text != last:
            say(text)
        last = text

    return told


@contextlib.contextmanager
def journaled(who: Operator, action: str, data: Mapping[str, object]) -> Iterator[dict[str, object]]:
    """A record before, and one after that says what came of it; the block may add to that one."""
    from hactl.act import maintenance

    maintenance.note(who, action, data)
    result: dict[str, object] = {}
    try:
        yield result
    except (HactlError, KeyboardInterrupt) as error:
        said = error.message if isinstance(error, HactlError) else "interrupted"
        with contextlib.suppress(HactlError):  # what went wrong is said in any case
            maintenance.note(who, f"{action}-ended", {**_brief(data), "ok": False, "said": said, **result})
        raise
    maintenance.note(who, f"{action}-ended", {**_brief(data), "ok": True, **result})


def _brief(data: Mapping[str, object]) -> Mapping[str, object]:
    return {k: v for k, v in data.items() if k in {"node", "step", "unit"}}


def texts(steps: Sequence[object]) -> tuple[str, ...]:
    return tuple(str(step) for step in steps)
