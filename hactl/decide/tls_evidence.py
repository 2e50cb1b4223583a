"""What a check is kept as: one record for each endpoint, one for the whole; and what etcd is told. Pure."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

from hactl.decide.tls import Row, Verdict, by_endpoint, of_endpoint, sentence
from hactl.view.journal import Kind, Record
from hactl.view.tls import TlsCheck

ACTION: Final = "tls-check"
ENDPOINT: Final = "tls-endpoint"
MOST: Final = 400  # endpoints named in one record; a record has its limit


@dataclass(frozen=True)
class Run:
    """Where and with what a check was made. `can`: which old versions this machine really offered."""

    at: float
    wall: str
    node: str
    took: float
    version: str
    openssl: str
    can: Mapping[str, bool]


@dataclass(frozen=True)
class Before:
    """Of the evidence so far: since when endpoints were not proven, as its last whole record says."""

    unproven: Mapping[str, float]


def before(records: Sequence[Record]) -> Before:
    """`records` end with the newest. What cannot be understood counts as nothing."""
    last = next((r for r in reversed(records) if r.action == ACTION), None)
    found = last.data.get("unproven") if last else None
    if not isinstance(found, Mapping):
        return Before({})
    times = {str(name): at for name, at in found.items() if isinstance(at, int | float)}
    return Before({name: float(at) for name, at in times.items()})


def since(rows: Sequence[Row], at: float, last: Before) -> dict[str, float]:
    """Endpoints that this check did not prove, and since when nobody has."""
    return {
        name: last.unproven.get(name, at)
        for name, found in by_endpoint(rows).items()
        if of_endpoint(found) is Verdict.UNPROVEN
    }


def summary(rows: Sequence[Row], run: Run, last: Before) -> TlsCheck:
    found = by_endpoint(rows)
    late = since(rows, run.at, last)
    said = {name: f"{name}: {sentence(its)}" for name, its in found.items()}
    weak = [said[name] for name, its in found.items() if of_endpoint(its) is Verdict.WEAK]
    unproven = [said[name] for name in sorted(late, key=lambda n: late[n])]
    return TlsCheck(
        at=run.at, node=run.node, endpoints=len(found), weak=tuple(weak), weak_count=len(weak),
        unproven=tuple(unproven), unproven_count=len(unproven), oldest=min(late.values(), default=run.at),
    )  # fmt: skip


def entries(rows: Sequence[Row], run: Run, last: Before) -> Iterator[tuple[str, dict[str, Any]]]:
    """Action and data of each record, the one of the whole last."""
    for name, found in by_endpoint(rows).items():
        first = found[0].endpoint
        yield ENDPOINT, {
            "endpoint": name, "host": first.host, "port": first.port,
            "verdict": str(of_endpoint(found)), "offers": [offer(row) for row in found],
        }  # fmt: skip
    came_to = summary(rows, run, last)
    late = since(rows, run.at, last)
    oldest = sorted(late, key=lambda n: late[n])[:MOST]
    yield ACTION, {
        "version": run.version, "openssl": run.openssl, "offered": dict(run.can),
        "took_seconds": round(run.took, 1), "endpoints": came_to.endpoints, "weak": list(came_to.weak[:MOST]),
        "unproven": {name: late[name] for name in oldest}, "at": run.at,
    }  # fmt: skip


def offer(row: Row) -> dict[str, str]:
    """Without what is empty."""
    seen = row.seen
    found = {
        "offer": str(seen.offer), "expected": str(row.expected), "outcome": str(seen.outcome),
        "verdict": str(row.verdict), "detail": seen.detail, "tls": seen.tls, "cipher": seen.cipher,
        "certificate": seen.certificate,
    }  # fmt: skip
    return {name: value for name, value in found.items() if value}


def record(seq: int, action: str, data: Mapping[str, Any], run: Run, prev: str) -> Record:
    """Not sealed yet. The evidence is a journal of its own: `hactl journal verify --file` checks it."""
    return Record(
        seq=seq, wall=run.wall, mono_ms=0, boot="", node=run.node, actor="tls-check", kind=Kind.EVENT,
        action=action, data=data, prev=prev,
    )  # fmt: skip
