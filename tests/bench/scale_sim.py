"""The archive nodes of a scale measurement in one process: `python -m tests.bench.scale_sim FOLDER N FAULTY`.

Each node has its own address, with HTTPS and DICOM over mutual TLS and an SSH greeting at the ports of a
real one, and an agent that publishes facts to etcd. When it ends (SIGTERM) it writes down when each node was
asked: how old a controller's knowledge can be is measured where the questions arrive.
"""

from __future__ import annotations

import asyncio
import json
import resource
import signal
import ssl
import struct
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

from hactl import layout
from tests.bench.scale_agents import publish
from tests.bench.scale_place import SSH, Place

SLOW, LATE = 0.4, 4.0  # seconds: in time, and not
_CONTEXT: Final = b"1.2.840.10008.3.1.1.1"
_IMPLICIT: Final = b"1.2.840.10008.1.2"
_VERIFICATION: Final = b"1.2.840.10008.1.1\0"


@dataclass
class Node:
    """`asked`: when, monotonic, by `http` and `dicom`."""

    name: str
    fault: str = ""
    asked: dict[str, list[float]] = field(default_factory=lambda: {"http": [], "dicom": []})

    def note(self, line: str) -> None:
        self.asked[line].append(time.monotonic())

    def later(self, send: Callable[[], None], path: str) -> None:
        """What a healthy node does at once."""
        if self.fault == "hang":
            return
        wait = SLOW if self.fault == "slow" else LATE if self.fault == "late" and path == INDEX else 0.0
        if wait:
            asyncio.get_running_loop().call_later(wait, send)
        else:
            send()


INDEX: Final = "/changes?last"
_BODIES: Final = {INDEX: '{"Changes":[],"Done":true,"Last":42}', "/tools/now": "20261122T120000"}


class Talk(asyncio.Protocol):
    """One connection. A faulty node may answer on one that is gone: nobody hears it."""

    def __init__(self, node: Node) -> None:
        self.node, self._came = node, b""
        self.transport: asyncio.Transport | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)
        self.transport = transport

    def connection_lost(self, exc: Exception | None) -> None:  # noqa: ARG002 - the base class's
        self.transport = None

    def data_received(self, data: bytes) -> None:
        self._came = self.heard(self._came + data)

    def heard(self, came: bytes) -> bytes:
        """What is left over of `came`."""
        raise NotImplementedError

    def say(self, data: bytes) -> None:
        if self.transport is not None:
            self.transport.write(data)


class Rest(Talk):
    def heard(self, came: bytes) -> bytes:
        while b"\r\n\r\n" in came:
            head, came = came.split(b"\r\n\r\n", 1)
            path = head.split(b" ", 2)[1].decode()
            self.node.note("http")
            self.node.later(lambda path=path: self.say(self.answer(path)), path)  # type: ignore[misc]
        return came

    def answer(self, path: str) -> bytes:
        bad = self.node.fault == "error" and path == INDEX
        body = _BODIES.get(path, json.dumps({"node": self.node.name}))
        status = "500 Internal Server Error" if bad else "200 OK"
        return (
            f"HTTP/1.1 {status}\r\nContent-Type: application/json\r\n"
            f"Content-Length: {len(body)}\r\n\r\n{body}"
        ).encode()


class Dicom(Talk):
    """Takes associations for verification and answers C-ECHO."""

    def heard(self, came: bytes) -> bytes:
        while len(came) >= 6 and len(came) >= 6 + (length := struct.unpack(">L", came[2:6])[0]):
            kind, body, came = came[0], came[6 : 6 + length], came[6 + length :]
            answer = {1: accept, 4: echoed, 5: released}.get(kind)
            if answer is None:
                continue
            if kind == 4:
                self.node.note("dicom")
            said = answer(body)
            self.node.later(lambda said=said: self.say(said), "echo")  # type: ignore[misc]
        return came


def _pdu(kind: int, body: bytes) -> bytes:
    return struct.pack(">BBL", kind, 0, len(body)) + body


def _item(kind: int, body: bytes) -> bytes:
    return struct.pack(">BBH", kind, 0, len(body)) + body


def accept(request: bytes) -> bytes:
    """A-ASSOCIATE-AC: the first context, in implicit VR (PS3.8 section 9.3.3)."""
    user = _item(0x51, struct.pack(">L", 16384)) + _item(0x52, b"2.25.1")
    context = _item(0x21, b"\x01\0\0\0" + _item(0x40, _IMPLICIT))
    return _pdu(2, request[:68] + _item(0x10, _CONTEXT) + context + _item(0x50, user))


def echoed(_: bytes) -> bytes:
    """C-ECHO-RSP, success (PS3.7 section 9.3.5.2)."""
    rest = b"".join(
        struct.pack("<HHL", 0, element, len(value)) + value
        for element, value in (
            (0x0002, _VERIFICATION), (0x0100, b"\x30\x80"), (0x0120, b"\x01\0"), (0x0800, b"\x01\x01"),
            (0x0900, b"\0\0"),
        )
    )  # fmt: skip
    command = struct.pack("<HHLL", 0, 0, 4, len(rest)) + rest
    return _pdu(4, struct.pack(">LBB", len(command) + 2, 1, 3) + command)


def released(_: bytes) -> bytes:
    return _pdu(6, b"\0\0\0\0")


class Greets(asyncio.Protocol):
    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)
        transport.write(b"SSH-2.0-simulated\r\n")


def _server_tls(ca: Path, cert: Path) -> ssl.SSLContext:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.verify_mode = ssl.CERT_REQUIRED
    context.load_verify_locations(cafile=str(ca))
    context.load_cert_chain(cert, cert.with_suffix(".key"))
    return context


async def _serve(place: Place, node: Node) -> None:
    loop, address = asyncio.get_running_loop(), place.address(node.name)
    await loop.create_server(Greets, address, SSH)
    if node.fault == "refuse":
        return
    for folder, port, kind in (("pki", layout.PORT_HTTPS, Rest), ("dicom", layout.PORT_DICOM_TLS, Dicom)):
        base = place.folder / folder
        tls = _server_tls(base / "ca.crt", base / f"{node.name}.crt")
        await loop.create_server(lambda kind=kind: kind(node), address, port, ssl=tls)  # type: ignore[misc]


async def run(place: Place) -> None:
    faults = place.faults()
    nodes = [Node(name, faults.get(name, "")) for name in place.archives]
    for node in nodes:
        await _serve(place, node)
    stop = asyncio.Event()
    asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, stop.set)
    agents = asyncio.create_task(asyncio.to_thread(publish, place, stop.is_set))
    (place.folder / "ready").touch()
    await stop.wait()
    await agents
    (place.folder / "asked.json").write_text(json.dumps({node.name: node.asked for node in nodes}))


def main() -> None:
    folder, count, faulty = sys.argv[1:]
    most = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
    resource.setrlimit(resource.RLIMIT_NOFILE, (most, most))
    asyncio.run(run(Place(Path(folder), int(count), int(faulty))))


if __name__ == "__main__":
    main()
