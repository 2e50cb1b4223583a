"""The ways to ask an Orthanc node, again and again, over connections that stay open.

A line's routes go from the one that says most to the one that says least: an answer on one speaks for all
that follow it. `/changes?last` reads the database, `/tools/now` needs a thread, `/hactl/node` is nginx's.
"""

from __future__ import annotations

import ssl
import time
from collections.abc import Callable
from typing import Final

from hactl import layout
from hactl.adapters.archive_pool import past_the_dead
from hactl.adapters.dicom_echo import DicomEcho, NotAllowed
from hactl.adapters.http import HttpsClient
from hactl.adapters.http_keep import KeepAlive
from hactl.adapters.tcp import connect
from hactl.errors import Unreachable
from hactl.ports import ArchiveLines, PortClosed, Question, Reply, Silent, Untrusted
from hactl.view.archive_levels import Answer, Route
from hactl.view.model import Probe, State
from hactl.view.parse.orthanc import parse_last_change, parse_node

MAIN: Final = "orthanc.service"
FRONT: Final = "nginx.service"
INDEX_WITHIN: Final = 2.0  # an index that takes longer counts as failed
WITHIN: Final = 1.0
ECHO_WITHIN: Final = 2.0

INDEX: Final = Route("index", "L2", MAIN)
NOW: Final = Route("now", "L1", MAIN)
NGINX: Final = Route("front", "L0", FRONT, database=False)
ECHO: Final = Route("echo", "L1", MAIN)
PORT: Final = Route("dicom", "L0", MAIN)


class OwnFiles(HttpsClient):
    """Our own certificate that cannot be read says nothing of the archive."""

    def context(self) -> ssl.SSLContext:
        try:
            return super().context()
        except Unreachable as error:
            raise Untrusted(error.message, hint=error.hint) from error


def orthanc_lines(
    http: KeepAlive, echo: DicomEcho | None, address: str, dicom: int = layout.PORT_DICOM_TLS
) -> ArchiveLines:
    """One line by HTTP, one by DICOM. `echo` None: this controller has no AE title of its own."""
    by_http = (
        Question(INDEX, INDEX_WITHIN, _get(http, "/changes?last", parse_last_change, pool=True)),
        Question(NOW, WITHIN, _get(http, "/tools/now", lambda body: body.strip().decode("ascii"))),
        Question(NGINX, WITHIN, _get(http, "/hactl/node", parse_node)),
    )
    port = port_question(PORT, address, dicom)
    if echo is None:
        return ArchiveLines((by_http, (port,)), http.close)
    call = Question(ECHO, ECHO_WITHIN, lambda within: asked(lambda: echo.ask(within)))
    return ArchiveLines((by_http, (call, port)), lambda: _close(http, echo))


def port_question(route: Route, address: str, port: int) -> Question:
    """Whether it accepts connections."""
    return Question(route, WITHIN, lambda within: asked(lambda: _accepts(address, port, within)))


def _close(http: KeepAlive, echo: DicomEcho) -> None:
    http.close()
    echo.close()


def _accepts(address: str, port: int, within: float) -> None:
    connect(address, port, within=within).close()


def _get(
    http: KeepAlive, path: str, understand: Callable[[bytes], object], *, pool: bool = False
) -> Callable[[float], Answer]:
    """`pool`: Orthanc takes one of its database connections for it."""

    def ask(within: float) -> Answer:
        by = time.monotonic() + within

        def once() -> Reply:
            return http.get(path, by=by)

        return asked(lambda: _wrong(http.what, path, understand, past_the_dead(once) if pool else once()))

    return ask


def _wrong(what: str, path: str, understand: Callable[[bytes], object], reply: Reply) -> Probe | None:
    """What is wrong with the answer; None: nothing."""
    if reply.status in {401, 403}:
        return Probe(State.UNKNOWN, f"{what} refuses hactl's certificate ({reply.status})")
    if reply.status != 200:
        return Probe(State.FAILED, f"{what}{path} answers with status {reply.status}")
    try:
        understand(reply.body)
    except ValueError as error:
        return Probe(State.FAILED, f"what answers at {what} is no Orthanc: {error}")
    return None


def asked(question: Callable[[], Probe | None]) -> Answer:
    """What somebody else's certificate or a setting keeps from us is unknown, not failed."""
    try:
        problem = question()
    except (Untrusted, NotAllowed) as error:
        return Answer(Probe(State.UNKNOWN, error.message))
    except Silent as error:
        return Answer(Probe(State.FAILED, error.message), reached=False)
    except (PortClosed, Unreachable) as error:
        return Answer(Probe(State.FAILED, error.message))
    return Answer(problem or Probe(State.OK))
