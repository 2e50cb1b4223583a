"""Started by archive_lab: an archive node's agent as built by hactl, but for paths and root's acts."""

from __future__ import annotations

import dataclasses
import json
import pickle
import sys
from pathlib import Path

from hactl.adapters.agent_notes import AgentNotes
from hactl.adapters.archive_door import ArchiveDoor
from hactl.adapters.archive_notes import ArchiveNotes
from hactl.adapters.command import Result
from hactl.adapters.storage_eyes import StorageEyes
from hactl.agent.build import build, run
from hactl.errors import StepFailed
from hactl.site import Site
from hactl.spec.model import ClusterSpec
from hactl.wiring_agent import agent_parts
from tests.support.agent_runner import NotedActs, NotedProcesses


class NotedProof:
    """The images are there while there is a file `images-are-there`."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    def prove(self) -> str:
        if not (self._folder / "images-are-there").exists():
            raise StepFailed("an image is not there")
        return "an image was read"


def no_check(argv: object) -> Result:
    return Result((str(argv),), 0, '{"ok": true, "at": 1.0}', "")


def main(file: str) -> None:
    config = json.loads(Path(file).read_text())
    folder, node = Path(config["folder"]), config["node"]
    spec: ClusterSpec = pickle.loads((folder / "spec").read_bytes())  # noqa: S301 - the test's own file
    site = Site(
        state=folder, ca=Path(config["ca"]), cert=Path(config["cert"]), key=Path(config["key"]),
        pgpass=folder / "pgpass", known_hosts=folder / "known", ssh_key=None, on_node=True, lab=None,
    )  # fmt: skip
    parts = agent_parts(spec, site, node)
    assert parts.archive is not None
    vip = str(spec.vips.archive.address.ip)
    own = dataclasses.replace(
        parts.archive,
        door=ArchiveDoor(vip, config["address"], folder / "archive.nft"),
        eyes=StorageEyes(folder / "images", node),
        notes=ArchiveNotes(folder / "run", folder / "state"),
        known=NotedProof(folder),
        check=no_check,
    )
    parts = dataclasses.replace(
        parts,
        archive=own,
        notes=AgentNotes(folder / "run", folder / "state"),
        acts=NotedActs(folder),
        processes=NotedProcesses(folder),
        units=dict,
        disks=tuple,
    )
    run(build(spec, node, parts), parts.events.say)


if __name__ == "__main__":
    main(sys.argv[1])
