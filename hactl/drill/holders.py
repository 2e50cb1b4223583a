"""I2: who carried a VIP, and who answered for it, at the same time. Pure."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Sequence
from itertools import combinations
from typing import Final

from hactl.drill.finding import SHOWN, Finding
from hactl.drill.history import Answered, Glance, Look

CARRIED: Final = "was on"
ANSWERED: Final = "was answered for by"
# Seconds. No lease stands before the archive's address: on a node whose programs all hang, it is there until
# the kernel ends its lifetime, and the others do not wait for that (agent/archive_address.py).
TWICE: Final = {"archive": 3.0}


def by_mac(answers: Sequence[Answered]) -> list[Look]:
    """As if each hardware address were a node that carries what it answers for."""
    found = []
    for answer in answers:
        held = defaultdict(list)
        for vip, macs in answer.macs.items():
            for mac in macs:
                held[mac].append(vip)
        nodes = {mac: Glance(answer.begin, answer.end, tuple(vips)) for mac, vips in held.items()}
        found.append(Look(answer.begin, nodes))
    return found


def one_holder(looks: Sequence[Look], was: str = CARRIED, *, brief: bool = False) -> Iterator[Finding]:
    """I2. A node surely carried the VIP from one look that saw it to the next one that saw it too.

    `brief`: only what lasted no longer than TWICE allows; otherwise only what did.
    """
    held: dict[str, list[tuple[str, float, float]]] = defaultdict(list)  # vip -> (node, since, until)
    for node in sorted({n for look in looks for n in look.nodes}):
        for vip, since, until in _held(looks, node):
            held[vip].append((node, since, until))
    for vip, times in sorted(held.items()):
        pairs = [(a, b) for a, b in combinations(times, 2) if a[0] != b[0]]
        lasted = [(a, b, min(a[2], b[2]) - max(a[1], b[1])) for a, b in pairs]
        clashes = [(a, b) for a, b, t in lasted if t > 0 and (t <= TWICE.get(vip, 0.0)) is brief]
        if clashes:
            nodes = sorted({n for pair in clashes for n, _, _ in pair})
            yield Finding(
                "I2",
                f"the {vip} VIP {was} {' and '.join(nodes)} at once",
                tuple(f"{n}: {s:.3f} to {u:.3f} s" for pair in clashes[:SHOWN] for n, s, u in pair),
            )


def _held(looks: Sequence[Look], node: str) -> Iterator[tuple[str, float, float]]:
    since: dict[str, float] = {}
    until: dict[str, float] = {}
    for look in [*looks, None]:
        glance = look.nodes.get(node) if look else None
        holding = (glance.held or ()) if glance else ()
        for vip in [v for v in since if v not in holding]:
            yield vip, since.pop(vip), until.pop(vip)
        if glance:
            for vip in holding:
                since.setdefault(vip, glance.end)
                until[vip] = glance.begin
