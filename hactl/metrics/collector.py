"""The snapshot as Prometheus metric families: what a scrape collects, from memory only."""

from __future__ import annotations

import platform
from collections.abc import Iterator

from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily
from prometheus_client.metrics_core import Metric as Family
from prometheus_client.registry import Collector

from hactl import __version__
from hactl.metrics.certificates import NodeCertificates
from hactl.metrics.registry import METRICS, Kind
from hactl.metrics.samples import Sample, samples
from hactl.metrics.snapshot import Board
from hactl.spec.model import ClusterSpec


class ClusterCollector(Collector):
    """`spec` is replaced when the controller reads it again. `certificates`: those of this node."""

    def __init__(self, board: Board, spec: ClusterSpec, certificates: NodeCertificates | None = None) -> None:
        self._board, self._certificates = board, certificates
        self.spec = spec

    def collect(self) -> Iterator[Family]:
        found = [_BUILD, *samples(self.spec, self._board.snapshot, self._board.now())]
        ends = self._certificates.ends() if self._certificates else {}
        found += [Sample("hactl_certificate_end_timestamp_seconds", (use,), end) for use, end in ends.items()]
        by_name: dict[str, list[Sample]] = {}
        for sample in found:
            by_name.setdefault(sample.name, []).append(sample)
        return (_family(name, group) for name, group in by_name.items())


_BUILD = Sample("hactl_build_info", (__version__, platform.python_version()), 1)


def _family(name: str, group: list[Sample]) -> Family:
    about = METRICS[name]
    kind = CounterMetricFamily if about.kind is Kind.COUNTER else GaugeMetricFamily
    family = kind(name, about.help, labels=about.labels)
    for sample in group:
        family.add_metric(sample.labels, sample.value)
    return family
