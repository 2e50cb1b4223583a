"""Real servers on loopback: etcd with mutual TLS, a PostgreSQL pair under Patroni.

Every test gets a /24 of its own out of 127.0.0.0/8, so the nodes have their usual ports on addresses of
their own, as in an installation, and tests that run at the same time do not meet.

    with loopback() as net, etcd_cluster(net) as etcd, patroni_pair(net) as pair:
        pair.wait_streaming()
"""

from __future__ import annotations

import base64
import contextlib
import http.client
import json
import os
import shutil
import signal
import ssl
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from ipaddress import IPv4Address, IPv4Interface
from pathlib import Path
from typing import Any

import yaml

from hactl import layout
from hactl.adapters.http import HttpsClient
from hactl.site import Site
from hactl.spec.load import load
from hactl.spec.model import ClusterSpec
from tests.support import postmaster
from tests.support.leftovers import scratch
from tests.support.ports import free_network
from tests.support.tls import Issued, TestCa

_HOSTS = {"db1": 11, "db2": 12, "wit1": 13, "arc1": 21, "arc2": 22}
_DEMO = Path(__file__).resolve().parents[1] / "samples" / "cluster.yaml"
VOTERS = ("db1", "db2", "wit1")


def wait_until(what: str, ok: Callable[[], bool], within: float) -> None:
    """Ask until `ok`, soon at first, then each 0.1 s; in vain, the test fails with what it waited for."""
    end, pause = time.monotonic() + within, 0.02
    while not ok():
        if time.monotonic() > end:
            raise AssertionError(f"{what}: not within {within:g} s")
        time.sleep(pause)
        pause = min(2 * pause, 0.1)


def program(path: str, package: str) -> str:
    found = shutil.which(path)
    if found is None:
        raise AssertionError(f"{path} is missing: apt-get install {package}")
    return found


def drop_root() -> dict[str, Any]:
    """Popen's arguments that make it run as postgres when the tests run as root: PostgreSQL refuses root."""
    if os.geteuid() != 0:
        return {}
    return {"user": "postgres", "group": "postgres", "extra_groups": []}


@dataclass
class Loopback:
    """A folder and a /24 that imitate an installation's network."""

    folder: Path
    prefix: str
    ca: TestCa
    cert: Issued = field(init=False)

    def __post_init__(self) -> None:
        vips = [f"{self.prefix}.100", f"{self.prefix}.101"]
        addresses = [*(self.address(n) for n in _HOSTS), *vips, "127.0.0.1"]
        self.cert = self.ca.issue("node", [*addresses, "localhost", *_HOSTS])

    def address(self, node: str) -> str:
        return f"{self.prefix}.{_HOSTS[node]}"

    def spec(self, nodes: tuple[str, ...] = tuple(_HOSTS)) -> ClusterSpec:
        """The demo spec, moved here. A copy is not validated: loopback addresses are no machine's."""
        demo = load(_DEMO.read_text(), str(_DEMO))
        moved = {n: demo.nodes[n].model_copy(update={"address": IPv4Address(self.address(n))}) for n in nodes}
        vips = demo.vips.model_copy(
            update={
                name: vip.model_copy(update={"address": IPv4Interface(f"{self.prefix}.{host}/24")})
                for name, vip, host in (
                    ("database", demo.vips.database, 100),
                    ("archive", demo.vips.archive, 101),
                )
            }
        )
        return demo.model_copy(update={"nodes": moved, "vips": vips})

    def site(self) -> Site:
        return Site(
            state=self.folder, ca=self.ca.crt, cert=self.cert.cert, key=self.cert.key,
            pgpass=self.folder / "pgpass", known_hosts=self.folder / "known_hosts", ssh_key=None,
            on_node=False, lab=None,
        )  # fmt: skip

    def owned(self, path: Path) -> Path:
        if os.geteuid() == 0:
            shutil.chown(path, "postgres", "postgres")
        return path


