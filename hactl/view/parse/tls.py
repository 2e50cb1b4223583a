"""The key `tls-check` in etcd: text <-> TlsCheck."""

from __future__ import annotations

import dataclasses
import json

from hactl.view.parse.fields import Json, document, mapping, number, text, texts
from hactl.view.tls import TlsCheck

MOST = 8  # sentences of each kind: the key is read several times a second


def tls_check_text(found: TlsCheck) -> str:
    short = dataclasses.replace(found, weak=found.weak[:MOST], unproven=found.unproven[:MOST])
    return json.dumps(dataclasses.asdict(short), sort_keys=True, separators=(",", ":"))


def parse_tls_check(value: str) -> TlsCheck:
    """Raises ValueError: it is something else."""
    found = mapping(document(value.encode(), "tls-check"), "tls-check")
    return TlsCheck(
        at=_time(found, "at"),
        node=text(found.get("node"), "node"),
        endpoints=number(found.get("endpoints")) or 0,
        weak=texts(found.get("weak"), "weak"),
        weak_count=number(found.get("weak_count")) or 0,
        unproven=texts(found.get("unproven"), "unproven"),
        unproven_count=number(found.get("unproven_count")) or 0,
        oldest=_time(found, "oldest"),
        seq=number(found.get("seq")) or 0,
        hash=str(found.get("hash", "")),
    )


def _time(found: Json, name: str) -> float:
    value = found.get(name)
    if isinstance(value, bool) or not isinstance(value, int | float) or not 0 <= value < 1e12:
        raise ValueError(f"tls-check: {name} is no time")
    return float(value)
