"""What the controller writes into etcd, as text: compact and sorted, so that a transaction can compare it."""

from __future__ import annotations

import json
from collections.abc import Mapping

from hactl.view.control import FenceIntent, Order, Prime
from hactl.view.incident import Incident, Phase, Stamp
from hactl.view.parse.fields import document, items, mapping


def compact(value: Mapping[str, object]) -> str:
    return json.dumps(value, sort_keys=True, separators=(",", ":"), ensure_ascii=False)


def controller_text(node: str, boot: str, since: str, id_: str) -> str:
    """`id_` makes the value of each process another: it is the token that fences its transactions."""
    return compact({"node": node, "boot": boot, "since": since, "id": id_})


def standby_text(node: str) -> str:
    return compact({"node": node})


def fence_text(intent: FenceIntent) -> str:
    leader = intent.leader
    return compact({
        "epoch": intent.epoch, "incident": intent.incident, "by": intent.by, "reason": intent.reason,
        "leader": {"node": leader.node, "lease": leader.lease, "mod_revision": leader.mod_revision},
    })  # fmt: skip


def prime_text(prime: Prime) -> str:
    return compact({"epoch": prime.epoch, "reject": prime.reject})


def order_text(order: Order) -> str:
    unit = {"unit": order.unit} if order.unit else {}
    return compact({"id": order.id, "verb": order.verb, **unit})


def stamp_object(stamp: Stamp) -> dict[str, object]:
    return {
        "phase": str(stamp.phase), "node": stamp.node, "mono_ms": stamp.mono_ms, "wall": stamp.wall,
        "evidence": stamp.evidence, "by": stamp.by,
    }  # fmt: skip


def incident_object(incident: Incident) -> dict[str, object]:
    return {
        "id": incident.id, "kind": incident.kind, "victim": incident.victim, "standby": incident.standby,
        "epoch": incident.epoch, "automatic": incident.automatic, "outcome": incident.outcome,
        "stamps": [stamp_object(s) for s in incident.stamps], "details": dict(incident.details),
    }  # fmt: skip


def incident_text(incident: Incident) -> str:
    return compact(incident_object(incident))


def parse_incident(text: str) -> Incident:
    """Raises ValueError: not an incident."""
    return read_incident(mapping(document(text.encode(), "incident"), "incident"))


def read_incident(found: Mapping[str, object]) -> Incident:
    """Raises ValueError: not an incident. Unknown fields are left out."""
    return Incident(
        id=_text(found, "id"), kind=_text(found, "kind"), victim=_text(found, "victim"),
        standby=_text(found, "standby"), epoch=_number(found, "epoch"),
        automatic=bool(found.get("automatic", True)), outcome=str(found.get("outcome", "")),
        stamps=tuple(_stamp(mapping(s, "stamp")) for s in items(found.get("stamps", []), "stamps")),
        details=dict(mapping(found.get("details", {}), "details")),
    )  # fmt: skip


def _stamp(found: Mapping[str, object]) -> Stamp:
    return Stamp(
        Phase(_text(found, "phase")), _text(found, "node"), _number(found, "mono_ms"), _text(found, "wall"),
        str(found.get("evidence", "")), str(found.get("by", "")),
    )  # fmt: skip


def _text(found: Mapping[str, object], name: str) -> str:
    value = found.get(name)
    if not isinstance(value, str):
        raise ValueError(f"incident: {name} is no text")  # noqa: TRY004 - one class for every wrong shape
    return value


def _number(found: Mapping[str, object], name: str) -> int:
    value = found.get(name)
    if isinstance(value, bool) or not isinstance(value, int):
        raise ValueError(f"incident: {name} is no number")  # noqa: TRY004
    return value
