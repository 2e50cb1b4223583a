"""Started by agent_lab: the agent as `hactl agent run` builds it, but for its paths and root's acts."""

from __future__ import annotations

import dataclasses
import json
import pickle
import sys
from pathlib import Path

from hactl.adapters.agent_notes import AgentNotes
from hactl.adapters.canary import FsyncCanary
from hactl.adapters.kernel import LeaseTable
from hactl.agent.build import build, run
from hactl.agent.node_looks import KEEPALIVED_UNIT
from hactl.site import Site
from hactl.spec.model import ClusterSpec
from hactl.wiring_agent import agent_parts


class NotedActs:
    def __init__(self, folder: Path) -> None:
        self._folder = folder

    def act(self, verb: str, unit: str = "", *, within: float) -> str:
        with (self._folder / "acts").open("a") as out:
            out.write(f"{verb} {unit}".strip() + "\n")
        if verb in {"fence", "stop-postgres"} and not (self._folder / "undying").exists():
            (self._folder / "postgres").unlink(missing_ok=True)
        return f"done within {within:g} s"


@dataclasses.dataclass(frozen=True)
class OneProcess:
    name: str = "postgres"
    state: str = "S"


@dataclasses.dataclass(frozen=True)
class Listed:
    processes: tuple[OneProcess, ...]
    frozen: bool = False


class NotedProcesses:
    """PostgreSQL runs while there is a file `postgres`, keepalived while there is none `no-keepalived`."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    def of(self, unit: str) -> Listed:
        if unit == KEEPALIVED_UNIT:
            return Listed(() if (self._folder / "no-keepalived").exists() else (OneProcess("keepalived"),))
        return Listed((OneProcess(),) if (self._folder / "postgres").exists() else ())


def main(file: str) -> None:
    config = json.loads(Path(file).read_text())
    folder = Path(config["folder"])
    spec: ClusterSpec = pickle.loads((folder / "spec").read_bytes())  # noqa: S301 - the test's own file
    pki = Path(config["pki"])
    site = Site(
        state=folder, ca=pki / "ca.crt", cert=pki / "hactl.crt", key=pki / "hactl.key",
        pgpass=folder / "pgpass", known_hosts=folder / "known", ssh_key=None, on_node=True, lab=None,
        spare=(pki / "hactl-spare.crt", pki / "hactl-spare.key"),
    )  # fmt: skip
    parts = agent_parts(spec, site, config["node"])
    assert parts.database is not None
    vip = str(spec.vips.database.address.ip)
    own = dataclasses.replace(
        parts.database,
        table=LeaseTable(vip, folder / "lease.nft"),
        canary=FsyncCanary(folder / "canary"),
    )
    parts = dataclasses.replace(
        parts,
        database=own,
        notes=AgentNotes(folder / "run", folder / "state"),
        acts=NotedActs(folder),
        processes=NotedProcesses(folder),
        units=dict,
    )
    run(build(spec, config["node"], parts), parts.events.say)


if __name__ == "__main__":
    main(sys.argv[1])
