"""One archive node's agent in a namespace of its own: real etcd, packet filter, keepalived and mounts.

The test's own thread is inside the node's namespace; a client is in another one, behind a veth pair. What
listens on the DICOM port is an echo: an association is a connection, whoever speaks through it.
"""

from __future__ import annotations

import contextlib
import json
import os
import pickle
import signal
import socket
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from ipaddress import IPv4Interface
from pathlib import Path

from hactl import layout
from hactl.adapters.command import run
from hactl.adapters.etcd_kv import EtcdKvClient
from hactl.adapters.http import HttpsClient
from hactl.lab import netns
from hactl.render import archive_guard, keepalived
from hactl.spec.model import ClusterSpec
from hactl.view.archive import Drain, DrainBy
from hactl.view.control import AgentFacts
from hactl.view.keys import Keys
from hactl.view.kv import Delete, Put
from hactl.view.parse.agent_facts import parse_agent_facts
from hactl.view.parse.archive import drain_text
from tests.support.node_net import Echo, Flow, ip, namespaces
from tests.support.rendered import secrets as render_secrets
from tests.support.servers import Daemon, Loopback, etcd_cluster, loopback, program, wait_until

VIP = "192.0.2.101"
NODE, ADDRESS = "arc1", "192.0.2.11"
DICOM = layout.PORT_DICOM_TLS
_RUNNER = Path(__file__).with_name("archive_runner.py")


@dataclass
class ArchiveLab:
    """`disks`: two tmpfs beside each other; either can be mounted as the image storage."""

    net: Loopback
    client_ns: str
    kv: EtcdKvClient
    spec: ClusterSpec
    folder: Path
    keys: Keys = field(default_factory=lambda: Keys("demo"))
    agent: Daemon | None = None
    flows: list[Flow] = field(default_factory=list)

    # --- the storage

    def mount(self, disk: str = "disk1") -> None:
        run(["mount", "--bind", str(self.folder / disk), str(self.folder / "images")], within=5)

    def unmount(self) -> None:
        run(["umount", "--lazy", str(self.folder / "images")], within=5)

    # --- etcd

    def drain(self, within: float = 5.0) -> None:
        wanted = Drain(NODE, DrainBy.OPERATOR, "a test", within=within)
        self.kv.txn((), (Put(self.keys.archive_drain(NODE), drain_text(wanted)),), within=5, again=True)

    def undrain(self) -> None:
        self.kv.txn((), (Delete(self.keys.archive_drain(NODE)),), within=5, again=True)

    def facts(self) -> AgentFacts | None:
        found = self.kv.range(self.keys.facts(NODE), within=5).first
        return None if found is None else parse_agent_facts(found.value)

    # --- the agent

    def start_agent(self) -> None:
        config = {
            "folder": str(self.folder), "ca": str(self.net.ca.crt), "cert": str(self.net.cert.cert),
            "key": str(self.net.cert.key), "node": NODE, "address": ADDRESS,
        }  # fmt: skip
        # Not as YAML: loopback addresses are no machine's, so a spec with them cannot be loaded.
        (self.folder / "spec").write_bytes(pickle.dumps(self.spec))
        file = self.folder / "agent.json"
        file.write_text(json.dumps(config))
        self.agent = Daemon("agent", [sys.executable, str(_RUNNER), str(file)], self.folder / "agent.log")
        self.agent.start()
        wait_until("the agent reports", lambda: self.facts() is not None, 20)

    def kill_agent(self) -> None:
        assert self.agent is not None
        assert self.agent.process is not None
        os.kill(self.agent.process.pid, signal.SIGKILL)
        self.agent.process.wait(10)

    def said(self) -> str:
        return (self.folder / "agent.log").read_text(errors="replace")

    def acts(self) -> list[str]:
        path = self.folder / "acts"
        return path.read_text().split("\n")[:-1] if path.exists() else []

    def track(self) -> str:
        path = self.folder / "run" / "archive-track"
        return path.read_text().strip() if path.exists() else ""

    # --- what others see

    def has_vip(self) -> bool:
        return bool(ip("-o", "-4", "address", "show", "to", f"{VIP}/32").strip())

    def wait_vip(self, *, here: bool, within: float) -> float:
        start = time.monotonic()
        while self.has_vip() is not here:
            assert time.monotonic() - start < within, f"VIP here: {not here}\n{self.said()[-1500:]}"
            time.sleep(0.01)
        return time.monotonic() - start

    def connect(self, address: str = VIP, within: float = 3.0) -> socket.socket:
        with netns.entered(self.client_ns):
            return socket.create_connection((address, DICOM), timeout=within)

    def flow(self) -> Flow:
        sock = self.connect()
        sock.settimeout(None)
        flow = Flow(sock)
        flow.start()
        self.flows.append(flow)
        wait_until("the flow runs", flow.alive, 3)
        return flow


