"""An agent's facts as JSON in etcd, both ways. What cannot be known is {"unknown": why}."""

from __future__ import annotations

import json
from collections.abc import Mapping

from hactl.units import Bytes, Lsn
from hactl.view.control import AgentFacts, Mode, NewLocal, PeerLook, PostgresLocal
from hactl.view.model import Disk, Probe, State, Unknown
from hactl.view.parse.archive import facts_object, read_facts
from hactl.view.parse.fields import Json, document, items, mapping, number, text, texts
from hactl.view.parse.integrity import integrity_object, read_integrity


def facts_text(facts: AgentFacts) -> str:
    """Compact: it is written each second and goes to every etcd member."""
    return json.dumps(
        {
            "node": facts.node, "boot": facts.boot, "seq": facts.seq, "boottime": round(facts.boottime, 3),
            "mode": None if facts.mode is None else str(facts.mode), "thawed": facts.thawed,
            "lease_left": None if facts.lease_left is None else round(facts.lease_left, 3),
            "postgres": _postgres(facts.postgres), "vips": list(facts.vips), "units": dict(facts.units),
            "forks": _forks(facts.forks), **{name: _probe(getattr(facts, name)) for name in _PROBES},
            "peers": {n: {"misses": p.misses, "why": p.why} for n, p in facts.peers.items()},
            "disks": [{"path": d.path, "free": d.free.value, "total": d.total.value} for d in facts.disks],
            "ledger": dict(facts.ledger), "joining": facts.joining,
            **({"certificates": dict(facts.certificates)} if facts.certificates else {}),
            **({"spare": facts.spare} if facts.spare else {}),
            **({"every": facts.every} if facts.every != 1.0 else {}),
            **({} if facts.archive is None else {"archive": facts_object(facts.archive)}),
            **({} if facts.integrity is None else {"integrity": integrity_object(facts.integrity)}),
        },
        separators=(",", ":"),
    )  # fmt: skip


MOST_SELDOM = 60.0  # seconds between two reports
_PROBES = ("patroni", "keepalived", "canary", "storage")


def _probe(probe: Probe) -> list[str]:
    return [str(probe.state), probe.why]


def _postgres(found: PostgresLocal | Unknown) -> dict[str, object]:
    if isinstance(found, Unknown):
        return {"unknown": found.why}
    writable = {"unknown": found.writable.why} if isinstance(found.writable, Unknown) else found.writable
    return {
        "writable": writable, "from": found.streaming_from, "timeline": found.timeline,
        "lsn": None if found.lsn is None else found.lsn.value, "lost_slots": list(found.lost_slots),
        "oldest": None if found.oldest is None else found.oldest.value, "damaged": list(found.damaged),
    }  # fmt: skip


def _forks(found: NewLocal | Unknown) -> dict[str, object]:
    if isinstance(found, Unknown):
        return {"unknown": found.why}
    return {"misses": found.misses, "age": None if found.age is None else round(found.age, 3)}


def parse_agent_facts(value: str) -> AgentFacts:
    """Fields that are missing keep what they are without a look.

    Raises:
        ValueError: not an agent's facts.

    """
    found = mapping(document(value.encode(), "facts"), "facts")
    mode = found.get("mode")
    return AgentFacts(
        node=text(found.get("node"), "facts: node"),
        boot=text(found.get("boot"), "facts: boot"),
        seq=number(found.get("seq")) or 0,
        mode=Mode(mode) if mode in tuple(Mode) else None,
        lease_left=_float(found.get("lease_left")),
        postgres=_read_postgres(mapping(found.get("postgres") or {}, "facts: postgres")),
        forks=_read_forks(mapping(found.get("forks") or {}, "facts: forks")),
        vips=texts(found.get("vips"), "facts: vips"),
        peers=_peers(mapping(found.get("peers") or {}, "facts: peers")),
        disks=tuple(_disks(found)),
        units={n: str(s) for n, s in mapping(found.get("units") or {}, "facts: units").items()},
        boottime=_float(found.get("boottime")) or 0.0,
        thawed=number(found.get("thawed")) or 0,
        ledger=mapping(found.get("ledger") or {}, "facts: ledger"),
        joining=str(found.get("joining") or ""),
        spare=str(found.get("spare") or ""),
        every=_every(found.get("every")),
        certificates=_ends(mapping(found.get("certificates") or {}, "facts: certificates")),
        archive=read_facts(found.get("archive")),
        integrity=read_integrity(found.get("integrity")),
        **{name: _read_probe(found.get(name)) for name in _PROBES},
    )


def _ends(found: Json) -> dict[str, int]:
    ends = {use: number(end) for use, end in found.items()}
    return {use: end for use, end in ends.items() if end is not None}


def _float(value: object) -> float | None:
    return float(value) if isinstance(value, int | float) and not isinstance(value, bool) else None


def _every(value: object) -> float:
    """As far as one can be believed: who claims to report once a day would never be missed."""
    told = _float(value)
    return told if told is not None and 1.0 <= told <= MOST_SELDOM else 1.0


def _read_probe(value: object) -> Probe:
    if isinstance(value, list) and len(value) == 2 and value[0] in tuple(State):
        return Probe(State(value[0]), str(value[1]))
    return Probe(State.UNKNOWN, "not told")


def _read_postgres(found: Json) -> PostgresLocal | Unknown:
    if "writable" not in found:
        return Unknown(str(found.get("unknown", "not told")))
    told = found["writable"]
    lsn, oldest = number(found.get("lsn")), number(found.get("oldest"))
    return PostgresLocal(
        writable=told if isinstance(told, bool) else Unknown(_why(told)),
        streaming_from=str(found.get("from") or ""),
        timeline=number(found.get("timeline")),
        lsn=None if lsn is None else Lsn(lsn),
        lost_slots=texts(found.get("lost_slots"), "facts: lost slots"),
        oldest=None if oldest is None else Lsn(oldest),
        damaged=texts(found.get("damaged"), "facts: databases with damaged pages"),
    )


def _read_forks(found: Json) -> NewLocal | Unknown:
    misses = number(found.get("misses"))
    if misses is None:
        return Unknown(str(found.get("unknown", "not told")))
    return NewLocal(misses, _float(found.get("age")))


def _why(told: object) -> str:
    return str(told.get("unknown", "not told")) if isinstance(told, Mapping) else "not told"


def _peers(found: Json) -> dict[str, PeerLook]:
    looks = {name: mapping(row, "facts: peer") for name, row in found.items()}
    return {
        name: PeerLook(number(row.get("misses")) or 0, str(row.get("why", ""))) for name, row in looks.items()
    }


def _disks(found: Json) -> list[Disk]:
    disks = []
    for row in items(found.get("disks"), "facts: disks"):
        free, total = number(row.get("free")), number(row.get("total"))
        if free is not None and total:
            disks.append(Disk(str(row.get("path", "")), Bytes(free), Bytes(total)))
    return disks
