"""Follower, scrub and reconcile on archive nodes: their units, and what may change the storage for them."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, Final

from hactl import layout
from hactl.render import engine
from hactl.render.engine import Quoted, header
from hactl.render.secrets import RenderSecrets
from hactl.render.targets import RenderedFile
from hactl.spec.model import ClusterSpec

OWNER: Final = "hactl"
MANIFEST: Final = "hactl-manifest.service"
SIGN: Final = "hactl-sign.service"
SCRUB: Final = "hactl-scrub.service"
SCRUB_TIMER: Final = "hactl-scrub.timer"
RECONCILE: Final = "hactl-reconcile.service"
RECONCILE_DRY: Final = "hactl-reconcile-dry.service"
HAND_SOCKET: Final = "hactl-hand.socket"
HAND: Final = "hactl-hand@.service"
DAYS: Final = ("Sat", "Tue", "Thu", "Sun", "Wed", "Fri", "Mon")


@dataclass(frozen=True)
class Program:
    """`memory`: an image that is looked at by the reconcile is read as a whole."""

    unit: str
    arguments: str
    description: str
    memory: str
    forever: bool = False
    quiet: bool = True


PROGRAMS: Final = (
    Program(MANIFEST, "manifest follow", "Hashes each new image into the manifest", "512M", forever=True),
    Program(SCRUB, "scrub run", "Reads all images and compares them with index and manifest", "512M"),
    Program(RECONCILE, "reconcile run", "Compares the image storage with the index", "4G", quiet=False),
    Program(RECONCILE_DRY, "reconcile run --dry-run", "Says what a reconcile would do", "4G"),
)
SIGNER: Final = Program(
    SIGN, "signatures follow", "Signs each new image, beside it", "1G", forever=True
)  # where the spec says archive.signing


def units(spec: ClusterSpec, node: str) -> tuple[str, ...]:
    """Those that run all the time; the others come and go."""
    return tuple(p.unit for p in programs(spec) if p.forever) if node in spec.archives else ()


def programs(spec: ClusterSpec) -> tuple[Program, ...]:
    return (*PROGRAMS, SIGNER) if spec.archive.signing is not None else PROGRAMS


def calendar(spec: ClusterSpec, node: str) -> str:
    """When this node's scrub begins: the nodes take turns, so that the storage is not read by all at once."""
    turn = list(spec.archives).index(node)
    night = "20:00" if turn % 2 == 0 else "22:00"
    return {
        "day": f"*-*-* {night}",
        "week": f"{DAYS[turn % len(DAYS)]} *-*-* {night}",
        "month": f"*-*-{1 + 14 * turn % 28:02d} {night}",
        "never": "2200-01-01 00:00",
    }[spec.archive.scrub.every]


def render(spec: ClusterSpec, secrets: RenderSecrets) -> Iterator[RenderedFile]:  # noqa: ARG001 - a renderer's shape
    for node in spec.archives:
        values = _values(spec, node)
        for program in programs(spec):
            text = engine.text("integrity/program.service.j2", **values, **vars(program))
            yield _unit(node, program.unit, text, program.unit if program.forever else SCRUB_TIMER)
        every = spec.archive.scrub.every
        timer = engine.text(
            "integrity/scrub.timer.j2",
            calendar=Quoted(calendar(spec, node)),
            never=every == "never",
            **values,
        )
        yield _unit(node, SCRUB_TIMER, timer, SCRUB_TIMER)
        yield _unit(node, HAND_SOCKET, engine.text("integrity/hand.socket.j2", **values), HAND_SOCKET)
        yield _unit(node, HAND, engine.text("integrity/hand.service.j2", **values), HAND_SOCKET)
        yield RenderedFile(
            node=node, path=str(layout.HAND), content=engine.text("integrity/hand.j2", **values),
            component="integrity", mode="0755",
            validate=("/usr/bin/python3", "-c", "import ast, sys; ast.parse(open(sys.argv[1]).read())", "%s"),
        )  # fmt: skip


def _unit(node: str, name: str, content: str, restarts: str) -> RenderedFile:
    """What comes and goes is read anew with the unit that starts it, which may be restarted at any time."""
    return RenderedFile(
        node=node, path=str(layout.SYSTEMD / name), content=content, component="integrity",
        on_change="restart", unit=restarts,
    )  # fmt: skip


def _values(spec: ClusterSpec, node: str) -> dict[str, Any]:
    return {
        "header": header(node, spec.cluster), "node": node, "cluster": spec.cluster, "owner": OWNER,
        "program": layout.VENV / "bin/hactl", "storage": spec.archive.storage, "hand": layout.HAND,
        "marker": layout.STORAGE_MARKER, "socket": layout.HAND_SOCKET,
    }  # fmt: skip
