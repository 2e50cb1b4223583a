"""A machine's disks before its first boot: who it is, its host key, who may log in; where its data go."""

from __future__ import annotations

import shutil
import uuid
from dataclasses import dataclass
from pathlib import Path

from hactl.adapters.command import run
from hactl.lab import datadisk
from hactl.lab.folder import MachineFolder, replace

HOST_KEY = Path("etc/ssh/ssh_host_ed25519_key")
# They cover the image's, so they must have the image's owners and modes.
_FOLDERS = (
    ("", 0o755),
    ("etc", 0o755),
    ("etc/ssh", 0o755),
    ("etc/ssh/sshd_config.d", 0o755),
    ("root", 0o700),
    ("root/.ssh", 0o700),
)


@dataclass(frozen=True)
class Contents:
    """What a new disk says. `data_owner`, `etcd_owner`: user and group id of that disk's root; None: none."""

    name: str
    hosts: str
    authorized_key: str
    ssh_port: int
    data_owner: tuple[int, int] | None = None
    etcd_owner: tuple[int, int] | None = None


def prepare(folder: MachineFolder, contents: Contents) -> None:
    """Make the disks if there are none. They appear whole or not at all, whenever `lab up` is killed."""
    for path in (folder.path, folder.work, folder.root):
        path.mkdir(mode=0o755, parents=True, exist_ok=True)
    if folder.upper.is_dir():
        return
    new = folder.path / "upper.new"
    if new.exists():
        shutil.rmtree(new)
    for inside, mode in _FOLDERS:
        (new / inside).mkdir()
        (new / inside).chmod(mode)
    replace(new / "etc/hostname", f"{contents.name}\n")
    replace(new / "etc/hosts", contents.hosts)
    # With an id of its own the machine does not take this for a first boot, which would preset its services.
    replace(new / "etc/machine-id", f"{uuid.uuid4().hex}\n", 0o444)
    replace(new / "root/.ssh/authorized_keys", contents.authorized_key, 0o600)
    replace(new / "etc/ssh/sshd_config.d/hactl-lab-port.conf", f"Port {contents.ssh_port}\n")
    words = ["-q", "-t", "ed25519", "-N", "", "-C", f"root@{contents.name}", "-f", str(new / HOST_KEY)]
    run(["ssh-keygen", *words], within=20)
    if contents.data_owner and not folder.data.exists():
        datadisk.make(folder.data, contents.data_owner)
    if contents.etcd_owner and not folder.etcd.exists():
        datadisk.make(folder.etcd, contents.etcd_owner, datadisk.ETCD_SIZE)
    new.rename(folder.upper)


def host_key(folder: MachineFolder) -> str:
    """The public host key: type and base64, as known_hosts wants it."""
    words = folder.upper.joinpath(f"{HOST_KEY}.pub").read_text(encoding="ascii").split()
    return f"{words[0]} {words[1]}"
