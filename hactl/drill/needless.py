"""I8: hactl did what the fault asks for, and nothing else."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import pairwise

from hactl.drill.finding import Finding
from hactl.drill.history import Asked, Event, Outcome, Write
from hactl.drill.journaled import at, journal, node_of
from hactl.view.history import Act


def needless(events: Sequence[Event], asked: Asked) -> Iterator[Finding]:
    """What is not asked is not judged."""
    if asked.failovers is not None:
        yield from _failovers(events, *asked.failovers)
    found = journal(events)
    if found is None or asked.acts is None:
        return
    for act in found.acts:
        if not _names(act) & set(asked.acts):
            yield Finding("I8", f"{named(act)} is not what this fault asks for", (told(act),))


def _names(act: Act) -> set[str]:
    """How `Asked.acts` may call it."""
    action = act.intent.action
    return {action, f"{action} {node_of(act)}", f"{action}:{act.intent.data.get('verb', '')}"}


def _failovers(events: Sequence[Event], least: int, most: int) -> Iterator[Finding]:
    moves = moved(events)
    if not least <= len(moves) <= most:
        wanted = str(least) if least == most else f"{least} to {most}"
        yield Finding("I8", f"the primary moved {len(moves)} times; this fault asks for {wanted}", moves)


def moved(events: Sequence[Event]) -> tuple[str, ...]:
    """Each time that another node acknowledged writes than before, in the order of timelines."""
    takers = {
        e.server.timeline: e for e in events if isinstance(e, Write) and e.outcome is Outcome.OK and e.server
    }
    order = [takers[timeline] for timeline in sorted(takers)]
    return tuple(
        f"{a.server.node} (timeline {a.server.timeline}) to {b.server.node} (timeline {b.server.timeline})"
        for a, b in pairwise(order)
        if a.server and b.server and a.server.node != b.server.node
    )


def named(act: Act) -> str:
    return f"{act.intent.action} {node_of(act)}".rstrip()


def told(act: Act) -> str:
    more = " ".join(str(act.intent.data[k]) for k in ("verb", "unit", "why") if act.intent.data.get(k))
    what = f"record {act.intent.seq} at {at(act.intent):.3f} s: {more or named(act)}"
    return f"{what}; reason: {act.reason or '-'}"
