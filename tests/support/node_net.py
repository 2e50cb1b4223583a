"""Two network namespaces, the node's and a client's, and what goes to and fro between them."""

from __future__ import annotations

import contextlib
import os
import socket
import threading
import time
from bisect import bisect_left, bisect_right
from collections.abc import Iterator
from dataclasses import dataclass, field

from hactl.adapters.command import run
from tests.support import leftovers
from tests.support.servers import program

SEND_EVERY = 0.02  # seconds


def ip(*words: str) -> str:
    return run(["ip", *words], within=10).out


@contextlib.contextmanager
def namespaces() -> Iterator[tuple[str, str]]:
    """Names of the node's and the client's namespace; their links node0 and client0 are joined."""
    if os.geteuid() != 0:
        raise AssertionError("network namespaces need root: run this test with sudo")
    program("nft", "nftables")
    node, client = leftovers.name("node"), leftovers.name("client")
    try:
        for name in (node, client):
            ip("netns", "add", name)
            ip("-n", name, "link", "set", "lo", "up")
        ip("-n", node, "link", "add", "node0", "type", "veth", "peer", "name", "client0", "netns", client)
        for name, link, address in ((node, "node0", "192.0.2.11/24"), (client, "client0", "192.0.2.2/24")):
            ip("-n", name, "address", "add", address, "dev", link)
            ip("-n", name, "link", "set", link, "up")
        yield node, client
    finally:
        for name in (node, client):
            run(["ip", "netns", "del", name], within=10, check=False)


class Echo:
    """A server on a port that sends back what it gets."""

    def __init__(self, port: int) -> None:
        self._listener = socket.create_server(("", port), backlog=20)
        threading.Thread(target=self._accept, daemon=True).start()

    def _accept(self) -> None:
        with contextlib.suppress(OSError):
            while True:
                sock, _ = self._listener.accept()
                threading.Thread(target=self._serve, args=(sock,), daemon=True).start()

    @staticmethod
    def _serve(sock: socket.socket) -> None:
        with sock, contextlib.suppress(OSError):
            while data := sock.recv(64):
                sock.sendall(data)

    def close(self) -> None:
        self._listener.close()


@dataclass
class Flow:
    """An established connection through the VIP: a byte each 20 ms, and when one came back."""

    sock: socket.socket
    echoes: list[float] = field(default_factory=list)
    sent: list[float] = field(default_factory=list)
    _stop: threading.Event = field(default_factory=threading.Event)

    def start(self) -> None:
        threading.Thread(target=self._send, daemon=True).start()
        threading.Thread(target=self._receive, daemon=True).start()

    def _send(self) -> None:
        with contextlib.suppress(OSError):
            while not self._stop.wait(SEND_EVERY):
                self.sent.append(time.monotonic())
                self.sock.sendall(b".")

    def _receive(self) -> None:
        with contextlib.suppress(OSError):
            while self.sock.recv(4096):
                self.echoes.append(time.monotonic())

    def last(self) -> float:
        return self.echoes[-1] if self.echoes else 0.0

    def silence(self) -> float:
        """The longest time that it sent and got nothing back: not one in which the machine held up both."""
        pairs = zip(self.echoes, self.echoes[1:], strict=False)
        unanswered = (bisect_left(self.sent, b) - bisect_right(self.sent, a) for a, b in pairs)
        return SEND_EVERY * max(unanswered, default=0)

    def alive(self) -> bool:
        return time.monotonic() - self.last() < 0.3

    def close(self) -> None:
        self._stop.set()
        self.sock.close()
