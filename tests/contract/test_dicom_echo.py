"""Our few bytes of C-ECHO against Orthanc over TLS, and against DCMTK's storescp in plain."""

from __future__ import annotations

import os
import signal
import socket
import struct
import subprocess
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from hactl.adapters import dicom_echo
from hactl.adapters.dicom_echo import DicomEcho, NotAllowed, Titles
from hactl.adapters.http import HttpsClient
from hactl.errors import Unreachable
from hactl.ports import PortClosed, Untrusted
from tests.support.loopback_orthanc import Orthanc, orthanc
from tests.support.loopback_postgres import free_port
from tests.support.servers import program, wait_until
from tests.support.tls import TestCa

US = Titles("HACTL", "PACS")


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Orthanc]:
    with orthanc(tmp_path_factory.mktemp("orthanc")) as running:
        yield running


def echo(server: Orthanc, titles: Titles = US) -> DicomEcho:
    files = HttpsClient(server.ca.crt, server.cert, server.key)
    return DicomEcho(files.context, "127.0.0.1", server.dicom, titles)


def test_orthanc_answers_over_one_association_after_the_other(
    server: Orthanc, monkeypatch: pytest.MonkeyPatch
) -> None:
    found = echo(server)
    for _ in range(3):
        found.ask(3)
    link = found._link
    monkeypatch.setattr(dicom_echo, "RENEW", 0.0)
    found.ask(3)
    assert found._link is not link
    found.close()
    found.ask(3)
    found.close()


@pytest.mark.parametrize(
    ("titles", "why"), [(Titles("NOBODY", "PACS"), "calling"), (Titles("HACTL", "OTHER"), "called")]
)
def test_a_title_that_is_not_known_is_a_setting_and_no_failure(
    server: Orthanc, titles: Titles, why: str
) -> None:
    with pytest.raises(NotAllowed, match=f"the {why} AE title"):
        echo(server, titles).ask(3)


def test_somebody_elses_certificate_is_untrusted(server: Orthanc, tmp_path: Path) -> None:
    other = TestCa(tmp_path)
    issued = other.issue("stranger", ["127.0.0.1"])
    theirs = HttpsClient(other.crt, issued.cert, issued.key)
    with pytest.raises(Untrusted):
        DicomEcho(theirs.context, "127.0.0.1", server.dicom, US).ask(3)
    ours = HttpsClient(server.ca.crt, issued.cert, issued.key)
    wait_until(
        "the reason is told", lambda: _told(DicomEcho(ours.context, "127.0.0.1", server.dicom, US)), 30
    )


def _told(found: DicomEcho) -> bool:
    """With TLS 1.3 it judges our certificate after the handshake; its alert may be lost when it hangs up."""
    with pytest.raises(Unreachable) as refused:
        found.ask(3)
    return isinstance(refused.value, Untrusted)


@pytest.fixture
def storescp(tmp_path: Path) -> Iterator[tuple[int, subprocess.Popen[bytes]]]:
    port = free_port()
    argv = [program("/usr/bin/storescp", "dcmtk"), "--aetitle", "PACS", "-od", str(tmp_path), str(port)]
    process = subprocess.Popen(argv, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    try:
        wait_until("storescp listens", lambda: _listens(port), 10)
        yield port, process
    finally:
        process.send_signal(signal.SIGCONT)
        process.kill()
        process.wait(10)


def _listens(port: int) -> bool:
    try:
        socket.create_connection(("127.0.0.1", port), 1).close()
    except OSError:
        return False
    return True


def test_storescp_answers_freezes_and_dies(storescp: tuple[int, subprocess.Popen[bytes]]) -> None:
    port, process = storescp
    found = DicomEcho(None, "127.0.0.1", port, US)
    for _ in range(3):
        found.ask(3)
    os.kill(process.pid, signal.SIGSTOP)
    began = time.monotonic()
    for _ in range(2):  # over the association that it has, and over a new one
        with pytest.raises(Unreachable, match="no answer in time"):
            found.ask(0.5)
    assert time.monotonic() - began < 2.5
    os.kill(process.pid, signal.SIGCONT)
    found.ask(3)
    process.kill()
    process.wait(10)
    with pytest.raises(PortClosed):
        found.ask(1)


NONSENSE = [
    pytest.param(b"HTTP/1.1 400 Bad Request\r\n\r\n" * 9, id="HTTP"),
    pytest.param(struct.pack(">BBL", 2, 0, 4) + b"abcd", id="an acceptance that is too short"),
    pytest.param(struct.pack(">BBL", 2, 0, 72) + bytes(68) + b"\x21\0\0\0", id="of no context"),
    pytest.param(struct.pack(">BBL", 3, 0, 4) + b"\0\1\3\2", id="a rejection by the other side's software"),
    pytest.param(struct.pack(">BBL", 7, 0, 4) + b"\0\0\0\0", id="an abort"),
    pytest.param(struct.pack(">BBL", 2, 0, 0xFFFFFFFF), id="a length of four gigabytes"),
    pytest.param(b"", id="nothing, and then the end"),
]


@pytest.mark.parametrize("said", NONSENSE)
def test_what_is_no_dicom_is_unreachable_and_soon(said: bytes) -> None:
    listener = socket.create_server(("127.0.0.1", 0))

    def serve() -> None:
        link, _ = listener.accept()
        with link:
            link.recv(1024)
            link.sendall(said)

    threading.Thread(target=serve, daemon=True).start()
    with listener, pytest.raises(Unreachable):
        DicomEcho(None, "127.0.0.1", listener.getsockname()[1], US).ask(1)
