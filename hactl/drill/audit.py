"""I10: the journal joined with what was seen in etcd, at the VIPs and by BMCs. No orphan on either side.

What Patroni does by itself (a failover after a crash, a restart in place) is no act of hactl's; I8 counts it.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Final

from hactl.drill.finding import Finding, some
from hactl.drill.history import Event, KeySeen, Look, Ordered
from hactl.drill.journaled import Journal, at, journal, node_of
from hactl.drill.needless import told
from hactl.view.history import Act
from hactl.view.journal_check import in_hand, verify

LEADER: Final = "leader"


def audited(events: Sequence[Event], *, compared: bool = True) -> Iterator[Finding]:
    """Without a journal in the history nothing is said.

    Not `compared`: its clocks are others than the history's, so only chain and results are looked at.
    """
    found = journal(events)
    if found is None:
        return
    wrong = verify(found.entries)
    yield from some("I10", "faults in the journal", [f"{f.fault} at {f.seq}: {f.what}" for f in wrong])
    known = {f.seq for f in wrong}
    open_ = [r for r in in_hand(found.records) if r.seq not in known and at(r) <= found.until]
    yield from some("I10", "acts have no result", [f"record {r.seq}: {r.action}" for r in open_])
    if not compared:
        return
    keys = [e for e in events if isinstance(e, KeySeen)]
    if not keys:
        yield Finding("I10", "nobody watched etcd, so the journal was compared with nothing")
        return
    changes = [k for k in keys if k.changed]
    unannounced = [said for k in changes if (said := _unannounced(k, found, changes))]
    unannounced += [said for o in events if isinstance(o, Ordered) if (said := _by_nobody(o, found))]
    yield from some("I10", "things were seen that the journal does not announce", unannounced)
    unseen = [told(a) for a in found.acts if a.ok and not _seen(a, changes)]
    yield from some("I10", "acts are in the journal, and nobody saw them", unseen)
    yield from some("I10", "moves of the database VIP have no reason", list(_vip_moves(events, keys)))


# What hactl writes into etcd, and which acts do it: (folder, appears, goes)
_WRITTEN: Final = (
    ("fence/", ("open-incident",), ("readmit", "withdraw")),
    ("order/", ("give-order", "reinitialize"), ()),
    ("prime/", ("prime-standby",), ()),
    ("archive/", ("drain-archive",), ("undrain-archive",)),
)


def _unannounced(change: KeySeen, found: Journal, changes: Sequence[KeySeen]) -> str:
    """Empty: there is an intent before it."""
    if change.key == LEADER:
        return _released(change, found, changes)
    for folder, appears, goes in _WRITTEN:
        if not change.key.startswith(folder):
            continue
        actions = goes if change.value is None else appears
        node = change.key.removeprefix(folder).split("/")[0]
        if not actions or any(_announces(a, actions, node, change) for a in found.acts):
            return ""
        what = "gone" if change.value is None else "there"
        return f"{change.key} was {what} at {change.end:.3f} s; no {' or '.join(actions)} before"
    return ""


_POWER: Final = ("run-fence-agent", "power-on", "readmit", "withdraw")


def _by_nobody(order: Ordered, found: Journal) -> str:
    """Empty: an act before it orders this. A fence agent says the same to its BMC again and again."""
    action = "power-on" if order.power == "on" else "run-fence-agent"
    before = [a.intent.action for a in found.acts if at(a.intent) <= order.at and node_of(a) == order.node]
    if action == "run-fence-agent":  # none from before it was let in again
        before = [a for a in before if a in _POWER][-1:]
    if order.at > found.until or action in before:
        return ""
    return f"the BMC of {order.node} was told {order.power} at {order.at:.3f} s; no {action} before"


def _announces(act: Act, actions: Sequence[str], node: str, change: KeySeen) -> bool:
    if act.intent.action not in actions or at(act.intent) > change.end or act.ok is False:
        return False
    order = act.result.data.get("order") if act.result else None
    if isinstance(order, str) and change.value is not None:
        return _field(change.value, "id") == order
    epoch = _field(change.value or change.was, "epoch")
    return node_of(act) == node and (not act.intent.epoch or epoch in {None, act.intent.epoch})


def _released(change: KeySeen, found: Journal, changes: Sequence[KeySeen]) -> str:
    """A fenced leader loses its key by hactl's hand, or hactl says what became of the fence."""
    fences = [c for c in changes if c.key == f"fence/{change.was}" and c.begin <= change.end]
    if change.was is None or not fences or fences[-1].value is None:
        return ""
    ends = {"release-leader", "withdraw"}
    if any(a.intent.action in ends and at(a.intent) <= change.end for a in found.acts):
        return ""
    return f"{change.was}, fenced, was leader no more at {change.end:.3f} s; no release-leader before"


@dataclass(frozen=True)
class _Trace:
    """What an act leaves in etcd, `gone` or there."""

    key: str
    gone: bool = False


def _seen(act: Act, changes: Sequence[KeySeen]) -> bool:
    """Whether etcd showed what a done act does; acts that leave no trace there are not asked for."""
    if act.answer is not None:
        return True
    trace = _trace(act)
    return trace is None or any(
        c.key == trace.key and (c.value is None or trace.key == LEADER if trace.gone else c.value is not None)
        and c.end >= at(act.intent) and _same(act, c)
        for c in changes
    )  # fmt: skip


def _trace(act: Act) -> _Trace | None:
    node, action = node_of(act), act.intent.action
    said = str(act.result.data.get("said", "")) if act.result else ""
    if action == "release-leader":
        return _Trace(LEADER, gone=True) if said.startswith("leader key deleted") else None
    if action in {"open-incident", "readmit", "withdraw"}:
        return _Trace(f"fence/{node}", gone=action != "open-incident") if node and "fence" in said else None
    if action in {"give-order", "reinitialize"}:
        return _Trace(f"order/{node}")
    if action in {"drain-archive", "undrain-archive"}:
        return _Trace(f"archive/{node}/drain", gone=action == "undrain-archive")
    return None


def _same(act: Act, change: KeySeen) -> bool:
    """Of the same epoch, and the same order, where both are told."""
    if change.key == LEADER:
        return change.was == node_of(act)
    epoch, id_ = _field(change.value or change.was, "epoch"), _field(change.value, "id")
    order = act.result.data.get("order") if act.result else None
    return epoch in {None, act.intent.epoch} and (order is None or id_ in {None, order})


def _vip_moves(events: Sequence[Event], keys: Sequence[KeySeen]) -> Iterator[str]:
    """The database VIP follows the leader key: whoever gets it leads, or led at the first look."""
    leads = [k for k in keys if k.key == LEADER]
    before: str | None = None
    for look in (e for e in events if isinstance(e, Look)):
        holders = [(n, g.end) for n, g in look.nodes.items() if "database" in (g.held or ())]
        if len(holders) != 1:
            continue
        node, end = holders[0]
        if before not in {None, node} and not _may_lead(node, end, leads):
            yield f"from {before} to {node}, seen at {end:.3f} s; {node} did not lead"
        before = node


def _may_lead(node: str, at_: float, leads: Sequence[KeySeen]) -> bool:
    """Whether the looks at the leader key allow that it was this node's at that time."""
    ends = [k.end for k in leads[1:]] + [float("inf")]
    return any(k.value == node and k.begin <= at_ <= end for k, end in zip(leads, ends, strict=True))


def _field(text: str | None, name: str) -> object:
    try:
        found = json.loads(text or "")
    except ValueError:
        return None
    return found.get(name) if isinstance(found, dict) else None
