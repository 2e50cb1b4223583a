"""Our few bytes of C-FIND: what is asked, and what is made of each answer."""

from __future__ import annotations

import io
import socket
import struct
import threading
import time

import pytest
from pydicom import dcmread
from pydicom.uid import UID

from hactl.adapters import dicom_find
from hactl.adapters.dicom_echo import Titles
from hactl.adapters.dicom_find import NOBODYS_STUDY, DicomFind, find_status, pieces
from hactl.errors import Unreachable

US = Titles("HACTL", "PACS")
ACCEPTED = struct.pack(">BBL", 2, 0, 76) + bytes(68) + b"\x21\0\0\4\1\0\0\0"
NOT_OFFERED = struct.pack(">BBL", 2, 0, 76) + bytes(68) + b"\x21\0\0\4\1\0\3\0"


def command(status: int, field: int = 0x8020) -> bytes:
    """A response's command, in implicit VR."""
    return struct.pack("<HHLH", 0, 0x0100, 2, field) + struct.pack("<HHLH", 0, 0x0900, 2, status)


def pdv(header: int, data: bytes) -> bytes:
    return struct.pack(">LBB", len(data) + 2, 1, header) + data


def pdu(*values: bytes, kind: int = 4) -> bytes:
    body = b"".join(values)
    return struct.pack(">BBL", kind, 0, len(body)) + body


def answer(status: int) -> bytes:
    return pdu(pdv(3, command(status)))


def asked_of(*answers: bytes) -> str:
    """Empty: it was answered well; otherwise what is raised, by name, and why."""
    listener = socket.create_server(("127.0.0.1", 0))

    def serve() -> None:
        link, _ = listener.accept()
        with link:
            for said in answers:
                link.recv(4096)
                link.sendall(said)
            link.settimeout(3)
            link.recv(4096)

    threading.Thread(target=serve, daemon=True).start()
    found = DicomFind(None, "127.0.0.1", listener.getsockname()[1], US)
    with listener:
        try:
            found.ask(1)
        except Unreachable as error:
            return f"{type(error).__name__} {error.message.partition(': ')[2]}"
        finally:
            found.close()
    return ""


CUT = command(0)
MATCH = pdu(pdv(3, command(0xFF01)), pdv(2, b"x"))
ABORT = pdu(b"\0\0\2\1", kind=7)
REFUSED = "Unreachable C-FIND was answered with status 0x"
NOT_US = "NotAllowed it refuses us C-FIND (status 0x"
ROWS = [
    pytest.param([ACCEPTED, answer(0)], "", id="nothing found: the index has answered"),
    pytest.param([ACCEPTED, answer(0xFF00) + pdu(pdv(2, b"somebody")) + answer(0)], "", id="one match"),
    pytest.param([ACCEPTED, MATCH + answer(0)], "", id="answer and match in one PDU"),
    pytest.param([ACCEPTED, pdu(pdv(1, CUT[:7])) + pdu(pdv(3, CUT[7:]))], "", id="a command in two pieces"),
    pytest.param([ACCEPTED, answer(0xA700)], REFUSED + "A700", id="out of resources"),
    pytest.param([ACCEPTED, answer(0xC001)], REFUSED + "C001", id="unable to process"),
    pytest.param([ACCEPTED, answer(0x0122)], NOT_US + "0122)", id="class not supported"),
    pytest.param([ACCEPTED, answer(0x0124)], NOT_US + "0124)", id="not authorized"),
    pytest.param([NOT_OFFERED], "NotAllowed it offers us no C-FIND (study root)", id="not offered"),
    pytest.param(
        [pdu(b"\0\1\1\3", kind=3)], "NotAllowed it does not know the calling AE title", id="a stranger"
    ),
    pytest.param([ABORT], "Unreachable no association for C-FIND", id="an abort"),
    pytest.param([ACCEPTED, ABORT], "Unreachable the association was ended", id="an abort later"),
    pytest.param(
        [ACCEPTED, pdu(pdv(3, command(0, 0x8030)))], "Unreachable no proper answer to C-FIND", id="of C-ECHO"
    ),
    pytest.param([ACCEPTED, b""], "Unreachable no answer in time", id="silence"),
]


@pytest.mark.parametrize(("answers", "wanted"), ROWS)
def test_each_answer(answers: list[bytes], wanted: str) -> None:
    assert asked_of(*answers) == wanted


def test_answers_without_end_end_in_time() -> None:
    began = time.monotonic()
    assert asked_of(ACCEPTED, answer(0xFF00) * 3) == "Unreachable no answer in time"
    assert time.monotonic() - began < 2


def test_others_read_our_question_as_it_is_meant() -> None:
    """By pydicom: command and identifier are sound data sets."""
    (first, ask), (second, identifier) = pieces(dicom_find._REQUEST[6:])
    assert (first, second) == (3, 2)
    said = dcmread(io.BytesIO(ask), force=True)
    assert (said[0, 0x0100].value, said[0, 0x0800].value) == (0x0020, 1)
    assert UID(said[0, 0x0002].value).name == "Study Root Query/Retrieve Information Model - FIND"
    wanted = dcmread(io.BytesIO(identifier), force=True)
    assert (wanted.QueryRetrieveLevel, wanted.StudyInstanceUID) == ("STUDY", NOBODYS_STUDY)
    assert UID(NOBODYS_STUDY).is_valid


@pytest.mark.parametrize("data", [b"", b"\0" * 5, b"\0\0\0\1\1\3", pdv(3, CUT)[:-1], b"\xff" * 40])
def test_what_is_no_message_is_none(data: bytes) -> None:
    assert pieces(data) == []
    assert find_status(data) is None
