"""Where a lab keeps what it has: one folder under /var/lib/hactl-lab, one file that describes it."""

from __future__ import annotations

import json
import os
import re
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from hactl.errors import Unreachable, UsageError
from hactl.lab.topology import Topology
from hactl.site import LAB_FILE

LABS: Final = Path("/var/lib/hactl-lab")
_NAME: Final = re.compile(r"[a-z][a-z0-9-]{0,31}")


@dataclass(frozen=True)
class MachineFolder:
    """`upper` is the disk, laid over the image at `root` in a mount namespace that dies with the machine.

    `data`: a database machine's second disk, `etcd`: that of a machine with etcd; each absent where there is
    none, or the lab is an older hactl's.
    """

    path: Path

    @property
    def upper(self) -> Path:
        return self.path / "upper"

    @property
    def work(self) -> Path:
        return self.path / "work"

    @property
    def root(self) -> Path:
        return self.path / "root"

    @property
    def data(self) -> Path:
        return self.path / "data.img"

    @property
    def etcd(self) -> Path:
        return self.path / "etcd.img"

    @property
    def log(self) -> Path:
        return self.path / "console.log"


@dataclass(frozen=True)
class LabFolder:
    path: Path

    @property
    def file(self) -> Path:
        return self.path / LAB_FILE

    @property
    def spec(self) -> Path:
        return self.path / "cluster.yaml"

    @property
    def state(self) -> Path:
        return self.path / "state"

    @property
    def storage(self) -> Path:
        """A folder that an older hactl's lab has instead of `images`."""
        return self.path / "storage"

    @property
    def images(self) -> Path:
        """The archive machines' common disk."""
        return self.path / "images.img"

    @property
    def hosts(self) -> Path:
        return self.path / "hosts"

    def dud(self, name: str) -> Path:
        """While it is there, that machine's BMC follows no order."""
        return self.path / f"bmc-{name}.dud"

    def orders(self, name: str) -> Path:
        """What that machine's BMC was told: a line of JSON each."""
        return self.path / f"bmc-{name}.orders"

    def machine(self, name: str) -> MachineFolder:
        return MachineFolder(self.path / "machines" / name)

    def read(self) -> dict[str, Any]:
        """What lab.json says.

        Raises:
            Unreachable: there is no such lab, or its `up` was interrupted before it began.

        """
        try:
            found: dict[str, Any] = json.loads(self.file.read_text(encoding="utf-8"))
        except (OSError, ValueError) as error:
            raise Unreachable(f"there is no lab in {self.path}", hint="hactl lab up") from error
        return found

    def write(self, facts: dict[str, Any]) -> None:
        replace(self.file, json.dumps(facts, indent=2) + "\n")


def check_name(name: str) -> str:
    """Raises UsageError unless it is a name that fits into names of cgroups, units and namespaces."""
    if not _NAME.fullmatch(name):
        raise UsageError(
            f"{name!r} cannot be a lab's name",
            hint="small letters, digits, hyphens; a letter first; at most 32",
        )
    return name


def folder_of(name: str) -> LabFolder:
    return LabFolder(LABS / name)


def replace(path: Path, text: str, mode: int = 0o644) -> None:
    """Write a file so that it is either the old one or the new one, whenever we are killed."""
    new = path.with_name(f".{path.name}.new")
    new.unlink(missing_ok=True)
    with os.fdopen(os.open(new, os.O_WRONLY | os.O_CREAT | os.O_EXCL, mode), "w", encoding="utf-8") as file:
        file.write(text)
    new.chmod(mode)
    new.replace(path)


def facts(topology: Topology, folder: LabFolder, image: Path) -> dict[str, Any]:
    """The contents of lab.json; other parts of hactl read `ops_netns` and `nodes`."""
    return {
        "name": topology.name,
        "ops_netns": topology.ops_netns,
        "spec": str(folder.spec),
        "image": str(image),
        "nodes": {
            m.name: {"netns": m.netns, "scope": m.scope, "address": str(m.node.address)}
            for m in topology.machines
        },
    }


def hosts_text(topology: Topology) -> str:
    """/etc/hosts for every machine and for the operator: a lab has no resolver."""
    lines = ["127.0.0.1 localhost", f"{topology.ops} ops"]
    lines += [f"{m.node.address} {m.name}" for m in topology.machines]
    lines += [f"{m.bmc.cable.address} bmc-{m.name}" for m in topology.machines if m.bmc]
    return "\n".join(lines) + "\n"
