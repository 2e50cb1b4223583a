"""Our certificates and verifiers in a real PostgreSQL and a real etcd; renewal while they run."""

from __future__ import annotations

import contextlib
import os
import shutil
import socket
import ssl
import struct
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import psycopg2
import pytest
from cryptography import x509
from psycopg2.extensions import connection as Connection  # noqa: N812 - psycopg2's name for a class

from hactl.pki.store import Store
from tests.support.leftovers import scratch
from tests.support.loopback_postgres import Server, primary
from tests.support.pki import client_context, initialised, sample_spec
from tests.support.ports import free_port
from tests.support.servers import Daemon, program, wait_until

SPEC = sample_spec()
HBA = """\
local   all         postgres                 peer
hostssl all         replicator,rewind  127.0.0.1/32  scram-sha-256  clientcert=verify-full
hostssl all         all                127.0.0.1/32  scram-sha-256
host    all         all                0.0.0.0/0     reject
"""
TLS_REQUEST = struct.pack("!ii", 8, 80877103)  # PostgreSQL's SSLRequest


@dataclass
class Database:
    server: Server
    store: Store

    def connect(
        self, role: str, password: str, cert: tuple[Path, Path] | None = None, **options: str
    ) -> Connection:
        dsn = {
            "host": "127.0.0.1", "port": str(self.server.port), "dbname": "postgres", "user": role,
            "password": password, "sslmode": "verify-full", "sslrootcert": str(self.store.ca),
            "connect_timeout": "5", "sslcert": "", "passfile": "/dev/null", **options,
        }  # fmt: skip
        if cert:
            dsn |= {"sslcert": str(cert[0]), "sslkey": str(cert[1])}
        return psycopg2.connect(**dsn)

    def install(self) -> None:
        """What deploy does: certificate and key to where the server reads them, as its own account's."""
        for source, target in zip(
            self.store.cert("db1", "postgres"), ("server.crt", "server.key"), strict=True
        ):
            owned(shutil.copyfile(source, self.server.data / target))

    def served(self) -> int:
        """The serial number of the certificate that a new connection meets."""
        context = client_context(self.store)
        with socket.create_connection(("127.0.0.1", self.server.port), timeout=5) as plain:
            plain.sendall(TLS_REQUEST)
            assert plain.recv(1) == b"S"
            with context.wrap_socket(plain, server_hostname="127.0.0.1") as tls:
                return serial(tls.getpeercert(binary_form=True))


def serial(der: bytes | None) -> int:
    assert der is not None
    return x509.load_der_x509_certificate(der).serial_number


def owned(path: Path) -> None:
    path.chmod(0o600)
    if os.geteuid() == 0:
        shutil.chown(path, "postgres", "postgres")


@pytest.fixture(scope="module")
def store(tmp_path_factory: pytest.TempPathFactory) -> Store:
    return initialised(tmp_path_factory.mktemp("pki"))


@pytest.fixture(scope="module")
def database(store: Store) -> Iterator[Database]:
    with contextlib.ExitStack() as stack:
        base = stack.enter_context(scratch())
        server = stack.enter_context(primary(base / "data"))
        for role, verifier in store.secrets().scram.items():
            server.sql(f"CREATE ROLE {role} LOGIN PASSWORD '{verifier}'")
        server.stop("fast")
        found = Database(server, store)
        found.install()
        shutil.copyfile(store.ca, server.data / "ca.crt")
        owned(server.data / "ca.crt")
        (server.data / "pg_hba.conf").write_text(HBA)
        server.configure(
            ssl="on", ssl_cert_file="server.crt", ssl_key_file="server.key", ssl_ca_file="ca.crt",
            unix_socket_directories=str(server.data),
        )  # fmt: skip
        server.start()
        yield found


def test_our_verifiers_let_each_role_in(database: Database) -> None:
    secrets = database.store.secrets()
    for role, password in (
        ("orthanc", secrets.app),
        ("hactl_monitor", secrets.monitor),
        ("hactl_probe", secrets.probe),
    ):
        with contextlib.closing(database.connect(role, password.value, channel_binding="require")) as link:
            assert link.info.ssl_in_use
            assert link.info.user == role


def test_a_wrong_password_is_refused(database: Database) -> None:
    with pytest.raises(psycopg2.OperationalError, match="password authentication failed"):
        database.connect("orthanc", "wrong")


def test_verifiers_are_what_postgresql_stores(database: Database) -> None:
    out = database.server.as_postgres(
        "psql", "-h", str(database.server.data), "-p", str(database.server.port), "-AtF ", "-d", "postgres",
        "-c", "SELECT rolname, rolpassword FROM pg_authid WHERE rolpassword IS NOT NULL",
    )  # fmt: skip
    assert dict(line.split(" ", 1) for line in out.splitlines()) == dict(database.store.secrets().scram)


def test_pgpass_is_read_by_libpq(database: Database, tmp_path: Path) -> None:
    """The same lines, for the address that this server has."""
    text = database.store.pgpass.read_text().replace("192.0.2.100:5432", f"127.0.0.1:{database.server.port}")
    (tmp_path / "pgpass").write_text(text)
    (tmp_path / "pgpass").chmod(0o600)
    with contextlib.closing(database.connect("hactl_monitor", "", passfile=str(tmp_path / "pgpass"))) as link:
        assert link.info.user == "hactl_monitor"


