"""Samples of what archive nodes say of their images. Pure."""

from __future__ import annotations

from collections.abc import Iterator

from hactl.metrics.seen import Row
from hactl.spec.model import ClusterSpec
from hactl.view.control import Dcs
from hactl.view.integrity import IntegrityFacts

KINDS = ("content", "size", "missing", "unreadable", "index", "tampered", "orphan", "foreign")


def samples(spec: ClusterSpec, dcs: Dcs) -> Iterator[Row]:
    yield "hactl_reconcile_timeline", (), float(dcs.reconciled)
    for node in spec.archives:
        facts = dcs.facts.get(node)
        if facts is not None and facts.integrity is not None:
            yield from _node(node, facts.integrity)


def _node(node: str, facts: IntegrityFacts) -> Iterator[Row]:
    yield "hactl_manifest_objects", (node,), float(facts.objects)
    yield "hactl_manifest_behind", (node,), float(facts.behind)
    if facts.follows is not None:
        yield "hactl_manifest_look_age_seconds", (node,), facts.follows
    if facts.scrubbed is not None:
        yield "hactl_scrub_age_seconds", (node,), facts.scrubbed
    yield "hactl_scrub_running", (node,), float(facts.scrub in {"planning", "running", "mending"})
    yield "hactl_scrub_objects_done", (node,), float(facts.done)
    yield "hactl_scrub_objects_planned", (node,), float(facts.planned)
    yield "hactl_scrub_read_bytes", (node,), float(facts.read)
    for kind in KINDS:
        yield "hactl_scrub_marks", (node, kind), float(facts.marks.get(kind, 0))
    if facts.reconcile:
        yield "hactl_reconcile_restored", (node,), float(facts.restored)
        yield "hactl_reconcile_missing", (node,), float(facts.missing)
        yield "hactl_reconcile_unfinished", (node,), float(facts.unfinished)
