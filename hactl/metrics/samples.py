"""From a snapshot to samples. Pure. What is unknown or stale has no sample: a zero would be a statement."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final, NamedTuple

from hactl.decide.codes import Severity
from hactl.metrics import samples_cluster, samples_control
from hactl.metrics.seen import Row, Seen
from hactl.metrics.snapshot import Snapshot, Totals
from hactl.spec.model import ClusterSpec
from hactl.view.incident import Incident, Phase, elapsed


class Sample(NamedTuple):
    """`labels` are the values, in the order of the registry."""

    name: str
    labels: tuple[str, ...]
    value: float


# A controller that was frozen still holds what it saw before: as old as this, it says nothing of the cluster.
STALE_AFTER: Final = 15.0


def samples(spec: ClusterSpec, snapshot: Snapshot | None, now: float) -> Iterator[Sample]:
    """All samples but the histograms. `now` in monotonic seconds, as the snapshot's times."""
    return (Sample(*row) for row in rows(spec, snapshot, now))


def rows(spec: ClusterSpec, snapshot: Snapshot | None, now: float) -> Iterator[Row]:
    """The same as plain tuples: with a thousand archive nodes there are tens of thousands."""
    if snapshot is None:
        yield "hactl_controller_active", (), 0
        return
    seen = Seen.of(snapshot, now, STALE_AFTER)
    yield from _process(snapshot, seen)
    if seen.active:
        yield from _verdict(snapshot, seen)
        yield from _failover(snapshot)
        yield from samples_control.samples(spec, seen)
        yield from samples_cluster.samples(spec, seen)
        yield from _breakers(snapshot)


def _process(snapshot: Snapshot, seen: Seen) -> Iterator[Row]:
    yield "hactl_controller_active", (), float(seen.active)
    if seen.look_age is not None:
        yield "hactl_controller_look_age_seconds", (), seen.look_age
    if snapshot.journal_head is not None:
        yield "hactl_journal_head", (), snapshot.journal_head
    if snapshot.totals is not None:
        yield from _totals(snapshot.totals)


def _breakers(snapshot: Snapshot) -> Iterator[Row]:
    for node, count in snapshot.archive_breakers.items():
        yield "hactl_archive_probe_breaker_open", (node,), count


def _totals(totals: Totals) -> Iterator[Row]:
    for reason, count in totals.failovers.items():
        yield "hactl_failovers_total", (reason,), count
    for node, count in totals.fences.items():
        yield "hactl_fences_total", (node,), count
    for (rung, result), count in totals.recovery.items():
        yield "hactl_recovery_actions_total", (rung, result), count


def _verdict(snapshot: Snapshot, seen: Seen) -> Iterator[Row]:
    if snapshot.findings is None or seen.view is None:
        return
    # By code and subject: two findings that differ in their detail are one series.
    found = {(f.code.name, f.severity.value, f.subject) for f in snapshot.findings}
    for labels in sorted(found):
        yield "hactl_health", labels, 1
    for labels in sorted({(f.code.name, f.severity.value, f.subject) for f in snapshot.muted}):
        yield "hactl_health_muted", labels, 1
    for severity in (Severity.ERROR, Severity.WARNING, Severity.INFO):
        yield "hactl_health_findings", (severity.value,), sum(f[1] == severity.value for f in found)


def _failover(snapshot: Snapshot) -> Iterator[Row]:
    yield "hactl_incident_open", (), float(snapshot.incident is not None)
    if snapshot.last_failover is not None:
        yield from _phases(snapshot.last_failover)


def _phases(incident: Incident) -> Iterator[Row]:
    for phase in Phase:
        took = elapsed(incident, phase)
        if took is not None:
            yield "hactl_failover_last_phase_seconds", (phase.value,), took
