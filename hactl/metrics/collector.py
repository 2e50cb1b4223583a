"""All that a scrape collects but the histograms, from memory only."""

from __future__ import annotations

import platform
from collections.abc import Iterator
from typing import Final

from hactl import __version__
from hactl.metrics.certificates import NodeCertificates
from hactl.metrics.samples import rows
from hactl.metrics.seen import Row
from hactl.metrics.snapshot import Board
from hactl.spec.model import ClusterSpec

_BUILD: Final[Row] = ("hactl_build_info", (__version__, platform.python_version()), 1)


class ClusterCollector:
    """`spec` is replaced when the controller reads it again. `certificates`: those of this node."""

    def __init__(self, board: Board, spec: ClusterSpec, certificates: NodeCertificates | None = None) -> None:
        self._board, self._certificates = board, certificates
        self.spec = spec

    def rows(self) -> Iterator[Row]:
        yield _BUILD
        yield from rows(self.spec, self._board.snapshot, self._board.now())
        ends = self._certificates.ends() if self._certificates else {}
        for use, end in ends.items():
            yield "hactl_certificate_end_timestamp_seconds", (use,), end
