"""An archive node: Orthanc's REST API behind nginx, and its DICOM port.

No password: nginx takes hactl's client certificate for the operator.
"""

from __future__ import annotations

from collections.abc import Callable

from hactl.adapters.archive_pool import past_the_dead
from hactl.adapters.tcp import accepts
from hactl.errors import Unreachable
from hactl.layout import PORT_DICOM_TLS, PORT_HTTPS
from hactl.ports import Http, Reply, Silent, Untrusted
from hactl.view.model import Probe, State
from hactl.view.parse import orthanc as parse

# An index that does not answer in this time counts as failed (level L2).
WITHIN = 1.7


class OrthancHttp:
    def __init__(
        self, http: Http, address: str, *, port: int = PORT_HTTPS, dicom: int = PORT_DICOM_TLS
    ) -> None:
        self._http, self._address = http, address
        self._base = f"https://{address}:{port}"
        self._ports = (port, dicom)

    def listens(self) -> Probe:
        for port in self._ports:
            probe = accepts(self._address, port)
            if not probe.ok:
                return probe
        return Probe(State.OK)

    def answers(self) -> Probe:
        return self._probe("/tools/now", lambda body: body.strip().decode("ascii"))

    def index(self) -> Probe:
        return self._probe("/changes?last", parse.parse_last_change, pool=True)

    def version(self) -> str:
        reply = self._get("/system")
        if reply.status != 200:
            raise Unreachable(f"{self._base}/system answers with status {reply.status}")
        try:
            return parse.parse_system(reply.body)
        except ValueError as error:
            raise Unreachable(f"what answers at {self._base} is no Orthanc: {error}") from error

    def _get(self, path: str) -> Reply:
        return self._http.send("GET", self._base + path, within=WITHIN)

    def _probe(self, path: str, understand: Callable[[bytes], object], *, pool: bool = False) -> Probe:
        try:
            reply = past_the_dead(lambda: self._get(path)) if pool else self._get(path)
        except Untrusted as error:
            return Probe(State.UNKNOWN, error.message)
        except Unreachable as error:
            return Probe(State.FAILED, error.message)
        if reply.status in {401, 403}:
            return Probe(State.UNKNOWN, f"{self._base} refuses hactl's certificate ({reply.status})")
        if reply.status != 200:
            return Probe(State.FAILED, f"{self._base}{path} answers with status {reply.status}")
        try:
            understand(reply.body)
        except ValueError as error:
            return Probe(State.FAILED, f"what answers at {self._base} is no Orthanc: {error}")
        return Probe(State.OK)


class ArchiveVip:
    """The archive VIP's holder: the nginx that answers there says its node's name."""

    def __init__(self, http: Http, address: str, *, port: int = PORT_HTTPS) -> None:
        self.address = address
        self._http, self._base = http, f"https://{address}:{port}"

    def holder(self) -> str | None:
        try:
            reply = self._http.send("GET", f"{self._base}/hactl/node", within=WITHIN)
        except Silent:
            return None
        if reply.status != 200:
            raise Unreachable(f"{self._base}/hactl/node answers with status {reply.status}")
        try:
            return parse.parse_node(reply.body)
        except ValueError as error:
            raise Unreachable(f"what answers at {self._base} does not say its node: {error}") from error
