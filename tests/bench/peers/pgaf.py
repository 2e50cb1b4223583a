"""pg_auto_failover as one of the pairs that the benchmark breaks."""

from __future__ import annotations

import sys
import time
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, ClassVar, Final

from hactl import layout
from hactl.cli.labdrill import lab_ground, primary_of
from hactl.drill.ground import Ground
from hactl.drill.history import History
from hactl.drill.session import Session
from hactl.drill.workload import Load
from hactl.errors import HactlError, Unreachable
from hactl.lab import faults_disk
from hactl.lab.glance import reachable_addresses
from hactl.lab.lab import Lab
from tests.bench.failover_cases import Variant
from tests.bench.failover_modes import settled, streams_to_standby
from tests.bench.peers import pgaf_commands as pgaf
from tests.bench.peers import pgaf_setup

ANYWHERE: Final = "anywhere"  # stands where a VIP would: a client that knows both nodes reaches each
# A dead first host costs a new connection 1 s, so it has more than a second, and more of them hang at once.
LOAD: Final = Load(probe_connect=2.5, probes_at_once=80)
REPAIR: Final = 120.0  # seconds; after that the pair is made anew


@dataclass
class Monitored:
    """`kind`: the settings it has now, `tuned` or `defaults`."""

    waived: ClassVar[frozenset[str]] = frozenset({"I2"})  # there is no VIP

    lab: Lab
    folder: Path
    kind: str = ""

    @property
    def ground(self) -> Ground:
        """Clients know both nodes and take the one that is writable: its documented way."""
        ground, databases = lab_ground(self.lab), self.lab.spec.databases
        hosts = ",".join(str(node.address) for node in databases.values())
        asked = {"host": hosts, "target_session_attrs": "read-write", "connect_timeout": "1"}
        return replace(
            ground, database={**ground.database, **asked}, vips={"database": ANYWHERE},
            nodes=tuple(databases), addresses=self._reached, arp=None,
        )  # fmt: skip

    def _reached(self, node: str) -> frozenset[str] | None:
        return None if reachable_addresses(self.lab, node) is None else frozenset({ANYWHERE})

    def enter(self, variant: Variant) -> None:
        faults_disk.release_all(self.lab)
        self.lab.heal()
        try:
            settled(self.lacks, REPAIR)
        except Unreachable as error:
            _say(f"made anew: {error.message}")
            pgaf_setup.make(self.lab, _say)
            self.kind = ""
            settled(self.lacks, REPAIR)
        self._set(variant.name.partition("-")[2])

    def _set(self, kind: str) -> None:
        if kind == self.kind:
            return
        self.lab.exec(pgaf.monitor(self.lab), pgaf.tune(kind))
        for node in self.lab.spec.databases:
            self.lab.exec(node, pgaf.partition(kind))
            self.lab.exec(node, pgaf.autoctl("reload"))
        self.kind = kind
        settled(self.lacks, REPAIR)

    def lacks(self) -> str:
        try:
            at, asked = pgaf.monitor(self.lab), [*pgaf.autoctl("show", "state"), "--json"]
            if lacking := pgaf.lacking(self.lab.exec(at, asked, within=10).out):
                return lacking
            return "" if self.redundant() else "no synchronous standby streams"
        except HactlError as error:
            return error.message

    def session(self, name: str) -> Session:
        run = f"{name}-{time.time_ns()}"
        return Session(self.ground, History.create(self.folder / f"{run}.jsonl"), run, LOAD)

    def primary_and_standby(self) -> tuple[str, str]:
        primary = primary_of(self.lab)
        return primary, next(n for n in self.lab.spec.databases if n != primary)

    def redundant(self) -> bool:
        try:
            return streams_to_standby(self.lab, primary_of(self.lab))
        except HactlError:
            return False

    def facts(self) -> dict[str, Any]:
        return {"monitor": pgaf.monitor(self.lab)}

    def versions(self) -> dict[str, str]:
        node = next(iter(self.lab.spec.databases))
        asked = {
            "pg_auto_failover": ["pg_autoctl", "version"],
            "postgres": [pgaf.PROGRAMS + "/postgres", "-V"],
        }
        return {name: self.lab.exec(node, argv).out.splitlines()[0] for name, argv in asked.items()}

    def let_go(self, victim: str) -> None:
        pid_file = layout.pg_data(self.lab.spec.database.version) / "postmaster.pid"
        found = self.lab.exec(victim, ["head", "-n", "1", str(pid_file)], check=False).out.strip()
        if found.isdigit():
            self.lab.exec(victim, ["kill", "-CONT", found], check=False)

    def leave(self) -> None:
        self.lab.heal()


def monitored(folder: Path) -> Monitored:
    """Its lab is made if need be."""
    return Monitored(pgaf_setup.ensure(_say), folder)


def _say(line: str) -> None:
    sys.stderr.write(f"peers: {line}\n")
