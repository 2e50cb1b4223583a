"""Histograms of what this process itself measures: they start anew with it, as histograms may."""

from __future__ import annotations

from typing import Final

from prometheus_client import CollectorRegistry, Histogram, ProcessCollector

from hactl.metrics.registry import METRICS

# From an answer on the LAN to the longest deadline that any probe has.
_PROBE_BUCKETS: Final = (0.002, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.0, 5.0)
_TICK_BUCKETS: Final = (0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 15.0)


class Instruments:
    """Thread-safe. `registry` is the process's own: nothing global, so tests and restarts start at zero."""

    def __init__(self) -> None:
        self.registry = CollectorRegistry(auto_describe=False)
        ProcessCollector(registry=self.registry)  # process_*: CPU, memory and file descriptors, from /proc
        self._probes = _histogram("hactl_probe_duration_seconds", _PROBE_BUCKETS, self.registry)
        self._archive = _histogram("hactl_archive_probe_seconds", _PROBE_BUCKETS, self.registry)
        self._ticks = _histogram("hactl_tick_duration_seconds", _TICK_BUCKETS, self.registry)

    def probe(self, path: str, node: str, seconds: float) -> None:
        """A probe has answered or given up after `seconds`."""
        self._probes.labels(path=path, node=node).observe(seconds)

    def archive(self, level: str, seconds: float) -> None:
        """An archive node has answered on a route of this level, or been given up after `seconds`."""
        self._archive.labels(level=level).observe(seconds)

    def tick(self, loop: str, seconds: float) -> None:
        """One turn of a loop took `seconds`."""
        self._ticks.labels(loop=loop).observe(seconds)


def _histogram(name: str, buckets: tuple[float, ...], registry: CollectorRegistry) -> Histogram:
    about = METRICS[name]
    return Histogram(name, about.help, about.labels, buckets=buckets, registry=registry)
