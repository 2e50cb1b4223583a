"""The program that breaks and mends things on a node, for drills: rendered, and its world replaced."""

from __future__ import annotations

import functools
from pathlib import Path
from typing import Any

from hactl.render.all import render
from hactl.render.drills import FAULT
from hactl.spec.model import ClusterSpec
from tests.support.rendered import sample, secrets


def agreed(begin: str = "00:00", end: str = "24:00", zone: str = "UTC") -> ClusterSpec:
    """The sample's spec with a window: one that is always open, or another."""
    return sample(drills={"windows": [{"begin": begin, "end": end}], "zone": zone})


def source(node: str, path: str = str(FAULT), zone: str = "UTC") -> str:
    return _files(zone)[node, path]


@functools.cache
def _files(zone: str) -> dict[tuple[str, str], str]:
    spec = agreed(zone=zone)
    return {(f.node, f.path): f.content for f in render(spec, secrets(spec))}


def program(node: str, place: Path | None = None, zone: str = "UTC") -> dict[str, Any]:
    """Its names; with `place` what it writes lies there."""
    names: dict[str, Any] = {"__name__": "fault"}
    exec(compile(source(node, zone=zone), "fault", "exec"), names)  # noqa: S102 - the subject
    if place is not None:
        names["STATE"], names["LOCK"] = str(place / "state"), str(place / "lock")
        names["PID_FILE"] = str(place / "postmaster.pid")
    return names