@contextlib.contextmanager
def loopback() -> Iterator[Loopback]:
    with scratch() as folder:
        net = Loopback(folder, free_network(), TestCa(folder))
        net.owned(net.cert.key)
        yield net


@dataclass
class Daemon:
    """One server process in a process group of its own; `stop` is kind, `kill` is a power cut."""

    name: str
    argv: list[str]
    log: Path
    options: dict[str, Any] = field(default_factory=dict)
    process: subprocess.Popen[bytes] | None = None

    def start(self) -> None:
        with self.log.open("ab") as out:
            self.process = subprocess.Popen(
                self.argv, stdin=subprocess.DEVNULL, stdout=out, stderr=out, start_new_session=True,
                cwd="/", **self.options,
            )  # fmt: skip

    def _signal(self, number: signal.Signals) -> None:
        if self.process is None:
            return
        with contextlib.suppress(ProcessLookupError):
            os.killpg(self.process.pid, number)

    def stop(self, within: float = 10) -> None:
        if self.process is None:
            return
        if self.process.poll() is None:
            self.process.terminate()
            with contextlib.suppress(subprocess.TimeoutExpired):
                self.process.wait(within)
        self.kill()

    def kill(self) -> None:
        self._signal(signal.SIGKILL)
        if self.process is not None:
            self.process.wait(10)

    def tail(self) -> str:
        return "\n".join(self.log.read_text(errors="replace").splitlines()[-15:])


@dataclass
class EtcdCluster:
    members: dict[str, Daemon]
    endpoints: dict[str, str]

    def wait_leader(self, within: float = 20) -> None:
        for name, member in self.members.items():
            wait_until(
                f"etcd {name} knows a leader",
                lambda log=member.log: "elected leader" in log.read_text(errors="replace"),  # type: ignore[misc]
                within,
            )


def _etcd_argv(net: Loopback, name: str, names: tuple[str, ...]) -> list[str]:
    address = net.address(name)
    client, peer = (
        f"https://{address}:{layout.PORT_ETCD_CLIENT}",
        f"https://{address}:{layout.PORT_ETCD_PEER}",
    )
    initial = ",".join(f"{n}=https://{net.address(n)}:{layout.PORT_ETCD_PEER}" for n in names)
    tls = ["--{}cert-file", str(net.cert.cert), "--{}key-file", str(net.cert.key),
           "--{}trusted-ca-file", str(net.ca.crt), "--{}client-cert-auth"]  # fmt: skip
    return [
        program("etcd", "etcd-server"), "--name", name, "--data-dir", str(net.folder / f"etcd-{name}"),
        "--listen-client-urls", client, "--advertise-client-urls", client,
        "--listen-peer-urls", peer, "--initial-advertise-peer-urls", peer,
        "--initial-cluster", initial, "--initial-cluster-token", net.prefix,
        "--heartbeat-interval", "100", "--election-timeout", "1000", "--pre-vote", "--unsafe-no-fsync",
        *(t.format("") for t in tls), *(t.format("peer-") for t in tls),
    ]  # fmt: skip


@contextlib.contextmanager
def etcd_cluster(
    net: Loopback, names: tuple[str, ...] = VOTERS, more: tuple[str, ...] = ()
) -> Iterator[EtcdCluster]:
    """etcd members with client and peer certificates demanded; started, with a leader. `more`: options."""
    members = {n: Daemon(n, [*_etcd_argv(net, n, names), *more], net.folder / f"etcd-{n}.log") for n in names}
    urls = {n: f"https://{net.address(n)}:{layout.PORT_ETCD_CLIENT}" for n in names}
    try:
        for member in members.values():
            member.start()
        cluster = EtcdCluster(members, urls)
        cluster.wait_leader()
        yield cluster
    finally:
        for member in members.values():
            member.kill()


