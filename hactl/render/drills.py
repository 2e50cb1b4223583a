"""Faults on purpose on a node: which there are, in which windows, and the programs that break and mend. Pure.

Where the spec agrees to no window nothing of this is on any node.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import PurePosixPath
from typing import Any, Final

from hactl import layout
from hactl.render.control import OWNER
from hactl.render.engine import Quoted, text
from hactl.render.targets import RenderedFile
from hactl.spec.model import ClusterSpec
from hactl.spec.model_drills import Window

FAULT: Final = layout.LIB / "fault"
ROWS: Final = layout.LIB / "drill-rows"
AGENTS: Final = PurePosixPath("/usr/sbin")  # where Debian's package fence-agents has them
# What a frozen PostgreSQL costs grows with time; hactl needs 8 s to see it and act.
FROZEN: Final = 30  # s
BACK: Final = 60  # s: what was killed is back in seconds, by itself
DARK: Final = 60  # s: a failover takes 2 to 10 of them

Fault = tuple[str, str, int]  # what is done, to what, seconds until it is mended


def faults(spec: ClusterSpec, node: str) -> dict[str, Fault]:
    """Of one node, by name. The power of another is cut by a witness: the node itself could not mend it."""
    if not spec.drills.windows:
        return {}
    found: dict[str, Fault] = {}
    if node in spec.databases:
        found |= {
            "crash-postgres": ("KILL", "postmaster", BACK),
            "freeze-postgres": ("STOP", "postmaster", FROZEN),
            "kill-patroni": ("kill", "patroni.service", BACK),
        }
    if node in spec.databases or node in spec.archives:
        found["kill-keepalived"] = ("kill", "keepalived.service", BACK)
    if node in spec.archives:
        found["kill-orthanc"] = ("kill", "orthanc.service", BACK)
    if node in spec.witnesses:
        found |= {f"power-off-{n}": ("power-off", n, DARK) for n in spec.fencing.agents if n != node}
    return found


def sentences(spec: ClusterSpec, node: str) -> tuple[str, ...]:
    """All that may follow the program's name, word for word."""
    found = faults(spec, node)
    return (*found, "heal", "state") if found else ()


def minutes(text_: str) -> int:
    hours, _, rest = text_.partition(":")
    return int(hours) * 60 + int(rest)


def windows(found: tuple[Window, ...]) -> list[tuple[tuple[str, ...], int, int]]:
    return [(w.days, minutes(w.begin), minutes(w.end)) for w in found]


def render(spec: ClusterSpec, node: str, head: Quoted) -> Iterator[RenderedFile]:
    there = faults(spec, node)
    if there:
        yield _program(node, FAULT, text("hactl/fault.j2", **_values(spec, head, there)))
    if there and node in spec.databases:
        yield _program(node, ROWS, text(
            "hactl/drill-rows.j2", header=head, owner=OWNER, pgpass=layout.PGPASS,
            address=spec.nodes[node].address, port=layout.PORT_POSTGRES, database=layout.DATABASE_HACTL,
            role=layout.ROLE_PROBE, ca=layout.PKI / "ca.crt",
        ))  # fmt: skip


def _values(spec: ClusterSpec, head: Quoted, there: dict[str, Fault]) -> dict[str, Any]:
    cut = {to for what, to, _ in there.values() if what == "power-off"}
    agents = {n: a for n, a in spec.fencing.agents.items() if n in cut}
    power = {n: {"program": str(AGENTS / a.agent), "options": dict(a.options)} for n, a in agents.items()}
    return {
        "header": head, "faults": there, "windows": windows(spec.drills.windows), "zone": spec.drills.zone,
        "power": power,
        "pid_file": layout.pg_data(spec.database.version) / "postmaster.pid", "program": FAULT,
    }  # fmt: skip


def _program(node: str, path: PurePosixPath, content: str) -> RenderedFile:
    return RenderedFile(node=node, path=str(path), content=content, component="hactl", mode="0755")
