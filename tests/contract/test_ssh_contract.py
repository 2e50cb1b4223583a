"""The dispatcher over a real sshd on loopback, forced as on a node: what gets through and what does not."""

from __future__ import annotations

import os
import pwd
import socket
import threading
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from hactl.adapters.clock import SystemClock
from hactl.adapters.node_look import NodeExamined
from hactl.adapters.ssh import Dispatcher
from hactl.adapters.tcp import SshBanner
from hactl.errors import StepFailed, Unreachable
from hactl.pki import sshkey
from hactl.ports import PortClosed
from hactl.view.model import NodeFacts, Probe, State, Unknown
from tests.support.leftovers import scratch
from tests.support.ports import free_port
from tests.support.rendered import content
from tests.support.servers import Daemon, program, wait_until

USER = pwd.getpwuid(os.geteuid()).pw_name


@dataclass
class Node:
    folder: Path
    port: int
    host_key: str

    def dispatcher(self, *, key: str = "operator", port: int | None = None) -> Dispatcher:
        return Dispatcher(
            "127.0.0.1",
            port=port or self.port,
            user=USER,
            key=self.folder / key,
            known_hosts=self.folder / "known_hosts",
            clock=SystemClock(),
        )

    def pin(self, public: str) -> None:
        (self.folder / "known_hosts").write_text(f"[127.0.0.1]:{self.port} {' '.join(public.split()[:2])}\n")


def new_key(folder: Path, name: str) -> str:
    made = sshkey.generate(name)
    path = folder / name
    path.write_bytes(made.private)
    path.chmod(0o600)
    return made.public.decode() if isinstance(made.public, bytes) else made.public


@pytest.fixture
def node() -> Iterator[Node]:
    with scratch() as folder:
        yield from serving(folder)


def serving(folder: Path) -> Iterator[Node]:
    port = free_port()
    host, operator = new_key(folder, "host"), new_key(folder, "operator")
    new_key(folder, "stranger")
    script = folder / "dispatch"
    script.write_text(content("db1", "/usr/local/lib/hactl/dispatch"))
    script.chmod(0o755)
    (folder / "keys").write_text(f'restrict,command="{script}" {operator}')
    config = folder / "sshd_config"
    config.write_text(
        f"ListenAddress 127.0.0.1:{port}\nHostKey {folder / 'host'}\n"
        f"AuthorizedKeysFile {folder / 'keys'}\n"
        f"ForceCommand {script}\nAuthenticationMethods publickey\nPermitRootLogin yes\nStrictModes no\n"
        f"UsePAM no\nPidFile none\nDisableForwarding yes\nPermitTTY no\n"
    )
    if os.geteuid() == 0:
        Path("/run/sshd").mkdir(mode=0o755, exist_ok=True)  # Debian's sshd will not start without it
    argv = [program("/usr/sbin/sshd", "openssh-server"), "-D", "-e", "-f", str(config)]
    daemon = Daemon("sshd", argv, folder / "log")
    daemon.start()
    try:
        wait_until("sshd listens", lambda: "Server listening" in daemon.tail(), 10)
        found = Node(folder, port, host)
        found.pin(host)
        yield found
    finally:
        daemon.kill()


def test_a_node_tells_its_facts(node: Node) -> None:
    began = time.monotonic()
    facts = node.dispatcher().facts()
    took = time.monotonic() - began
    assert "127.0.0.1" in facts.addresses
    assert facts.clock_offset is not None
    assert abs(facts.clock_offset) < took / 2 + 0.01, "the same clock, read between question and answer"
    assert "python" in facts.versions
    assert any(d.path == "/" and d.total.value > 0 for d in facts.disks)


def test_one_login_is_enough_for_all_that_the_doctor_asks(node: Node) -> None:
    """What fails of it is unknown, and the rest is told: here nothing may be asked of root."""
    found = NodeExamined(node.dispatcher(), database=True, differences=lambda _: ("never read",))
    script = node.folder / "dispatch"
    text = script.read_text().replace('"/usr/bin/sudo", "-n"', '"/bin/sh", "-c", "echo no >&2; exit 3", "x"')
    script.write_text(text)
    look = found.look()
    assert isinstance(look.facts, NodeFacts)
    for answer in (look.preflight, look.server, look.files):
        assert isinstance(answer, Unknown)
        assert answer.why.endswith(": no")
    assert (node.folder / "log").read_text().count("Accepted publickey") == 1


