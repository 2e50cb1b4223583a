"""Integrity in an agent's facts, both ways, and from the files that its units write."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping

from hactl.view.integrity import IntegrityFacts
from hactl.view.parse.fields import Json, mapping, number

_NUMBERS = (
    "objects", "behind", "done", "planned", "read", "mended", "timeline", "restored", "missing", "unfinished",
)  # fmt: skip


def integrity_object(facts: IntegrityFacts) -> dict[str, object]:
    """What differs from nothing: it is written each second."""
    plain, nothing = dataclasses.asdict(facts), dataclasses.asdict(IntegrityFacts())
    return {name: value for name, value in plain.items() if value != nothing[name]}


def read_integrity(value: object) -> IntegrityFacts | None:
    """None: this node has none. Fields of another kind count as missing."""
    if not isinstance(value, dict):
        return None
    found: Json = value
    marks = found.get("marks")
    return IntegrityFacts(
        scrub=str(found.get("scrub") or ""),
        reconcile=str(found.get("reconcile") or ""),
        tampered=found.get("tampered") is True,
        marks=_counts(marks) if isinstance(marks, dict) else {},
        follows=_age(found.get("follows")),
        signs=_age(found.get("signs")),
        began=_age(found.get("began")),
        scrubbed=_age(found.get("scrubbed")),
        **{name: number(found.get(name)) or 0 for name in _NUMBERS},
    )


def from_files(
    manifest: Json | None, scrub: Json | None, reconcile: Json | None, now: float
) -> IntegrityFacts:
    """From what the three last wrote, at `now` in the Unix time of the same node."""
    m, s, r = mapping(manifest or {}, ""), mapping(scrub or {}, ""), mapping(reconcile or {}, "")
    marks = s.get("marks")
    return IntegrityFacts(
        objects=number(m.get("objects")) or 0, behind=number(m.get("behind")) or 0,
        follows=_since(m.get("ok_at"), now), began=_since(m.get("began"), now),
        scrub=str(s.get("state") or ""), scrubbed=_since(s.get("last_whole"), now),
        done=number(s.get("done")) or 0, planned=number(s.get("objects")) or 0,
        read=number(s.get("done_bytes")) or 0, mended=number(s.get("mended")) or 0,
        tampered=bool(s.get("manifest")),
        marks=_counts(marks) if isinstance(marks, dict) else {},
        reconcile=str(r.get("state") or ""), timeline=number(r.get("timeline")) or 0,
        restored=number(r.get("restored")) or 0, missing=number(r.get("missing")) or 0,
        unfinished=number(r.get("failed")) or 0,
    )  # fmt: skip


def signing_age(found: Json | None, now: float) -> float | None:
    """How long ago the signer last did all that there was to do; None: nothing is signed here."""
    return _since((found or {}).get("ok_at"), now)


def _since(value: object, now: float) -> float | None:
    at = _age(value)
    return None if not at else round(max(0.0, now - at), 1)


def _age(value: object) -> float | None:
    return float(value) if isinstance(value, int | float) and not isinstance(value, bool) else None


def _counts(found: Mapping[object, object]) -> dict[str, int]:
    return {str(k): n for k, v in found.items() if (n := number(v))}
