"""Whether a drill looked where its promises could have been broken: what nobody saw proves nothing. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence

from hactl.drill.finding import Finding
from hactl.drill.history import Claim, Look, Outcome, Row, Write


def enough(writes: Sequence[Write], tables: Mapping[str, Sequence[Row]]) -> Iterator[Finding]:
    if not any(w.outcome is Outcome.OK and not w.inside for w in writes):
        yield Finding("I3", "no write was acknowledged, so nothing is proved about rows")
    if any(w.outcome is Outcome.OK and w.server is None for w in writes):
        yield Finding("I1", "a write was acknowledged by a server that did not say who it is")
    if not tables:
        yield Finding("I3", "no table was read afterwards")


def looked_at(
    looks: Sequence[Look], claims: Sequence[Claim], nodes: Iterable[str], blind: Sequence[str]
) -> Iterator[Finding]:
    """A node that is away does not answer; one that never did was not judged."""
    if not looks and "looks" not in blind:
        yield Finding("I2", "nobody looked who carries the VIPs")
    if "claims" in blind:
        return
    heard = {c.node for c in claims if c.writable is not None}
    for node in sorted(set(nodes) - heard):
        yield Finding("I1", f"{node} was never heard whether it is writable")


def wrote_inside(writes: Sequence[Write], nodes: Iterable[str]) -> Iterator[Finding]:
    """A client on a node that never got through would not have seen a second primary there either."""
    through = {w.inside for w in writes if w.outcome is Outcome.OK}
    for node in sorted(set(nodes) - through):
        yield Finding("I1", f"no client on {node} itself ever got through to write")
