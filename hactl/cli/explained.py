"""`--explain` of commands that change something: each step, each veto with its answer; nothing is touched."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING

import click

from hactl.cli.output import emit

if TYPE_CHECKING:
    from hactl.cli.context import Context
    from hactl.cli.proposal import Proposal
    from hactl.decide.asked import Asked

_SIGN = {"no veto": "+", "veto": "-", "not asked": " "}
_COLOUR = {"no veto": "green", "veto": "red"}


def explain(context: Context, found: Proposal, *, locked: bool = True, again: bool = True) -> None:
    """`locked`: the command takes the operation lock; `again`: it looks again once it has it."""
    answers = _answers(context, found)
    steps = list(_framed(found, locked=locked, again=again)) if found.steps else []
    if context.output != "table":
        emit(
            {
                "version": 1, "cluster": context.spec.cluster, "action": found.action, "node": found.node,
                "done": False, "would": not found.vetoes, "steps": steps,
                "asked": [_data(answer) for answer in answers],
                "notes": list(found.notes), **found.more,
            },
            context.output,
        )  # fmt: skip
        return
    click.echo(found.refused + " now; if it were:" if found.vetoes else "what would be done:")
    for number, step in enumerate(steps, 1):
        click.echo(f"  {number}. {step}")
    if not steps:
        click.echo("  nothing")
    click.echo("what was asked, and the answer:")
    for answer in answers:
        click.echo(click.style(f"  {_SIGN[answer.said]} {_line(answer)}", fg=_COLOUR.get(answer.said)))
    for note in found.notes:
        click.echo(f"  note: {note}")
    click.echo("nothing was touched")


def _data(answer: Asked) -> dict[str, str]:
    return {"code": answer.code, "question": answer.question, "said": str(answer.said), "why": answer.why}


def _line(answer: Asked) -> str:
    question = f"{answer.question} " if answer.question else ""
    return f"{answer.code}: {question}{answer.said}{f': {answer.why}' if answer.why else ''}"


def plain(
    context: Context, action: str, steps: Sequence[str], notes: Sequence[str] = (), *, locked: bool = True
) -> None:
    """Of what nothing speaks against, once etcd has answered."""
    from hactl.cli.proposal import Proposal

    found = Proposal(action, "", "", "", tuple(steps), notes=tuple(notes))
    explain(context, found, locked=locked, again=False)


def _answers(context: Context, found: Proposal) -> tuple[Asked, ...]:
    from hactl.decide.asked import asked

    node = context.spec.nodes.get(found.node)
    name, roles = (found.node, node.roles) if node is not None else ("the node", ())
    return asked(found.asks or (found.action,), name, roles, found.vetoes, found.idle)


def _framed(found: Proposal, *, locked: bool, again: bool) -> Iterator[str]:
    """With what every act by hand has around it."""
    if locked:
        yield "take the operation lock, so that nobody else does anything by hand meanwhile"
    if again:
        yield "look again, and stop if anything speaks against it by then"
    yield "write into the journal what is about to be done, by whom and why"
    yield from found.steps
    yield "write into the journal what came of it" + (", and free the lock" if locked else "")