def put_key(http: HttpsClient, endpoint: str, key: str, value: str) -> None:
    pair = {name: base64.b64encode(text.encode()).decode() for name, text in (("key", key), ("value", value))}
    reply = http.send("POST", f"{endpoint}/v3/kv/put", body=json.dumps(pair).encode(), within=5)
    assert reply.status == 200, reply


def release_leader(net: Loopback, endpoint: str) -> None:
    """Takes Patroni's leader key away, as hactl's controller does: nobody waits for its 20 s to pass."""
    site = net.site()
    key = base64.b64encode(f"{layout.ETCD_NAMESPACE}/demo/leader".encode()).decode()
    body, url = json.dumps({"key": key}).encode(), f"{endpoint}/v3/kv/deleterange"
    reply = HttpsClient(site.ca, site.cert, site.key).send("POST", url, body=body, within=5)
    assert json.loads(reply.body).get("deleted") == "1", reply


@dataclass
class PatroniPair:
    net: Loopback
    members: dict[str, Daemon]
    bin: Path

    def ask(self, node: str, path: str) -> Any:
        """One GET at a member's REST API, as JSON; None when nothing answers."""
        context = ssl.create_default_context(cafile=str(self.net.ca.crt))
        context.load_cert_chain(self.net.cert.cert, self.net.cert.key)
        connection = http.client.HTTPSConnection(
            self.net.address(node), layout.PORT_PATRONI, timeout=3, context=context
        )
        try:
            connection.request("GET", path)
            return json.loads(connection.getresponse().read())
        except (OSError, http.client.HTTPException, ValueError):
            return None
        finally:
            connection.close()

    def states(self) -> dict[str, tuple[str, str]]:
        """Role and state of each member as Patroni's /cluster says; asked wherever somebody answers."""
        for node in self.members:
            if answer := self.ask(node, "/cluster"):
                return {m["name"]: (m["role"], m["state"]) for m in answer.get("members", [])}
        return {}

    def leader(self) -> str | None:
        return next((n for n, seen in self.states().items() if seen == ("leader", "running")), None)

    def wait_streaming(self, within: float = 60) -> str:
        """Wait for one leader and one synchronous standby; answers the leader's name."""
        wait_until(
            f"a leader and a streaming synchronous standby ({self.logs()})",
            lambda: sorted(self.states().values()) == [("leader", "running"), ("sync_standby", "streaming")],
            within,
        )
        leader = self.leader()
        assert leader is not None
        return leader

    def kill(self, node: str) -> None:
        """A power cut: Patroni and every process of its PostgreSQL at once."""
        self.members[node].kill()
        pidfile = self.net.folder / f"data-{node}" / "postmaster.pid"
        if pidfile.exists():
            postmaster = int(pidfile.read_text().split()[0])
            with contextlib.suppress(ProcessLookupError):
                os.killpg(os.getpgid(postmaster), signal.SIGKILL)

    @contextlib.contextmanager
    def frozen(self, node: str) -> Iterator[None]:
        """Its Patroni is stopped by SIGSTOP for as long as the block runs; PostgreSQL goes on."""
        process = self.members[node].process
        assert process is not None
        process.send_signal(signal.SIGSTOP)
        try:
            yield
        finally:
            process.send_signal(signal.SIGCONT)

    def stop(self) -> None:
        for node, member in self.members.items():
            member.kill()
            postmaster.end(self.net.folder / f"data-{node}")

    def psql(self, node: str, sql: str) -> str:
        done = subprocess.run(
            [str(self.bin / "psql"), "-XAtqd", "postgres", "-h", str(self.net.folder / f"run-{node}"),
             "-U", "postgres", "-c", sql],
            check=True, capture_output=True, text=True, timeout=10, cwd="/", **drop_root(),
        )  # fmt: skip
        return done.stdout.strip()

    def logs(self) -> str:
        return f"logs in {self.net.folder}"


