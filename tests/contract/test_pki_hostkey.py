"""Fetching a host key, against a real SSH server; ssh-keyscan and ssh-keygen must say the same."""

from __future__ import annotations

import contextlib
import socket
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import paramiko
import pytest

from hactl.adapters import hostkey
from hactl.adapters.command import run
from hactl.errors import Unreachable
from hactl.pki import known_hosts, sshkey
from hactl.pki.known_hosts import HostKey


@contextlib.contextmanager
def ssh_server(folder: Path) -> Iterator[tuple[int, paramiko.PKey]]:
    """Shows its ed25519 host key to whoever connects, and lets nobody in."""
    (folder / "host_key").write_bytes(sshkey.generate("server").private)
    (folder / "host_key").chmod(0o600)
    key = paramiko.Ed25519Key.from_private_key_file(str(folder / "host_key"))
    stop = threading.Event()
    with socket.create_server(("127.0.0.1", 0)) as listener:
        listener.settimeout(0.2)

        def serve() -> None:
            while not stop.is_set():
                try:
                    connection, _ = listener.accept()
                except TimeoutError:
                    continue
                transport = paramiko.Transport(connection)
                transport.add_server_key(key)
                with contextlib.suppress(paramiko.SSHException, EOFError, OSError):
                    transport.start_server(server=paramiko.ServerInterface(), event=threading.Event())
                    transport.join(5)
                transport.close()

        thread = threading.Thread(target=serve, daemon=True)
        thread.start()
        try:
            yield int(listener.getsockname()[1]), key
        finally:
            stop.set()
            thread.join(10)


def test_the_key_is_the_servers(tmp_path: Path) -> None:
    with ssh_server(tmp_path) as (port, key):
        fetched = HostKey(*hostkey.fetch("127.0.0.1", port, within=10))
        scanned = run(
            ["ssh-keyscan", "-T", "5", "-t", "ed25519", "-p", str(port), "127.0.0.1"], within=20
        ).out
    assert fetched == HostKey("ssh-ed25519", key.get_base64())
    pinned = known_hosts.pin("", "127.0.0.1", port, fetched)
    assert pinned == scanned
    (tmp_path / "known_hosts").write_text(pinned)
    listed = run(["ssh-keygen", "-l", "-f", str(tmp_path / "known_hosts")], within=20).out
    assert fetched.fingerprint in listed
    found = run(
        ["ssh-keygen", "-F", f"[127.0.0.1]:{port}", "-f", str(tmp_path / "known_hosts")], within=20
    ).out
    assert fetched.blob in found


def test_ssh_keygens_hashed_lines_are_found(tmp_path: Path) -> None:
    key = HostKey("ssh-ed25519", sshkey.generate("x").public.split()[1].decode())
    path = tmp_path / "known_hosts"
    path.write_text(known_hosts.pin("", "192.0.2.11", 22, key))
    run(["ssh-keygen", "-H", "-f", str(path)], within=20)
    assert "192.0.2.11" not in path.read_text()
    assert known_hosts.lookup(path.read_text(), "192.0.2.11", 22) == (key,)


def test_nobody_listens() -> None:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port = int(listener.getsockname()[1])
    with pytest.raises(Unreachable, match=f"port {port}"):
        hostkey.fetch("127.0.0.1", port, within=2)


@pytest.mark.parametrize("answer", [b"", b"HTTP/1.1 400 Bad Request\r\n\r\n"], ids=["silent", "not ssh"])
def test_what_does_not_speak_ssh_costs_only_the_deadline(answer: bytes) -> None:
    done = threading.Event()

    def serve(listener: socket.socket) -> None:
        with listener.accept()[0] as connection:
            connection.sendall(answer)
            done.wait(10)

    with socket.create_server(("127.0.0.1", 0)) as listener:
        thread = threading.Thread(target=serve, args=[listener])
        thread.start()
        begin = time.monotonic()
        with pytest.raises(Unreachable, match="no SSH host key"):
            hostkey.fetch("127.0.0.1", int(listener.getsockname()[1]), within=1)
        assert time.monotonic() - begin < 5
        done.set()
        thread.join(10)
