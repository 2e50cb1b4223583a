"""Nodes' sshd with what hactl renders for them, in a network namespace, and `hactl doctor` beside.

    unshare --net python -m tests.support.doctor_nodes FOLDER [--off NODE] [--old NODE]

Prints what the doctor printed as JSON, with its exit code and the seconds that it took. Nothing but sshd
runs on these nodes, and all have this one network namespace. `--old`: a node whose dispatcher knows no
preflight.
"""

from __future__ import annotations

import argparse
import contextlib
import json
import os
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

from hactl.deploy.desired import render_secrets
from hactl.pki import sshkey
from hactl.pki.store import Store
from hactl.render.all import render
from hactl.spec.model import ClusterSpec
from tests.support.rendered import sample
from tests.support.servers import Daemon, program, wait_until
from tests.support.specs import SAMPLE

LIB = "/usr/local/lib/hactl/"
SSHD = (
    "ListenAddress {address}:22\nHostKey {folder}/host\n"
    "AuthorizedKeysFile {folder}/keys\nForceCommand {folder}/dispatch\n"
    "AuthenticationMethods publickey\nPermitRootLogin yes\nStrictModes no\nUsePAM no\nPidFile none\n"
)
# Whoever runs the test logs in as himself: the accounts of nodes are not there.
DOCTOR = """
import sys
from hactl.adapters import ssh
made = ssh.Dispatcher.__init__
ssh.Dispatcher.__init__ = lambda self, *a, **k: made(self, *a, **{**k, "user": "root"})
from hactl.cli.app import main
main(sys.argv[1:])
"""


def ip(*words: str) -> None:
    subprocess.run(["/usr/sbin/ip", *words], check=True, timeout=10)


def network() -> None:
    """The operator's own address; those of nodes are added as they come."""
    ip("link", "set", "lo", "up")
    ip("link", "add", "host0", "type", "veth", "peer", "name", "peer0")
    ip("address", "add", "192.0.2.2/24", "dev", "host0")
    for link in ("host0", "peer0"):
        ip("link", "set", link, "up")


@contextlib.contextmanager
def node(folder: Path, name: str, address: str, programs: dict[str, str], operator: str) -> Iterator[str]:
    """Its line for known_hosts."""
    folder.mkdir(parents=True)
    ip("address", "add", f"{address}/24", "dev", "host0")
    host = sshkey.generate("host")
    public = host.public.decode() if isinstance(host.public, bytes) else host.public
    (folder / "host").write_bytes(host.private)
    (folder / "host").chmod(0o600)
    for short, text in programs.items():
        here = text.replace('"/usr/bin/sudo", "-n", ', "").replace(f"'{LIB}", f"'{folder}/")
        (folder / short).write_text(here)
        (folder / short).chmod(0o755)
    (folder / "keys").write_text(f'restrict,command="{folder}/dispatch" {operator}')
    (folder / "sshd").write_text(SSHD.format(address=address, folder=folder))
    argv = [program("/usr/sbin/sshd", "openssh-server"), "-D", "-e", "-f", str(folder / "sshd")]
    daemon = Daemon(f"sshd of {name}", argv, folder / "log")
    daemon.start()
    try:
        wait_until("sshd listens", lambda: "Server listening" in daemon.tail(), 20)
        yield f"{address} {' '.join(public.split()[:2])}\n"
    finally:
        daemon.kill()


def programs_of(spec: ClusterSpec, state: Path, name: str, *, old: bool) -> dict[str, str]:
    files = render(spec, render_secrets(Store(state)))
    found = {f.path.removeprefix(LIB): f.content for f in files if f.node == name and f.path.startswith(LIB)}
    if old:
        found["dispatch"] = found["dispatch"].replace('"preflight": (preflight, 0), ', "")
    return {short: found[short] for short in ("dispatch", "preflight", "read-files")}


def main(folder: Path, off: str, old: str) -> None:
    spec, state = sample(), folder / "state"
    os.environ["HACTL_STATE"] = str(state)
    Store(state).init(spec)
    operator = (state / "ssh" / "id_ed25519.pub").read_text()
    Path("/run/sshd").mkdir(mode=0o755, exist_ok=True)
    network()
    with contextlib.ExitStack() as up:
        known = [
            up.enter_context(
                node(
                    folder / name,
                    name,
                    str(n.address),
                    programs_of(spec, state, name, old=name == old),
                    operator,
                )
            )
            for name, n in spec.nodes.items()
            if name != off
        ]
        (state / "known_hosts").write_text("".join(known))
        began = time.monotonic()
        argv = [sys.executable, "-c", DOCTOR, "--spec", str(SAMPLE), "doctor", "-o", "json"]
        done = subprocess.run(argv, capture_output=True, text=True, timeout=90, check=False)
        told = {"code": done.returncode, "took": time.monotonic() - began, "err": done.stderr}
        sys.stdout.write(json.dumps({**told, "said": json.loads(done.stdout or "null")}) + "\n")


if __name__ == "__main__":
    words = argparse.ArgumentParser()
    words.add_argument("folder", type=Path)
    words.add_argument("--off", default="")
    words.add_argument("--old", default="")
    given = words.parse_args()
    main(given.folder, given.off, given.old)