@pytest.mark.parametrize("role", ["replicator", "rewind"])
def test_replication_needs_the_password_and_its_own_certificate(database: Database, role: str) -> None:
    password = getattr(database.store.secrets(), role).value
    other = {"replicator": "rewind", "rewind": "replicator"}[role]
    with contextlib.closing(database.connect(role, password, database.store.cert("db1", role))) as link:
        assert link.info.user == role
    with pytest.raises(psycopg2.OperationalError, match="certificate"):
        database.connect(role, password)
    with pytest.raises(psycopg2.OperationalError, match="authentication failed"):
        database.connect(role, password, database.store.cert("db1", other))
    with pytest.raises(psycopg2.OperationalError, match="password authentication failed"):
        database.connect(role, "wrong", database.store.cert("db1", role))


def test_a_client_certificate_of_a_foreign_ca_is_refused(database: Database, tmp_path: Path) -> None:
    foreign = initialised(tmp_path)
    password = database.store.secrets().replicator.value
    with pytest.raises(psycopg2.OperationalError, match=r"unknown ca|certificate verify failed"):
        database.connect("replicator", password, foreign.cert("db1", "replicator"))


def test_a_server_certificate_is_renewed_under_an_open_connection(database: Database) -> None:
    secrets = database.store.secrets()
    with contextlib.closing(database.connect("hactl_monitor", secrets.monitor.value)) as link:
        before = database.served()
        database.store.renew(SPEC, nodes=["db1"], uses=["postgres"], force=True)
        database.install()
        database.server.as_postgres(
            "/usr/lib/postgresql/15/bin/pg_ctl", "-D", str(database.server.data), "reload"
        )
        wait_until("the new certificate is served", lambda: database.served() != before, within=10)
        with link.cursor() as cursor:
            cursor.execute("SELECT 1")
            assert cursor.fetchone() == (1,)


@pytest.fixture(scope="module")
def member(store: Store, tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[int, int]]:
    """One etcd with mutual TLS; yields its ports for clients and for peers."""
    folder, client, peer = tmp_path_factory.mktemp("etcd"), free_port(), free_port()
    (cert, key), (peer_cert, peer_key) = store.cert("wit1", "etcd-server"), store.cert("wit1", "etcd-peer")
    url, own = f"https://127.0.0.1:{client}", f"https://127.0.0.1:{peer}"
    argv = [
        program("etcd", "etcd-server"), "--name", "wit1", "--data-dir", str(folder / "data"),
        "--listen-client-urls", url, "--advertise-client-urls", url,
        "--listen-peer-urls", own, "--initial-advertise-peer-urls", own, "--initial-cluster", f"wit1={own}",
        "--unsafe-no-fsync",
        "--cert-file", str(cert), "--key-file", str(key),
        "--trusted-ca-file", str(store.ca), "--client-cert-auth",
        "--peer-cert-file", str(peer_cert), "--peer-key-file", str(peer_key),
        "--peer-trusted-ca-file", str(store.ca), "--peer-client-cert-auth",
    ]  # fmt: skip
    server = Daemon("wit1", argv, folder / "log")
    server.start()
    try:
        wait_until("etcd answers", lambda: healthy(store, client, "ops", "ops"), within=20)
        yield client, peer
    finally:
        server.kill()


@pytest.fixture
def etcd(member: tuple[int, int]) -> int:
    return member[0]


def call(
    context: ssl.SSLContext, port: int, source: str = "127.0.0.1", path: str = "/health"
) -> tuple[int, bytes]:
    """(serial number of etcd's certificate, its answer). Raises OSError."""
    address = ("127.0.0.1", port)
    with (
        socket.create_connection(address, timeout=20, source_address=(source, 0)) as plain,
        context.wrap_socket(plain, server_hostname="127.0.0.1") as tls,
    ):
        tls.sendall(f"GET {path} HTTP/1.0\r\nHost: x\r\n\r\n".encode())
        number, answer = serial(tls.getpeercert(binary_form=True)), b""
        while more := tls.recv(4096):
            answer += more
        if not answer:
            raise ConnectionResetError("closed without an answer")
        return number, answer


def healthy(store: Store, port: int, node: str, use: str, source: str = "127.0.0.1") -> bool:
    try:
        return b'"health":"true"' in call(client_context(store, store.cert(node, use)), port, source)[1]
    except OSError:
        return False


@pytest.mark.parametrize(
    ("node", "use"), [("ops", "ops"), ("db1", "patroni"), ("wit1", "hactl"), ("wit1", "etcd-server")]
)
def test_etcd_lets_our_clients_in(store: Store, etcd: int, node: str, use: str) -> None:
    assert healthy(store, etcd, node, use)


def test_etcd_refuses_a_stranger_and_a_foreign_ca(store: Store, etcd: int, tmp_path: Path) -> None:
    assert not healthy(initialised(tmp_path), etcd, "ops", "ops")
    with pytest.raises(OSError, match=r"certificate|reset|closed"):
        call(client_context(store), etcd)


def test_etcd_compares_a_peers_address_with_its_names_but_not_a_clients(
    store: Store, member: tuple[int, int]
) -> None:
    """Why peers have every address that they may come from in their certificates."""
    client, peer = member
    peers = client_context(store, store.cert("wit1", "etcd-peer"))
    assert healthy(store, client, "db1", "patroni", source="127.0.0.77")
    assert b"wit1" in call(peers, peer, path="/members")[1]
    with pytest.raises(OSError, match=r"reset|closed|EOF"):  # after a look into DNS, which may take seconds
        call(peers, peer, source="127.0.0.77", path="/members")


def test_etcd_serves_a_renewed_certificate_without_a_restart(store: Store, etcd: int) -> None:
    ops = client_context(store, store.cert("ops", "ops"))
    before = call(ops, etcd)[0]
    store.renew(SPEC, nodes=["wit1"], uses=["etcd-server", "etcd-peer"], force=True)
    after, answer = call(ops, etcd)
    assert after != before
    assert b'"health":"true"' in answer
