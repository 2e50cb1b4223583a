"""The exporter: what the controller's loops publish, to whoever asks over HTTP."""

from __future__ import annotations

import threading
from http import HTTPStatus

from prometheus_client.exposition import choose_encoder

from hactl.metrics.certificates import NodeCertificates
from hactl.metrics.collector import ClusterCollector
from hactl.metrics.instruments import Instruments
from hactl.metrics.prepared import Prepared
from hactl.metrics.samples import STALE_AFTER
from hactl.metrics.server import Answer, HttpServer, Listener
from hactl.metrics.snapshot import Board
from hactl.metrics.text import Text
from hactl.spec.model import ClusterSpec
from hactl.view.model import Unknown
from hactl.view.pace import MANY

_TEXT = "text/plain; charset=utf-8"


class Exporter:
    """Thread-safe. It owns nothing but its listeners: loops write to the board and the instruments."""

    def __init__(
        self,
        board: Board,
        instruments: Instruments,
        spec: ClusterSpec,
        certificates: NodeCertificates | None = None,
    ) -> None:
        self._board = board
        self._registry, self._text = instruments.registry, Text()
        self._collector = ClusterCollector(board, spec, certificates)
        self._prepared, self._stop = Prepared(self._many, board.now), threading.Event()
        self._maker = threading.Thread(
            target=self._prepared.run, args=(self._stop,), name="metrics", daemon=True
        )
        self._server = HttpServer(
            {"/metrics": self._metrics, "/healthz": self._healthz, "/readyz": self._readyz}
        )

    def start(self, *listeners: Listener) -> tuple[int, ...]:
        """Returns the ports. Raises StepFailed when an address or port cannot be had: no reason to stop."""
        if not self._maker.is_alive():
            self._maker.start()
        return self._server.start(listeners)

    def stop(self) -> None:
        self._stop.set()
        self._server.stop()

    def use(self, spec: ClusterSpec) -> None:
        """The spec was read again."""
        self._collector.spec = spec

    def _many(self) -> bool:
        return len(self._collector.spec.archive_addresses) > MANY

    def _metrics(self, accept: str) -> Answer:
        encode, content_type = choose_encoder(accept)
        openmetrics = content_type.startswith("application/openmetrics-text")

        def text() -> bytes:
            own = self._text.of(self._collector.rows(), openmetrics=openmetrics).encode()
            return own + encode(self._registry)

        return Answer(HTTPStatus.OK, content_type, self._prepared.of(content_type, text))

    def _healthz(self, _: str) -> Answer:
        """The process lives: each of its loops made progress lately."""
        stuck = self._board.stuck()
        if stuck:
            return _said(HTTPStatus.SERVICE_UNAVAILABLE, "; ".join(stuck))
        return _said(HTTPStatus.OK, "ok: all loops make progress")

    def _readyz(self, _: str) -> Answer:
        """It has a fresh answer of etcd, and says whether it acts or stands by."""
        snapshot = self._board.snapshot
        if snapshot is None or snapshot.control is None:
            return _said(HTTPStatus.SERVICE_UNAVAILABLE, "not ready: has not looked yet")
        control, now = snapshot.control, self._board.now()
        if isinstance(control.dcs, Unknown):
            return _said(HTTPStatus.SERVICE_UNAVAILABLE, f"not ready: etcd: {control.dcs.why}")
        if now - control.dcs_at > STALE_AFTER:
            return _said(
                HTTPStatus.SERVICE_UNAVAILABLE, f"not ready: last look {now - control.dcs_at:.1f} s ago"
            )
        return _said(HTTPStatus.OK, "ready: active" if snapshot.holding else "ready: standing by")


def _said(status: HTTPStatus, sentence: str) -> Answer:
    return Answer(status, _TEXT, f"{sentence}\n".encode())