def test_what_the_doctor_asks_has_its_end(node: Node, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("hactl.adapters.node_look.WITHIN", 1.0)
    (node.folder / "dispatch").write_text("#!/bin/sh\nsleep 20\n")
    began = time.monotonic()
    look = NodeExamined(node.dispatcher(), database=False, differences=None).look()
    assert time.monotonic() - began < 6
    assert isinstance(look.facts, Unknown)
    assert isinstance(look.preflight, Unknown)
    assert (look.server, look.files) == (None, None)


def test_a_greeting_makes_a_node_reachable_and_leaves_no_error_in_its_log(node: Node) -> None:
    assert SshBanner("127.0.0.1", node.port).reachable() == Probe(State.OK)
    wait_until("sshd has noticed", lambda: "preauth" in (node.folder / "log").read_text(), 10)
    assert "error:" not in (node.folder / "log").read_text()


def test_another_server_is_not_an_ssh_server() -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        port = server.getsockname()[1]
        assert SshBanner("127.0.0.1", port, within=0.2).reachable().failed
    assert SshBanner("127.0.0.1", port).reachable().why.endswith("connection refused")


@pytest.mark.parametrize("sentence", ["rm -rf /tmp/x", "facts; id", "logs sshd.service 10", ""])
def test_what_is_not_in_the_vocabulary_is_refused(node: Node, sentence: str) -> None:
    with pytest.raises(StepFailed, match=r"this key may ask|not a unit"):
        node.dispatcher().ask(sentence, within=5)


WRITES = """#!/bin/sh
echo "first $SSH_ORIGINAL_COMMAND"; sleep 1; printf 'caf\\303'; sleep 0.2; printf '\\251\\n'
while sleep 0.2; do echo more || exit 0; done
"""


def test_following_hands_on_what_comes_while_it_comes(node: Node) -> None:
    (node.folder / "dispatch").write_text(WRITES)
    stop, said, times = threading.Event(), [""], list[float]()

    def hear(text: str) -> None:
        said[0] += text
        times.append(time.monotonic())
        if said[0].count("more") >= 2:
            stop.set()

    node.dispatcher().follow("follow patroni.service 10", hear, stop)
    assert said[0].startswith("first follow patroni.service 10\ncafé\nmore\n")
    assert times[-1] - times[0] > 1


def test_following_ends_with_the_program_and_says_how(node: Node) -> None:
    said: list[str] = []
    (node.folder / "dispatch").write_text("#!/bin/sh\necho done\n")
    node.dispatcher().follow("follow patroni.service 10", said.append, threading.Event())
    assert "".join(said) == "done\n"
    (node.folder / "dispatch").write_text("#!/bin/sh\necho not a unit >&2; exit 2\n")
    with pytest.raises(StepFailed, match="not a unit"):
        node.dispatcher().follow("follow x.service 10", said.append, threading.Event())


def test_another_host_key_is_not_believed(node: Node) -> None:
    node.pin(new_key(node.folder, "impostor"))
    with pytest.raises(Unreachable, match="another host key"):
        node.dispatcher().ask("facts", within=5)


def test_a_host_key_that_nobody_pinned_is_not_believed(node: Node) -> None:
    (node.folder / "known_hosts").write_text("")
    with pytest.raises(Unreachable, match="not found in known_hosts"):
        node.dispatcher().ask("facts", within=5)


def test_a_strangers_key_is_not_let_in(node: Node) -> None:
    with pytest.raises(Unreachable, match="refuses hactl's key"):
        node.dispatcher(key="stranger").ask("facts", within=5)


def test_a_node_without_ssh_is_a_closed_port(node: Node) -> None:
    with pytest.raises(PortClosed):
        node.dispatcher(port=free_port()).ask("facts", within=5)


def test_a_missing_key_is_said_in_a_sentence(node: Node) -> None:
    with pytest.raises(Unreachable, match="No such file"):
        node.dispatcher(key="none").ask("facts", within=5)


@pytest.mark.parametrize(
    "script",
    ["while echo .; do sleep 0.2; done", "while echo . >&2; do sleep 0.2; done", "exec >&- 2>&-; sleep 6"],
    ids=["output", "errors", "silence"],
)
def test_the_time_is_for_the_whole_answer(node: Node, script: str) -> None:
    (node.folder / "dispatch").write_text(f"#!/bin/sh\n{script}\n")
    dispatcher, start = node.dispatcher(), time.monotonic()
    with pytest.raises(Unreachable, match="no answer in time"):
        dispatcher.ask("facts", within=1)
    assert time.monotonic() - start < 4
