"""The nodes' dispatcher over SSH: host keys pinned, one key, a fixed vocabulary of verbs."""

from __future__ import annotations

import codecs
import contextlib
import socket
import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TypeVar

import paramiko

from hactl.adapters.tcp import CONNECT_WITHIN, connect
from hactl.errors import StepFailed, Unreachable
from hactl.ports import Clock
from hactl.view.model import NodeFacts
from hactl.view.parse.facts import parse_facts

T = TypeVar("T")

# sshd's greeting, key exchange and login; far above a LAN's, so that a busy node still gets in.
LOGIN_WITHIN = 4.0
FACTS_WITHIN = 8.0
LOOK_EVERY = 0.5
KEEPALIVE = 15  # s
MAX_OUTPUT = 8 * 1024 * 1024


@dataclass(frozen=True)
class Talk:
    """A login with a node's dispatcher. `ask`: a sentence and its seconds; raises as Dispatcher.ask."""

    ask: Callable[[str, float], bytes]
    clock: Clock

    def facts(self) -> NodeFacts:
        sent = self.clock.wall()
        body = self.ask("facts", FACTS_WITHIN)
        # The node reads its clock somewhere between question and answer.
        half = (self.clock.wall() - sent) / 2
        return understood(body, lambda b: parse_facts(b, now=sent + half, doubt=half))


def understood(body: bytes, parse: Callable[[bytes], T]) -> T:
    """Raises Unreachable: the node's program says something else, as another version's may."""
    try:
        return parse(body)
    except ValueError as error:
        raise Unreachable(str(error), hint="hactl deploy") from error


class Dispatcher:
    """One node's dispatcher. Every call logs in anew: rare, and nothing is left open."""

    def __init__(
        self, address: str, *, port: int, user: str, key: Path, known_hosts: Path, clock: Clock
    ) -> None:
        self._address, self._port, self._user = address, port, user
        self._key, self._known_hosts, self._clock = key, known_hosts, clock

    @property
    def _where(self) -> str:
        return f"{self._user}@{self._address}"

    def ask(self, sentence: str, *, within: float) -> bytes:
        """What the dispatcher answers to a sentence of its vocabulary (`facts`, `logs UNIT N`, ...).

        Raises:
            Unreachable: no connection, an unknown host key, no login, or no answer in time.
            StepFailed: the dispatcher refused, or the program that it asked failed.

        """
        with self._session() as session, self._translated():
            return self._run(session, sentence, within)

    @contextlib.contextmanager
    def talk(self) -> Iterator[Talk]:
        """One login for several sentences, which threads may ask at once.

        Raises Unreachable: no login. A sentence that takes too long ends the others with it.
        """
        with self._session() as session:
            yield Talk(lambda sentence, within: self._asked(session, sentence, within), self._clock)

    def _asked(self, session: paramiko.Transport, sentence: str, within: float) -> bytes:
        with self._translated():
            return self._run(session, sentence, within)

    def follow(self, sentence: str, say: Callable[[str], None], stop: threading.Event) -> None:
        """Hand on what the dispatcher writes while it writes it, until it ends or `stop` is set.

        Raises as `ask`. The node ends it after an hour.
        """
        with self._session() as session, self._translated():
            # A node that is cut off is noticed, however quiet its log.
            session.set_keepalive(KEEPALIVE)
            if isinstance(session.sock, socket.socket):
                session.sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_USER_TIMEOUT, 2 * KEEPALIVE * 1000)
            channel = session.open_session(timeout=LOGIN_WITHIN)
            channel.settimeout(LOOK_EVERY)
            channel.exec_command(sentence)
            decoded = codecs.getincrementaldecoder("utf-8")(errors="replace")
            while not stop.is_set():
                try:
                    part = channel.recv(65536)
                except TimeoutError:
                    continue
                if not part:
                    break
                say(decoded.decode(part))
            self._ended_well(channel, sentence, stop)

    def _ended_well(self, channel: paramiko.Channel, sentence: str, stop: threading.Event) -> None:
        if stop.is_set():
            return
        if not channel.status_event.wait(LOGIN_WITHIN):
            raise Unreachable(f"{self._where}: the connection was lost")
        if channel.recv_exit_status() != 0:
            said = channel.recv_stderr(4096).decode(errors="replace").strip()
            raise StepFailed(f"{self._where}: {sentence}: {said or 'failed'}")

    def facts(self) -> NodeFacts:
        with self.talk() as talk:
            return talk.facts()

    @contextlib.contextmanager
    def _session(self) -> Iterator[paramiko.Transport]:
        client = paramiko.SSHClient()
        client.set_missing_host_key_policy(paramiko.RejectPolicy())
        with self._translated():
            client.load_host_keys(str(self._known_hosts))
            client.connect(
                self._address, self._port, self._user, key_filename=str(self._key),
                sock=connect(self._address, self._port, within=CONNECT_WITHIN),
                allow_agent=False, look_for_keys=False, timeout=LOGIN_WITHIN,
                banner_timeout=LOGIN_WITHIN, auth_timeout=LOGIN_WITHIN,
            )  # fmt: skip
        try:
            transport = client.get_transport()
            if transport is None:
                raise Unreachable(f"{self._where}: the connection was lost at once")
            yield transport
        finally:
            client.close()

    def _run(self, transport: paramiko.Transport, sentence: str, within: float) -> bytes:
        with _ended(transport, within):
            channel = transport.open_session()
            channel.exec_command(sentence)
            out, err = channel.makefile("rb").read(MAX_OUTPUT), channel.makefile_stderr("rb").read(4096)
            code = channel.recv_exit_status()
        if code != 0:
            said = " / ".join(err.decode(errors="replace").strip().splitlines()[-3:])
            raise StepFailed(f"{self._where}: {sentence}: {said or f'ended with code {code}'}")
        return bytes(out)

    @contextlib.contextmanager
    def _translated(self) -> Iterator[None]:
        try:
            yield
        except paramiko.BadHostKeyException as error:
            problem = f"{self._address} shows another host key than the pinned one"
            raise Unreachable(problem, hint="hactl pki trust --help") from error
        except paramiko.AuthenticationException as error:
            raise Unreachable(f"{self._where} refuses hactl's key", hint="hactl deploy") from error
        except (TimeoutError, socket.timeout) as error:  # noqa: UP041 - paramiko raises the old name
            raise Unreachable(f"{self._where}: no answer in time") from error
        except (paramiko.SSHException, EOFError) as error:
            raise Unreachable(f"{self._where}: {error or 'the connection was lost'}") from error
        except OSError as error:
            raise Unreachable(f"{self._where}: {error.strerror or error}") from error


@contextlib.contextmanager
def _ended(transport: paramiko.Transport, within: float) -> Iterator[None]:
    """Close the connection after `within` seconds, which ends whatever waits for it.

    Paramiko's time-outs bound one read each, so a node that sends a byte now and then is never late; and some
    of its waits have none.

    Raises:
        TimeoutError: the time was over before the block was.

    """
    late = threading.Event()

    def end() -> None:
        late.set()
        transport.close()

    timer = threading.Timer(within, end)
    timer.daemon = True
    timer.start()
    try:
        yield
    except (paramiko.SSHException, EOFError, OSError) as error:
        if late.is_set():
            raise TimeoutError from error
        raise
    finally:
        timer.cancel()
    if late.is_set():
        raise TimeoutError
