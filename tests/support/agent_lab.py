"""One database node's agent in a network namespace of its own, with a real etcd and a real packet filter.

    with agent_lab() as lab:
        lab.lead()                  # Patroni's leader key names this node
        lab.start_agent()
        lab.wait_stand(vip=True)

The test's own thread is inside the node's namespace. A client is in another one, behind a veth pair: what it
sends to the virtual IP passes the node's packet filter as a packet from outside.
"""

from __future__ import annotations

import contextlib
import http.server
import json
import os
import pickle
import shutil
import signal
import socket
import ssl
import subprocess
import sys
import threading
from collections.abc import Iterator
from dataclasses import dataclass, field
from ipaddress import IPv4Interface
from pathlib import Path

from hactl import layout
from hactl.adapters.command import run
from hactl.adapters.etcd_kv import EtcdKvClient
from hactl.adapters.http import HttpsClient
from hactl.lab import netns
from hactl.render import keepalived, lease
from hactl.spec.model import ClusterSpec
from hactl.view.keys import Keys
from hactl.view.kv import Delete, Get, Put
from tests.support.node_net import Echo, Flow, ip, namespaces
from tests.support.rendered import secrets as render_secrets
from tests.support.servers import Daemon, EtcdCluster, Loopback, etcd_cluster, loopback, wait_until

VIP = "192.0.2.100"
NODE = "db1"
_RUNNER = Path(__file__).with_name("agent_runner.py")


class _Patroni(http.server.BaseHTTPRequestHandler):
    def do_GET(self) -> None:
        self.send_response(int(getattr(self.server, "answer", 503)))
        self.end_headers()

    def log_message(self, *_: object) -> None:
        pass


class PatroniStub(http.server.ThreadingHTTPServer):
    """Answers /primary on 127.0.0.1:8008 with `answer`."""

    answer = 200
    daemon_threads = True

    def __init__(self, net: Loopback) -> None:
        super().__init__(("127.0.0.1", layout.PORT_PATRONI), _Patroni)
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(net.cert.cert, net.cert.key)
        self.socket = context.wrap_socket(self.socket, server_side=True, do_handshake_on_connect=False)
        threading.Thread(target=self.serve_forever, kwargs={"poll_interval": 0.1}, daemon=True).start()

    def handle_error(self, *_: object) -> None:
        pass


