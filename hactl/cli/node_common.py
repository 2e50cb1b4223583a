"""What the commands that act on a node have in common: the proposal, whether it is meant, the journal."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any

import click

from hactl.cli import operator as by_hand
from hactl.cli.context import Context, open_context
from hactl.cli.output import emit
from hactl.cli.proposal import Proposal
from hactl.errors import HactlError, Refused, UsageError

if TYPE_CHECKING:
    from hactl.act.maintenance import Operator

WAY_ON = "How it is now, and how to go on: "


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
    """Whether to do it: not with --dry-run or --explain, which print it.

    Raises:
        Refused: all vetoes; or it is not meant.

    """
    if asked.explain:
        from hactl.cli.explained import explain

        explain(context, found)
        return False
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
def journaled(
    who: Operator,
    action: str,
    data: Mapping[str, object],
    *,
    go_on: str = "",
    cut: str = "interrupted",
    end: str = "ended",
) -> Iterator[dict[str, object]]:
    """A record before, and one after that says what came of it; the block may add to that one.

    Whoever interrupts it is told `go_on`: how to go on from whatever was done by then. `cut` is what the
    journal says of it. `end`: the other record is ACTION-`end`; a pause has ended when it is over, not when
    it was made.
    """
    from hactl.act import maintenance

    result: dict[str, object] = {}
    records = (action, f"{action}-{end}")
    begun = done = False
    try:
        maintenance.note(who, action, data)
        begun = True
        yield result
        done = True
        maintenance.note(who, records[1], {**_brief(data), "ok": True, **result})
    except HactlError as error:
        if begun:
            _ended(who, records, data, {"ok": True, **result} if done else _failed(error.message, result))
        raise
    except KeyboardInterrupt:
        if go_on and not done:
            click.echo(f"hactl: interrupted; what was done stays. {WAY_ON}{go_on}", err=True)
        _ended(who, records, data, {"ok": True, **result} if done else _failed(cut, result))
        raise


def _failed(said: str, result: Mapping[str, object]) -> Mapping[str, object]:
    return {"ok": False, "said": said, **result}


def _ended(
    who: Operator, records: tuple[str, str], data: Mapping[str, object], result: Mapping[str, object]
) -> None:
    """Once, and only of what was begun: whoever interrupts may do so right before or after a record."""
    from hactl.act import maintenance

    with contextlib.suppress(HactlError):  # what went wrong is said in any case
        if maintenance.unended(who, *records):
            maintenance.note(who, records[1], {**_brief(data), **result})


def _brief(data: Mapping[str, object]) -> Mapping[str, object]:
    return {k: v for k, v in data.items() if k in {"node", "step", "unit", "code", "subject", "from", "to"}}


def texts(steps: Sequence[object]) -> tuple[str, ...]:
    return tuple(str(step) for step in steps)