def _moved(lab: ArchiveLab, text: str) -> str:
    checks = ("check-archive-index", "check-archive-hung", "check-archive")
    for name in checks:
        text = text.replace(str(layout.LIB / name), str(lab.folder / "well"))
    text = text.replace("script_user hactl", "script_user root")
    text = text.replace(lab.net.address("arc1"), ADDRESS).replace(lab.net.address("arc2"), "192.0.2.12")
    return text.replace(str(layout.RUN), str(lab.folder / "run"))


@contextlib.contextmanager
def _keepalived(lab: ArchiveLab) -> Iterator[None]:
    """As rendered; its scripts find this node fit."""
    well = lab.folder / "well"
    well.write_text("#!/bin/sh\nexit 0\n")
    well.chmod(0o755)
    rendered = keepalived.render(lab.spec, render_secrets(lab.spec))
    content = next(f.content for f in rendered if (f.node, f.path) == (NODE, str(layout.KEEPALIVED_CONFIG)))
    file = lab.folder / "keepalived.conf"
    file.write_text(_moved(lab, content))
    pids = (f"--pid={lab.folder}/ka.pid", f"--vrrp_pid={lab.folder}/vrrp.pid")
    argv = [program("keepalived", "keepalived"), "--dont-fork", "--log-console", "--vrrp", *pids]
    daemon = Daemon("keepalived", [*argv, f"--use-file={file}"], lab.folder / "keepalived.log")
    daemon.start()
    try:
        yield
    finally:
        daemon.stop()


@contextlib.contextmanager
def _disks(folder: Path) -> Iterator[None]:
    """Both have the marker: which one is ours only the images tell."""
    (folder / "images").mkdir()
    names = ("disk1", "disk2")
    try:
        for name in names:
            (folder / name).mkdir()
            run(["mount", "-t", "tmpfs", "-o", "size=4m", "tmpfs", str(folder / name)], within=5)
            (folder / name / layout.STORAGE_MARKER).write_text("demo\n")
            (folder / name / layout.STORAGE_SCRATCH).mkdir(mode=0o1777)
        yield
    finally:
        for name in ("images", "images", *names):
            run(["umount", "--lazy", str(folder / name)], within=5, check=False)


def _spec(net: Loopback) -> ClusterSpec:
    spec = net.spec(("db1", "arc1", "arc2"))
    vip = spec.vips.archive.model_copy(update={"address": IPv4Interface(f"{VIP}/24"), "interface": "node0"})
    return spec.model_copy(update={"vips": spec.vips.model_copy(update={"archive": vip})})


@contextlib.contextmanager
def archive_lab() -> Iterator[ArchiveLab]:
    """The agent and keepalived run, the storage is mounted, and the node holds the VIP."""
    with (
        namespaces() as (node, client),
        netns.entered(node),
        loopback() as net,
        etcd_cluster(net, ("db1",)) as etcd,
        _disks(net.folder),
    ):
        kv = EtcdKvClient(etcd.endpoints, HttpsClient(net.ca.crt, net.cert.cert, net.cert.key))
        for name in ("run", "state"):
            (net.folder / name).mkdir()
        net.folder.chmod(0o755)
        lab = ArchiveLab(net, client, kv, _spec(net), net.folder)
        files = archive_guard.render(lab.spec, render_secrets(lab.spec))
        rules = next(f.content for f in files if (f.node, f.path) == (NODE, str(layout.ARCHIVE_RULES)))
        (net.folder / "archive.nft").write_text(rules)
        echo = Echo(DICOM)
        lab.mount()
        try:
            lab.start_agent()
            with _keepalived(lab):
                lab.wait_vip(here=True, within=15)
                yield lab
        finally:
            for flow in lab.flows:
                flow.close()
            if lab.agent is not None:
                lab.agent.kill()
            echo.close()
            kv.close()
