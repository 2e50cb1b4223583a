"""What hactl renders for the sample spec, and a place that looks like one of its nodes.

`as_node` runs a program in a mount and network namespace of its own where the rendered files lie at their
real paths, over this machine's /etc, /usr/local and /opt: so the programs check exactly what a node gets.
"""

from __future__ import annotations

import functools
import os
import subprocess
from collections.abc import Iterator, Sequence
from pathlib import Path

from hactl.render.all import render
from hactl.render.secrets import RenderSecrets
from hactl.render.targets import RenderedFile
from hactl.spec.model import ClusterSpec
from tests.support.specs import edited

# $1 the node's tree; then the command. Accounts, the programs of /opt and the interface are part of a node.
_ENTER = """
set -e
tree=$1; shift
for folder in etc usr/local opt; do
    mkdir -p "$tree/$folder"
    mount -t overlay overlay -o "lowerdir=$tree/$folder:/$folder" "/$folder"
done
ip link set lo up
ip link add host0 type veth peer name peer0
exec "$@"
"""
_ACCOUNTS = ("hactl", "postgres", "etcd", "orthanc", "prometheus")


def sample(**changes: object) -> ClusterSpec:
    return ClusterSpec.model_validate({**edited({}), **changes})


def secrets(spec: ClusterSpec) -> RenderSecrets:
    """Fixed and unlike any other word of a file: golden files are stable, and masking can be checked."""
    verifier = "SCRAM-SHA-256$4096:{:0>24}$" + "A" * 43 + "=:" + "B" * 43 + "="
    roles = ("replicator", "rewind", spec.database.name, "hactl_monitor", "hactl_probe")
    return RenderSecrets(
        replicator="Secret1replicator", rewind="Secret2rewind", app="Secret3app", monitor="Secret4monitor",
        probe="Secret5probe", patroni_rest="Secret9rest", orthanc_admin="Secret6admin",
        orthanc_ops="Secret7ops", bmc="Secret8bmc",
        scram={role: verifier.format(f"{n}=") for n, role in enumerate(roles)},
        ssh_public_key="ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIAhactlhactlhactlhactlhactl hactl@demo",
    )  # fmt: skip


@functools.cache
def rendered() -> tuple[RenderedFile, ...]:
    spec = sample()
    return render(spec, secrets(spec))


def files_of(node: str) -> Iterator[RenderedFile]:
    yield from (file for file in rendered() if file.node == node)


def content(node: str, path: str) -> str:
    return next(file.content for file in files_of(node) if file.path == path)


def install(node: str, tree: Path, files: Sequence[RenderedFile] = ()) -> Path:
    """Lay the node's files, and what packages and `deploy` put beside them, under `tree`."""
    for file in (f for f in files or rendered() if f.node == node):
        target = tree / file.path.lstrip("/")
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_text(file.content)
        target.chmod(int(file.mode, 8))
    for name in ("passwd", "group"):
        known = Path("/etc", name).read_text()
        line = "{0}:x:{1}:{1}::/nonexistent:/bin/sh\n" if name == "passwd" else "{0}:x:{1}:\n"
        new = "".join(line.format(a, 9000 + n) for n, a in enumerate(_ACCOUNTS) if f"{a}:" not in known)
        (tree / "etc" / name).write_text(known + new)
    for name in ("patroni", "hactl"):
        program = tree / f"opt/{name}/bin/{name}"
        program.parent.mkdir(parents=True, exist_ok=True)
        program.write_text("#!/bin/sh\n")
        program.chmod(0o755)
    return tree


def as_node(tree: Path, argv: Sequence[str], *, within: float = 60) -> subprocess.CompletedProcess[str]:
    """Run `argv` as root on the imitated node; fails when this machine does not allow namespaces."""
    mine = [] if os.geteuid() == 0 else ["--user", "--map-root-user"]
    unshare = ["/usr/bin/unshare", *mine, "--mount", "--net", "--ipc", "sh", "-c", _ENTER, "enter", str(tree)]
    return subprocess.run([*unshare, *argv], capture_output=True, text=True, timeout=within, check=False)
