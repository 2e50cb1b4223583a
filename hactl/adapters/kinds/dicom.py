"""Kind `dicom`: any DICOM server with, perhaps, DICOMweb, that is reached over the network and no other way.

Nothing of hactl's runs there, so nothing can be done with it, and its storage cannot be seen.
"""

from __future__ import annotations

import json
import time
from collections.abc import Callable
from pathlib import Path
from typing import Final

from hactl.adapters.archive_routes import asked, port_question
from hactl.adapters.dicom_echo import DicomEcho, Titles
from hactl.adapters.dicom_find import NOBODYS_STUDY, DicomFind
from hactl.adapters.http_keep import KeepAlive
from hactl.adapters.kinds.means import Means
from hactl.errors import Unreachable
from hactl.ports import ArchiveLines, Question, Reach
from hactl.spec.model import ClusterSpec, DicomServer
from hactl.view.archive_kind import Abilities, Program
from hactl.view.archive_levels import Route, worst
from hactl.view.model import Probe, State

FIND: Final = Route("find", "L2")
ECHO: Final = Route("echo", "L1")
PORT: Final = Route("dicom", "L0")
QIDO: Final = Route("qido", "L2")
WEB: Final = Route("web", "L0")
WITHIN: Final = 2.0
ONCE_WITHIN: Final = 1.7  # a look at everything ends after 2 s
QUERY: Final = f"/studies?StudyInstanceUID={NOBODYS_STUDY}&limit=1"

CAN: Final = Abilities(
    does=frozenset(),
    why_not="an archive of kind dicom is reached over the network only, and hactl runs nothing on it",
    unseen={
        "L3": "storage cannot be seen over the network",
        "L4": "never by itself: hactl archive probe stores an image there, which stays",
    },
)


class DicomKind:
    abilities: Abilities = CAN
    program: Program | None = None

    def __init__(self, spec: ClusterSpec, means: Means) -> None:
        self._spec, self._means = spec, means

    def once(self, name: str) -> Once:
        return Once(lambda: self.again(name))

    def again(self, name: str) -> ArchiveLines:
        """One line by DICOM, one by DICOMweb if there is one."""
        server, reach = self._spec.archive.servers[name], self.reach(name)
        port = port_question(PORT, reach.host, reach.port)
        if not self._means.calling:
            return _lines([(port,)], server, self._web(server))
        titles = Titles(self._means.calling, reach.aet)
        tls = self._means.dicom_tls(_ca(server)) if reach.tls else None
        find, echo = (made(tls, reach.host, reach.port, titles) for made in (DicomFind, DicomEcho))
        dicom = (_call(FIND, find), _call(ECHO, echo), port)
        return _lines([dicom], server, self._web(server), find, echo)

    def _web(self, server: DicomServer) -> KeepAlive | None:
        if server.dicomweb is None:
            return None
        tls = server.dicomweb.startswith("https://")
        return KeepAlive(server.dicomweb, self._means.https(_ca(server)) if tls else None)

    def reach(self, name: str) -> Reach:
        server = self._spec.archive.servers[name]
        aet = server.aet or self._spec.archive.aet
        return Reach(str(server.address), server.port, aet, server.tls, server.dicomweb or "", _ca(server))

    def storage(self) -> None:
        return None


def _ca(server: DicomServer) -> Path | None:
    return None if server.ca is None else Path(server.ca)


def _call(route: Route, link: DicomEcho) -> Question:
    return Question(route, WITHIN, lambda within: asked(lambda: link.ask(within)))


def _lines(
    lines: list[tuple[Question, ...]], server: DicomServer, web: KeepAlive | None, *links: DicomEcho
) -> ArchiveLines:
    close = [link.close for link in links]
    if web is not None:
        path = "/" + (server.dicomweb or "").partition("://")[2].partition("/")[2]
        base = path.rstrip("/")
        qido = Question(QIDO, WITHIN, lambda within: asked(lambda: _no_study(web, base, within)))
        lines.append((qido, port_question(WEB, web.host, web.port)))
        close.append(web.close)
    return ArchiveLines(tuple(lines), lambda: _all(close))


def _all(acts: list[Callable[[], None]]) -> None:
    for act in acts:
        act()


def _no_study(web: KeepAlive, base: str, within: float) -> Probe | None:
    """What is wrong with QIDO-RS's answer; None: nothing. A 404 or a refusal is a setting, not its health."""
    reply = web.get(base + QUERY, by=time.monotonic() + within, accept="application/dicom+json")
    if reply.status in {401, 403}:
        return Probe(State.UNKNOWN, f"{web.what} does not let hactl search ({reply.status})")
    if reply.status == 404:
        return Probe(State.UNKNOWN, f"{web.what} has no QIDO-RS at {base or '/'} (404)")
    if reply.status == 204:
        return None
    if reply.status != 200:
        return Probe(State.FAILED, f"{web.what}: QIDO-RS answers with status {reply.status}")
    try:
        found = json.loads(reply.body)
    except ValueError:
        found = None
    return None if isinstance(found, list) else Probe(State.FAILED, f"{web.what}: no answer of a QIDO-RS")


class Once:
    """Each level by connections of its own: they are asked at the same time, in a thread each."""

    def __init__(self, lines: Callable[[], ArchiveLines]) -> None:
        self._lines = lines

    def listens(self) -> Probe:
        return self._level("L0")

    def answers(self) -> Probe:
        return self._level("L1")

    def index(self) -> Probe:
        return self._level("L2")

    def version(self) -> str:
        raise Unreachable("over DICOM nobody says which software answers")

    def _level(self, level: str) -> Probe:
        made = self._lines()
        by = time.monotonic() + ONCE_WITHIN
        try:
            questions = [q for line in made.lines for q in line if q.route.level == level]
            return worst([q.ask(max(0.001, by - time.monotonic())).probe for q in questions])
        finally:
            made.close()
