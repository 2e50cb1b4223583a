"""What commands have in common that change something by hand: who asks, and whether it is meant."""

from __future__ import annotations

import contextlib
import functools
import signal
import sys
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from types import FrameType
from typing import TYPE_CHECKING, Any

import click

from hactl.errors import Refused, UsageError

if TYPE_CHECKING:
    from hactl.act.maintenance import Operator
    from hactl.cli.context import Context
    from hactl.decide.plan import Veto
    from hactl.view.cluster import ClusterView


def operator(context: Context) -> Operator:
    from hactl.wiring import operator as by_hand

    return by_hand(context.spec, context.site)


@contextlib.contextmanager
def operating(context: Context, what: str, reason: str = "") -> Iterator[Operator]:
    """Hold the cluster's operation lock while the block changes something by hand.

    `what` is read by whoever comes second: "switchover from db1 to db2". Ctrl-C, a closed terminal and
    SIGTERM end the block as an exception does, so the lock is free at once.

    Raises:
        LockHeld: another command has it; says who, what and since when.
        Unreachable: etcd does not answer.

    """
    from hactl.act import operation

    with signals(), operation.held(operator(context), what, reason) as who:
        yield who


@contextlib.contextmanager
def signals() -> Iterator[None]:
    """What ends a process without a word else: here it unwinds like Ctrl-C."""
    numbers = (signal.SIGTERM, signal.SIGHUP)
    before = {n: signal.signal(n, _interrupt) for n in numbers if signal.getsignal(n) is signal.SIG_DFL}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


@contextlib.contextmanager
def undisturbed(say: Callable[[str], object]) -> Iterator[None]:
    """What must come to its end: another Ctrl-C is answered, and changes nothing.

    By handlers: programs that are started meanwhile would inherit what is ignored.
    """
    numbers = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)
    before = {n: signal.signal(n, lambda *_: say("healing; please wait")) for n in numbers}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


def _interrupt(number: int, _: FrameType | None) -> None:
    raise KeyboardInterrupt(signal.Signals(number).name)


def look(context: Context, *also: str) -> ClusterView:
    """Of many archive nodes only `also` are asked themselves; of the others the controller tells."""
    from hactl.decide.archive_told import told
    from hactl.observe.gather import gather
    from hactl.wiring import glance_ports

    return told(context.spec, gather(glance_ports(context.spec, context.site, also)))


@dataclass(frozen=True)
class Asked:
    """`dry_run`: only say what would be done. `yes`: it is meant. `explain`: say also all that was asked."""

    reason: str
    dry_run: bool
    yes: bool
    explain: bool = False


def acting(function: Callable[..., None]) -> Callable[..., None]:
    """Give a command that changes something its options; it gets them as `asked`."""

    @functools.wraps(function)
    def command(*args: Any, reason: str, dry_run: bool, yes: bool, **options: Any) -> None:
        function(*args, asked=Asked(reason, dry_run, yes), **options)

    found: Callable[..., None] = command
    for option in (
        click.option("--yes", is_flag=True, help="Do not ask whether it is meant."),
        click.option("--dry-run", is_flag=True, help="Say what would be done, and what stands against it."),
        click.option("--reason", default="", metavar="TEXT", help="Why; kept in the journal."),
    ):
        found = option(found)
    return found


def explaining(function: Callable[..., None]) -> Callable[..., None]:
    """As `acting`, with --explain: `asked` has it, and is a dry run then."""

    @functools.wraps(function)
    def command(*args: Any, explain: bool, asked: Asked, **options: Any) -> None:
        said = replace(asked, explain=True, dry_run=True) if explain else asked
        function(*args, asked=said, **options)

    text = "Say step by step what would be done, and what each veto answered. Nothing is touched."
    return acting(click.option("--explain", is_flag=True, help=text)(command))


def reason_given(asked: Asked, what: str) -> None:
    """What others will wonder about needs its reason, if it is done. Raises UsageError."""
    if not asked.reason.strip() and not asked.explain:
        raise UsageError(f"{what} is seen by everybody: say why", hint='--reason "..."')


def meant(question: str, *, yes: bool) -> None:
    """Ask, unless it was said beforehand. Raises Refused: nobody is there to ask, or the answer is no."""
    if yes:
        return
    if not sys.stdin.isatty():
        raise Refused("nobody is here to be asked whether this is meant", hint="add --yes")
    if not click.confirm(question):
        raise Refused("nothing was done")


def second_person(context: Context, what: str, details: Sequence[str], reason: str) -> str:
    """Who approved, where the spec wants two people for a failover by hand; empty: it does not.

    Raises Refused: nobody did in time.
    """
    if not context.spec.access.two_person:
        return ""
    from hactl.act import approvals

    def say(text: str) -> None:
        click.echo(f"  {text}", err=True)

    with signals():
        return approvals.approved(operator(context), what, details, reason, say).by


def sentences(vetoes: tuple[Veto, ...]) -> list[str]:
    return [f"{v.code}: {v.why}{f' [{v.evidence}]' if v.evidence else ''}" for v in vetoes]


def vetoed(vetoes: tuple[Veto, ...]) -> list[dict[str, str]]:
    return [{"code": v.code, "why": v.why, "evidence": v.evidence} for v in vetoes]
