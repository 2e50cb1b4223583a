"""A real PostgreSQL whose postmaster is stopped and goes on: new connections, and what is made of it."""

from __future__ import annotations

import errno
import os
import signal
import socket
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from hactl.adapters.postgres_forks import KEPT, NewConnections
from hactl.agent.looks import Look
from hactl.agent.node_looks import FORKS_EVERY, FORKS_WITHIN, ForkProbe, Forks
from hactl.decide.grey import SILENT
from hactl.drill.link import Link
from hactl.errors import Unreachable
from tests.support.leftovers import scratch
from tests.support.loopback_postgres import Server, primary
from tests.support.servers import wait_until


@pytest.fixture(scope="module")
def one() -> Iterator[Server]:
    with scratch() as folder, primary(folder / "pg") as server:
        server.stop("fast")
        server.configure(unix_socket_directories=str(server.data.parent))
        server.start()
        yield server


@pytest.fixture
def forks(one: Server) -> Iterator[NewConnections]:
    found = NewConnections(str(one.data.parent / f".s.PGSQL.{one.port}"))
    yield found
    found.close()


@contextmanager
def frozen(one: Server) -> Iterator[None]:
    """The postmaster alone: sessions go on."""
    pid = int((one.data / "postmaster.pid").read_text().split()[0])
    os.kill(pid, signal.SIGSTOP)
    try:
        yield
    finally:
        os.kill(pid, signal.SIGCONT)


@contextmanager
def running(look: Look[Forks]) -> Iterator[Look[Forks]]:
    stop = threading.Event()
    look.start(stop)
    try:
        yield look
    finally:
        stop.set()
        look.hurry()


def misses(look: Look[Forks]) -> int:
    found = look.seen().value
    return found.misses if isinstance(found, Forks) else -1


def test_a_server_that_works_answers_at_once_and_logs_nothing(one: Server, forks: NewConnections) -> None:
    log = Path(f"{one.data}.log")
    before, begin = log.read_text(), time.monotonic()
    assert all(forks.answered(within=5) for _ in range(3))
    assert time.monotonic() - begin < 5
    one.sql("select 1")
    assert log.read_text() == before


def test_a_frozen_postmaster_answers_nobody_while_its_sessions_go_on(
    one: Server, forks: NewConnections
) -> None:
    session = Link.open(one.conninfo, 10)
    try:
        with frozen(one):
            for _ in range(3):
                begin = time.monotonic()
                assert not forks.answered(within=0.2)
                assert 0.19 < time.monotonic() - begin < 5
            assert session.run("select 1", within=10) == [(1,)], "else it would be more than the postmaster"
        assert forks.answered(within=10)
    finally:
        session.close()


def test_frozen_for_long_it_is_asked_again_and_again_and_answers_after_the_thaw(
    one: Server, forks: NewConnections
) -> None:
    with frozen(one):
        assert not any(forks.answered(within=0.01) for _ in range(3 * KEPT))
    assert forks.answered(within=10)
    assert forks.answered(within=10)


def test_the_agent_counts_its_silence_and_forgets_it_after_the_thaw(
    one: Server, forks: NewConnections
) -> None:
    """As many looks as are needed to stop it take 2.5 to 3 s, as long as the heartbeat's three at least."""
    probe = ForkProbe(forks.answered, time.monotonic)
    with running(Look("forks", probe.look, FORKS_EVERY, time.monotonic)) as look:
        wait_until("it answers", lambda: misses(look) == 0, 10)
        with frozen(one):
            begin = time.monotonic()
            wait_until("it is silent", lambda: misses(look) >= SILENT, 20)
            assert time.monotonic() - begin >= (SILENT - 1) * FORKS_WITHIN
        wait_until("it answers again", lambda: misses(look) == 0, 10)


@contextmanager
def stand_in(path: Path, talk: Callable[[socket.socket], None] | None, backlog: int = 8) -> Iterator[None]:
    """Listens there; `talk` None: nobody ever accepts."""
    with socket.socket(socket.AF_UNIX) as listening:
        listening.bind(str(path))
        listening.listen(backlog)

        def serve() -> None:
            peer, _ = listening.accept()
            with peer:
                assert talk is not None
                talk(peer)

        if talk is not None:
            threading.Thread(target=serve, daemon=True).start()
        yield


def test_a_late_answer_to_an_earlier_connection_counts(tmp_path: Path) -> None:
    def late(peer: socket.socket) -> None:
        time.sleep(0.6)
        peer.sendall(b"N")

    with stand_in(tmp_path / "s", late):
        forks = NewConnections(str(tmp_path / "s"))
        probe = ForkProbe(lambda within: forks.answered(within=within / 2), time.monotonic)
        counts = [probe.look().misses]
        while counts[-1] and len(counts) < 40:
            counts.append(probe.look().misses)
        forks.close()
    assert counts[0] == 1
    assert counts[-1] == 0


def test_an_error_instead_of_an_answer_is_none(tmp_path: Path) -> None:
    """As from a postmaster that cannot fork."""
    with stand_in(tmp_path / "s", lambda peer: peer.sendall(b"Ecould not fork")):
        assert not NewConnections(str(tmp_path / "s")).answered(within=5)


def test_a_full_queue_is_no_answer(tmp_path: Path) -> None:
    with stand_in(tmp_path / "s", None, backlog=1):
        forks = NewConnections(str(tmp_path / "s"))
        assert not any(forks.answered(within=0.01) for _ in range(KEPT))
        forks.close()


def test_a_process_without_files_left_cannot_look(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def none_left(*_: object) -> socket.socket:
        raise OSError(errno.EMFILE, "Too many open files")

    monkeypatch.setattr(socket, "socket", none_left)
    with pytest.raises(Unreachable, match="Too many"):
        NewConnections(str(tmp_path / "s")).answered(within=0.01)


def test_a_socket_that_nobody_serves_is_no_answer_and_none_at_all_is_not_known(tmp_path: Path) -> None:
    forks = NewConnections(str(tmp_path / "s"))
    with stand_in(tmp_path / "s", None):
        pass
    assert not forks.answered(within=0.01)
    (tmp_path / "s").unlink()
    with pytest.raises(Unreachable, match="No such file"):
        forks.answered(within=0.01)
