"""The sample installation without an init: a network namespace a node, the rendered files at their places.

Programs are started one by one and see nothing but a node: its address on host0, its files in /etc/hactl,
its own /var/lib. Cheaper than the lab by far, and exact where a test is about what a rendered file makes a
program do.
"""

from __future__ import annotations

import contextlib
import os
import shutil
import signal
import subprocess
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from hactl import layout
from hactl.deploy.desired import render_secrets
from hactl.pki.store import Store
from hactl.pki.uses import certificates
from hactl.render.all import render
from hactl.render.targets import RenderedFile
from tests.support import leftovers
from tests.support.rendered import install, sample

# $1 the node's folder, $2 the network namespace, $3 the account; then the command.
_ENTER = """
set -e
node=$1; user=$2; shift 2
for folder in etc usr/local opt; do
    mount -t overlay overlay -o "lowerdir=$node/tree/$folder:/$folder" "/$folder"
done
for folder in run var/lib/postgresql var/lib/etcd; do
    mkdir -p "/$folder"
    mount --bind "$node/$folder" "/$folder"
done
cd /
exec setpriv --reuid "$user" --regid "$user" --init-groups "$@"
"""
_PLACES = {"var/lib/postgresql": "postgres", "var/lib/etcd": "etcd", "run/postgresql": "postgres"}


def _ip(*words: str) -> None:
    subprocess.run(["/usr/sbin/ip", *words], check=True, capture_output=True, timeout=10)


@dataclass
class Mini:
    """`exec` runs something to its end on a node, `start` leaves it running until the installation ends."""

    folder: Path
    tag: str
    files: tuple[RenderedFile, ...]
    running: list[subprocess.Popen[bytes]] = field(default_factory=list)

    def netns(self, node: str) -> str:
        return f"{self.tag}-{node}"

    def argv(self, node: str, argv: Sequence[str], user: str = "root") -> list[str]:
        enter = [
            "nsenter",
            f"--net=/run/netns/{self.netns(node)}",
            "unshare",
            "--mount",
            "--ipc",
            "sh",
            "-c",
            _ENTER,
        ]
        return [*enter, "enter", str(self.folder / node), user, *argv]

    def exec(
        self, node: str, argv: Sequence[str], *, user: str = "root", within: float = 30
    ) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            self.argv(node, argv, user), capture_output=True, text=True, timeout=within, check=False
        )

    def start(self, node: str, argv: Sequence[str], *, user: str = "root") -> subprocess.Popen[bytes]:
        name = f"{Path(argv[0]).name}.log"
        with (self.folder / node / name).open("ab") as log:
            daemon = subprocess.Popen(
                self.argv(node, argv, user), stdout=log, stderr=log, stdin=subprocess.DEVNULL,
                start_new_session=True,
            )  # fmt: skip
        self.running.append(daemon)
        return daemon

    def log(self, node: str, name: str) -> str:
        return (self.folder / node / f"{name}.log").read_text(errors="replace")[-3000:]

    def stop(self) -> None:
        """Cut the power: nothing of it is needed any more."""
        for node in ("sw", "ops", *sample().nodes):
            for pid in self._pids(node):
                with contextlib.suppress(ProcessLookupError):
                    os.kill(pid, signal.SIGKILL)
        for daemon in self.running:
            daemon.kill()
            daemon.wait(20)
        for node in ("sw", "ops", *sample().nodes):
            argv = ["/usr/sbin/ip", "netns", "del", self.netns(node)]
            subprocess.run(argv, capture_output=True, timeout=10, check=False)

    def _pids(self, node: str) -> list[int]:
        argv = ["/usr/sbin/ip", "netns", "pids", self.netns(node)]
        done = subprocess.run(argv, capture_output=True, text=True, timeout=10, check=False)
        return [int(word) for word in done.stdout.split()]


def _network(mini: Mini) -> None:
    switch = mini.netns("sw")
    _ip("netns", "add", switch)
    _ip("-n", switch, "link", "add", "br0", "type", "bridge")
    _ip("-n", switch, "link", "set", "br0", "up")
    addresses = {"ops": "192.0.2.2", **{name: str(node.address) for name, node in sample().nodes.items()}}
    for node, address in addresses.items():
        mine = mini.netns(node)
        _ip("netns", "add", mine)
        _ip("-n", mine, "link", "add", "host0", "type", "veth", "peer", "name", node, "netns", switch)
        _ip("-n", switch, "link", "set", node, "master", "br0", "up")
        _ip("-n", mine, "link", "set", "lo", "up")
        _ip("-n", mine, "address", "add", f"{address}/24", "dev", "host0")
        _ip("-n", mine, "link", "set", "host0", "up")


def _ids(tree: Path, account: str) -> tuple[int, int]:
    lines = [line.split(":") for line in (tree / "etc/passwd").read_text().splitlines()]
    return next((int(line[2]), int(line[3])) for line in lines if line[0] == account)


def _node(mini: Mini, store: Store, node: str) -> None:
    tree = install(node, mini.folder / node / "tree", mini.files)
    pki = tree / "etc/hactl/pki"
    pki.mkdir(parents=True)
    shutil.copy(store.ca, pki / "ca.crt")
    shutil.copy(store.dicom_ca, pki / layout.DICOM_CA.name)
    for wanted in certificates(sample()):
        if wanted.node == node:
            for source in store.cert(node, wanted.use):
                target = shutil.copy(source, pki / source.name)
                if source.suffix == ".key":
                    os.chown(target, *_ids(tree, wanted.owner))
    for file in mini.files:
        if file.node == node:
            uid, gid = _ids(tree, file.owner)[0], _ids(tree, file.group)[1]
            os.chown(tree / file.path.lstrip("/"), uid, gid)
    for place, owner in _PLACES.items():
        path = mini.folder / node / place
        path.mkdir(parents=True)
        os.chown(path, *_ids(tree, owner))
    if node in sample().databases:
        _open(mini.folder / node)


def _open(folder: Path) -> None:
    """No agent runs here: the node is in mode open, as `open-lease` would leave it."""
    for path, content in ((layout.OPEN_RUN, ""), (layout.TRACK_FILE, "0\n")):
        target = folder / str(path).lstrip("/")
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_text(content)


def require_root() -> None:
    if os.geteuid() != 0:
        raise AssertionError("this test makes network namespaces: run it as root")


@contextlib.contextmanager
def mini_installation() -> Iterator[Mini]:
    """Namespaces and files of every node; nothing runs yet. Afterwards nothing of it is left."""
    require_root()
    with leftovers.scratch() as folder:
        store = Store(folder / "state")
        store.init(sample())
        mini = Mini(folder, leftovers.name("mini"), render(sample(), render_secrets(store)))
        try:
            _network(mini)
            for node in sample().nodes:
                _node(mini, store, node)
            yield mini
        finally:
            mini.stop()
