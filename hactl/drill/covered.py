"""Whether a drill looked where promises could have been broken, and what files showed afterwards. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from itertools import combinations

from hactl.drill.finding import Finding, some
from hactl.drill.history import Answered, Claim, Look, Outcome, Row, Sound, Write


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


def asked_by_arp(answers: Sequence[Answered], *, wanted: bool) -> Iterator[Finding]:
    if not wanted:
        return
    heard = {vip for a in answers for vip, macs in a.macs.items() if macs}
    if not answers:
        yield Finding("I2", "nobody asked for the VIPs by ARP")
    for vip in sorted({vip for a in answers for vip in a.macs} - heard):
        yield Finding("I2", f"nobody ever answered for the {vip} VIP by ARP")


def wrote_inside(writes: Sequence[Write], nodes: Iterable[str]) -> Iterator[Finding]:
    """A client on a node that never got through would not have seen a second primary there either."""
    through = {(w.inside, w.fresh) for w in writes if w.outcome is Outcome.OK}
    for node in sorted(nodes):
        for fresh, kind in ((False, "kept"), (True, "new")):
            if (node, fresh) not in through:
                yield Finding("I1", f"no client on {node} itself ever wrote over a {kind} connection")


def sound(seen: Sequence[Sound], nodes: Iterable[str]) -> Iterator[Finding]:
    """I7: the files themselves; I4: two nodes that tell a timeline's history differently share no past."""
    for node in sorted(set(nodes) - {s.node for s in seen}):
        yield Finding("I7", f"nobody looked through the data files of {node}")
    for each in seen:
        yield from some("I7", f"complaints of pg_amcheck about {each.node}", list(each.said))
    for a, b in combinations(seen, 2):
        for name in sorted(set(a.histories) & set(b.histories)):
            if a.histories[name] != b.histories[name]:
                yield Finding("I4", f"{a.node} and {b.node} have different files {name}")