_BOOTSTRAP: dict[str, Any] = {
    "dcs": {
        "ttl": 20, "loop_wait": 1, "retry_timeout": 5, "primary_start_timeout": 0,
        "synchronous_mode": True, "postgresql": {"use_pg_rewind": True},
    },
    "initdb": ["data-checksums", {"encoding": "UTF8"}, {"auth-local": "trust"}, "no-sync"],
}  # fmt: skip


def _patroni_config(net: Loopback, node: str, etcd_names: tuple[str, ...], pg_bin: Path) -> dict[str, Any]:
    address, cert = net.address(node), str(net.cert.cert)
    key, ca, folder = str(net.cert.key), str(net.ca.crt), net.folder
    run = net.owned(Path(tempfile.mkdtemp(dir=folder)).rename(folder / f"run-{node}"))
    return {
        "scope": "demo",
        "namespace": layout.ETCD_NAMESPACE,
        "name": node,
        "restapi": {
            "listen": f"{address}:{layout.PORT_PATRONI}",
            "connect_address": f"{address}:{layout.PORT_PATRONI}",
            "certfile": cert, "keyfile": key, "cafile": ca, "verify_client": "required",
        },
        "ctl": {"cacert": ca, "certfile": cert, "keyfile": key},
        "etcd3": {
            "hosts": [f"{net.address(n)}:{layout.PORT_ETCD_CLIENT}" for n in etcd_names],
            "protocol": "https", "cacert": ca, "cert": cert, "key": key,
        },
        "bootstrap": _BOOTSTRAP,
        "postgresql": {
            "listen": f"{address}:{layout.PORT_POSTGRES}",
            "connect_address": f"{address}:{layout.PORT_POSTGRES}",
            "bin_dir": str(pg_bin), "data_dir": str(folder / f"data-{node}"), "use_unix_socket": True,
            "authentication": {
                "superuser": {"username": "postgres"},
                "replication": {"username": "replicator", "password": "loopback"},
                "rewind": {"username": "rewind", "password": "loopback"},
            },
            "pgpass": str(run / "pgpass"),
            "parameters": {
                "unix_socket_directories": str(run), "fsync": "off", "wal_log_hints": "on",
                "shared_buffers": "32MB", "max_connections": 30,
            },
            "pg_hba": ["local all all trust", "host all all 127.0.0.0/8 scram-sha-256",
                       "host replication replicator 127.0.0.0/8 scram-sha-256"],
        },
    }  # fmt: skip


@contextlib.contextmanager
def patroni_pair(
    net: Loopback,
    etcd_names: tuple[str, ...] = VOTERS,
    postgresql: Mapping[str, Any] | None = None,
    environment: Mapping[str, str] | None = None,
    restapi: Mapping[str, Any] | None = None,
) -> Iterator[PatroniPair]:
    """db1 and db2 under Patroni, synchronous, client certificates demanded. Needs `etcd_cluster` first.

    `postgresql`, `restapi`: more settings of these sections. `environment`: more variables for Patroni.
    """
    pg_bin = Path(str(layout.pg_bin(15)))
    program(str(pg_bin / "postgres"), "postgresql-15")
    members, options = {}, {**drop_root(), "env": {**os.environ, **(environment or {})}}
    for node in ("db1", "db2"):
        config = net.folder / f"patroni-{node}.yml"
        settings = _patroni_config(net, node, etcd_names, pg_bin)
        settings["postgresql"].update(postgresql or {})
        settings["restapi"].update(restapi or {})
        config.write_text(yaml.safe_dump(settings))
        data = net.folder / f"data-{node}"
        data.mkdir(mode=0o700)
        net.owned(data)
        argv = [sys.executable, "-m", "patroni", str(config)]
        members[node] = Daemon(node, argv, net.folder / f"patroni-{node}.log", options)
    pair = PatroniPair(net, members, pg_bin)
    try:
        for member in members.values():
            member.start()
        yield pair
    finally:
        pair.stop()
