"""Who answers at PostgreSQL's port: a server, or only a kernel."""

from __future__ import annotations

import socket
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial

import pytest

from hactl.adapters.postgres_answer import answers
from hactl.agent.node_looks import PeerProbe
from hactl.view.model import State


@contextmanager
def server(talk: Callable[[socket.socket], None] | None) -> Iterator[int]:
    """Listens; `talk` None: nobody ever accepts, as in a frozen machine."""
    with socket.create_server(("127.0.0.1", 0)) as listening:

        def serve() -> None:
            peer, _ = listening.accept()
            with peer:
                if talk is not None:
                    talk(peer)

        if talk is not None:
            threading.Thread(target=serve, daemon=True).start()
        yield listening.getsockname()[1]


def says(answer: bytes) -> Callable[[socket.socket], None]:
    def talk(peer: socket.socket) -> None:
        assert peer.recv(64) == bytes.fromhex("0000000804d21630")
        peer.sendall(answer)

    return talk


@pytest.mark.parametrize("answer", [b"G", b"N"])
def test_a_server_with_or_without_gss_answers(answer: bytes) -> None:
    with server(says(answer)) as port:
        assert answers("127.0.0.1", port, within=2).ok


@pytest.mark.parametrize("answer", [b"", b"S", b"SSH-2.0-x"])
def test_what_is_no_postgresql_does_not_count(answer: bytes) -> None:
    with server(says(answer)) as port:
        assert answers("127.0.0.1", port, within=2).state is State.FAILED


def test_a_kernel_that_takes_the_connection_is_not_enough_and_costs_no_more_than_the_time() -> None:
    with server(None) as port:
        begin = time.monotonic()
        found = answers("127.0.0.1", port, within=0.2)
    assert found.state is State.FAILED
    assert "no answer in time" in found.why
    assert time.monotonic() - begin < 2


def test_a_closed_port_is_no_server() -> None:
    with server(None) as port:
        pass
    assert answers("127.0.0.1", port, within=0.2).state is State.FAILED


def test_a_host_without_a_server_refuses_and_a_frozen_one_does_not() -> None:
    with server(None) as frozen:
        silent = PeerProbe(partial(answers, "127.0.0.1", frozen)).look()
    refusing = PeerProbe(partial(answers, "127.0.0.1", frozen)).look()
    assert (silent.misses, silent.refused) == (1, False)
    assert (refusing.misses, refusing.refused) == (1, True)
