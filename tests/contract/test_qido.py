"""QIDO-RS as a level: each answer of a DICOMweb server, with TLS and without, and what is made of it."""

from __future__ import annotations

import contextlib
import http.server
import ssl
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, ClassVar

import pytest

from hactl.adapters.dicom_find import NOBODYS_STUDY
from hactl.adapters.kinds.dicom import WITHIN
from hactl.ports import Question
from hactl.view.model import State
from tests.support.foreign import NOWHERE, kind, on_loopback
from tests.support.loopback_orthanc import orthanc
from tests.support.ports import free_port
from tests.support.tls import TestCa


class Handler(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    said: tuple[int, bytes] = (200, b"[]")
    asked: ClassVar[list[tuple[str, str | None]]]
    links: ClassVar[list[object]]
    wait = 0.0
    closes = False

    def setup(self) -> None:
        super().setup()
        self.links.append(self.client_address)

    def do_GET(self) -> None:
        self.asked.append((self.path, self.headers["Accept"]))
        time.sleep(self.wait)
        status, body = self.said
        with contextlib.suppress(OSError):
            self.send_response(status)
            self.send_header("Content-Length", str(len(body)))
            if self.closes:
                self.send_header("Connection", "close")
            self.end_headers()
            self.wfile.write(body)

    def log_message(self, *_: Any) -> None: ...


@contextlib.contextmanager
def web(
    tls: ssl.SSLContext | None = None, wait: float = 0.0, **said: Any
) -> Iterator[tuple[int, type[Handler]]]:
    handler = type("H", (Handler,), {"asked": [], "links": [], "wait": wait, **said})
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler)
    server.daemon_threads = True
    if tls is not None:
        server.socket = tls.wrap_socket(server.socket, server_side=True)
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05}, daemon=True)
    thread.start()
    try:
        yield server.server_address[1], handler
    finally:
        server.shutdown()
        server.server_close()
        thread.join(5)


@pytest.fixture
def qido() -> Iterator[Callable[..., Question]]:
    """The question, for a server whose DICOM port is closed."""
    with contextlib.ExitStack() as stack:

        def made(base: str, **server: Any) -> Question:
            files = server.pop("files", NOWHERE)
            found = kind(on_loopback(free_port(), dicomweb=base, **server), "HACTL", files).again("pacs1")
            stack.callback(found.close)
            return next(q for line in found.lines for q in line if q.route.name == "qido")

        yield made


Qido = Callable[..., Question]
ANSWERS = [
    pytest.param((200, b"[]"), State.OK, "", id="nothing found"),
    pytest.param((204, b""), State.OK, "", id="no content"),
    pytest.param((200, b'[{"0020000D":{"vr":"UI"}}]'), State.OK, "", id="a match"),
    pytest.param((401, b""), State.UNKNOWN, "does not let hactl search (401)", id="who are you"),
    pytest.param((403, b""), State.UNKNOWN, "does not let hactl search (403)", id="no right"),
    pytest.param((404, b""), State.UNKNOWN, "has no QIDO-RS at /dicom-web (404)", id="not there"),
    pytest.param((500, b"[]"), State.FAILED, "status 500", id="an error"),
    pytest.param((503, b""), State.FAILED, "status 503", id="a proxy without its server"),
    pytest.param((200, b"<html>"), State.FAILED, "no answer of a QIDO-RS", id="a web page"),
    pytest.param((200, b"{}"), State.FAILED, "no answer of a QIDO-RS", id="not a list"),
]


@pytest.mark.parametrize(("said", "state", "why"), ANSWERS)
def test_each_answer(qido: Qido, said: tuple[int, bytes], state: State, why: str) -> None:
    with web(said=said) as (port, handler):
        probe = qido(f"http://127.0.0.1:{port}/dicom-web").ask(WITHIN).probe
    assert (probe.state, why in probe.why) == (state, True)
    wanted = f"/dicom-web/studies?StudyInstanceUID={NOBODYS_STUDY}&limit=1"
    assert handler.asked == [(wanted, "application/dicom+json")]


@pytest.mark.parametrize(("closes", "links"), [(False, 1), (True, 3)])
def test_a_connection_is_used_again_if_the_server_keeps_it(qido: Qido, *, closes: bool, links: int) -> None:
    with web(closes=closes) as (port, handler):
        question = qido(f"http://127.0.0.1:{port}")
        assert [question.ask(WITHIN).probe.state for _ in range(3)] == [State.OK] * 3
    assert len(handler.links) == links
    assert len(handler.asked) == 3


def test_one_that_is_slow_fails_in_its_time(qido: Qido) -> None:
    with web(wait=3.0) as (port, _):
        began = time.monotonic()
        probe = qido(f"http://127.0.0.1:{port}").ask(0.5).probe
        assert time.monotonic() - began < 1.5
    assert (probe.state, probe.why.endswith("no answer in time")) == (State.FAILED, True)


def test_with_tls_its_own_ca_decides(qido: Qido, tmp_path: Path) -> None:
    (tmp_path / "ours").mkdir()
    (tmp_path / "theirs").mkdir()
    ours, theirs = TestCa(tmp_path / "ours"), TestCa(tmp_path / "theirs")
    own, server = ours.issue("hactl", ["127.0.0.1"]), theirs.issue("pacs", ["127.0.0.1"])
    tls = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    tls.load_cert_chain(server.cert, server.key)
    files = (ours.crt, own.cert, own.key)
    with web(tls=tls) as (port, _):
        base = f"https://127.0.0.1:{port}/dicom-web"
        assert qido(base, files=files, ca=str(theirs.crt)).ask(WITHIN).probe.ok
        stranger = qido(base, files=files).ask(WITHIN).probe
        assert (stranger.state, "not trusted" in stranger.why) == (State.UNKNOWN, True)
        without = qido(base).ask(WITHIN).probe
        assert (without.state, "cannot use the client certificate" in without.why) == (State.UNKNOWN, True)


def test_a_real_one_that_wants_a_password_is_unknown(qido: Qido, tmp_path: Path) -> None:
    with orthanc(tmp_path) as running:
        probe = qido(f"http://127.0.0.1:{running.http}/dicom-web").ask(WITHIN).probe
    assert (probe.state, "(401)" in probe.why) == (State.UNKNOWN, True)