@dataclass
class AgentLab:
    net: Loopback
    node_ns: str
    client_ns: str
    etcd: EtcdCluster
    patroni: PatroniStub
    kv: EtcdKvClient
    spec: ClusterSpec
    folder: Path
    keys: Keys = field(default_factory=lambda: Keys("demo"))
    agent: Daemon | None = None
    flows: list[Flow] = field(default_factory=list)

    # --- etcd

    def put(self, key: str, value: str) -> None:
        self.kv.txn((), (Put(key, value),), within=5, again=True)

    def delete(self, key: str) -> None:
        self.kv.txn((), (Delete(key),), within=5, again=True)

    def get(self, key: str) -> str | None:
        found = self.kv.ranges((Get(key),), within=5).ranges[0]
        return found[0].value if found else None

    def lead(self, node: str = NODE) -> None:
        self.put(self.keys.leader, node)

    def fence(self, epoch: int = 1) -> None:
        self.put(self.keys.fence(NODE), json.dumps({"epoch": epoch}))

    # --- the agent

    def start_agent(self) -> Daemon:
        config = {
            "folder": str(self.folder),
            "pki": str(self.pki()),
            "node": NODE,
        }
        # Not as YAML: loopback addresses are no machine's, so a spec with them cannot be loaded.
        (self.folder / "spec").write_bytes(pickle.dumps(self.spec))
        file = self.folder / "agent.json"
        file.write_text(json.dumps(config))
        self.agent = Daemon("agent", [sys.executable, str(_RUNNER), str(file)], self.folder / "agent.log")
        self.agent.start()
        return self.agent

    def signal_agent(self, number: signal.Signals) -> None:
        assert self.agent is not None
        assert self.agent.process is not None
        os.kill(self.agent.process.pid, number)

    def said(self) -> str:
        return (self.folder / "agent.log").read_text(errors="replace")

    def events(self, name: str) -> list[dict[str, object]]:
        found = []
        for line in self.said().splitlines():
            with contextlib.suppress(ValueError):
                event = json.loads(line)
                if event.get("event") == name:
                    found.append(event)
        return found

    def acts(self) -> list[str]:
        path = self.folder / "acts"
        return path.read_text().split("\n")[:-1] if path.exists() else []

    def postgres_runs(self, *, runs: bool) -> None:
        path = self.folder / "postgres"
        if runs:
            path.write_text("")
        else:
            path.unlink(missing_ok=True)

    # --- what others see

    def track(self) -> str:
        path = self.folder / "run" / "track"
        return path.read_text().strip() if path.exists() else ""

    def word(self) -> float:
        return float((self.folder / "run" / "lease").read_text())

    def elements(self, name: str = "lease") -> str:
        return run(["nft", "list", "set", "inet", "hactl_lease", name], within=5).out

    def passes(self) -> bool:
        return VIP in self.elements()

    def endless(self) -> bool:
        listed = self.elements()
        return VIP in listed and "expires" not in listed

    def take_vip(self) -> None:
        ip("address", "add", f"{VIP}/24", "dev", "node0")

    def has_vip(self) -> bool:
        return bool(ip("-o", "-4", "address", "show", "to", f"{VIP}/32").strip())

    def wait_stand(self, *, vip: bool, within: float = 30) -> None:
        want = "0" if vip else "-254"
        wait_until(f"track file says {want}", lambda: self.track() == want, within)
        wait_until(f"the lease {'stands' if vip else 'is gone'}", lambda: self.passes() is vip, within)

    def flow(self) -> Flow:
        with netns.entered(self.client_ns):
            sock = socket.create_connection((VIP, layout.PORT_POSTGRES), timeout=3)
        sock.settimeout(None)
        flow = Flow(sock)
        flow.start()
        self.flows.append(flow)
        wait_until("the flow runs", flow.alive, 10)
        return flow

    def pki(self) -> Path:
        """As on a node; at first the test's own certificate under both names."""
        folder = self.folder / "pki"
        folder.mkdir(exist_ok=True)
        for name, file in (
            ("ca.crt", self.net.ca.crt),
            ("hactl.crt", self.net.cert.cert),
            ("hactl.key", self.net.cert.key),
            ("hactl-spare.crt", self.net.cert.cert),
            ("hactl-spare.key", self.net.cert.key),
        ):
            if not (folder / name).exists():
                shutil.copy(file, folder / name)
        return folder

    def rendered(self, path: str) -> str:
        """A file as rendered for this node, with its paths moved into the test's folder."""
        known = render_secrets(self.spec)
        files = (*lease.render(self.spec, known), *keepalived.render(self.spec, known))
        content = next(f.content for f in files if (f.node, f.path) == (NODE, path))
        for there, here in (
            (str(layout.RUN), self.folder / "run"),
            (str(layout.PKI), self.pki()),
            (f"{layout.STATE}/", f"{self.folder}/state/"),
        ):
            content = content.replace(there, str(here))
        return content


@contextlib.contextmanager
def agent_lab(length: str = "3s", etcd: tuple[str, ...] = ()) -> Iterator[AgentLab]:
    """`etcd`: more of its options."""
    with (
        namespaces() as (node, client),
        netns.entered(node),
        loopback() as net,
        etcd_cluster(net, ("db1",), etcd) as cluster,
    ):
        patroni, echo = PatroniStub(net), Echo(layout.PORT_POSTGRES)
        lab = _lab(net, (node, client), cluster, patroni, length)
        try:
            yield lab
        finally:
            for flow in lab.flows:
                flow.close()
            if lab.agent is not None:
                lab.agent.kill()
            patroni.shutdown()
            patroni.server_close()
            echo.close()
            lab.kv.close()


def _lab(
    net: Loopback, ns: tuple[str, str], etcd: EtcdCluster, patroni: PatroniStub, length: str
) -> AgentLab:
    kv = EtcdKvClient(etcd.endpoints, HttpsClient(net.ca.crt, net.cert.cert, net.cert.key))
    spec = net.spec(("db1", "db2"))
    vips = spec.vips.model_copy(
        update={
            "database": spec.vips.database.model_copy(
                update={"address": IPv4Interface(f"{VIP}/24"), "interface": "node0"}
            )
        }
    )
    fencing = spec.fencing.model_copy(update={"lease": type(spec.fencing.lease).parse(length)})
    spec = spec.model_copy(update={"vips": vips, "fencing": fencing})
    for name in ("run", "state", "canary"):
        (net.folder / name).mkdir()
    lab = AgentLab(net, *ns, etcd, patroni, kv, spec, net.folder)
    (net.folder / "lease.nft").write_text(lab.rendered(str(layout.LEASE_RULES)))
    return lab


def subprocess_env() -> dict[str, str]:
    return {**os.environ, "LC_ALL": "C.UTF-8"}


def sh(script: Path, **env: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        ["/bin/sh", str(script)], env={**subprocess_env(), **env}, capture_output=True, text=True,
        timeout=30, check=False,
    )  # fmt: skip
