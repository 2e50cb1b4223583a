"""Which packages travel to the nodes: the very versions that hactl runs with here."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from importlib import metadata

from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

from hactl.errors import Refused

# What /opt/patroni holds. hactl has a virtual environment of its own: updating it must never restart Patroni.
PATRONI = ("patroni[etcd3]", "psycopg2-binary")
# The nodes: Debian 12 on amd64. Markers are evaluated for them, not for the machine that hactl runs on.
NODE = {
    "python_version": "3.11", "python_full_version": "3.11.2", "implementation_name": "cpython",
    "platform_python_implementation": "CPython", "sys_platform": "linux", "platform_system": "Linux",
    "platform_machine": "x86_64", "os_name": "posix",
}  # fmt: skip


@dataclass(frozen=True, order=True)
class Pin:
    """One package in one version; `name` is normalised as PyPI does it."""

    name: str
    version: str

    def __str__(self) -> str:
        return f"{self.name}=={self.version}"


def closure(requirements: Iterator[str] | tuple[str, ...]) -> tuple[Pin, ...]:
    """All packages that `requirements` need on a node, in the versions installed here, sorted.

    Raises:
        Refused: one of them is not installed here.

    """
    found: dict[str, Pin] = {}
    todo = [Requirement(text) for text in requirements]
    seen: set[tuple[str, frozenset[str]]] = set()
    while todo:
        wanted = todo.pop()
        key = (canonicalize_name(wanted.name), frozenset(wanted.extras))
        if key in seen:
            continue
        seen.add(key)
        dist = _installed(wanted.name)
        found[key[0]] = Pin(key[0], dist.version)
        todo += _needed(dist, frozenset(wanted.extras))
    return tuple(sorted(found.values()))


def _installed(name: str) -> metadata.Distribution:
    try:
        return metadata.distribution(name)
    except metadata.PackageNotFoundError as error:
        raise Refused(
            f"the package {name} is not installed where hactl runs", hint="pip install 'hactl[deploy]'"
        ) from error


def _needed(dist: metadata.Distribution, extras: frozenset[str]) -> Iterator[Requirement]:
    for text in dist.requires or ():
        wanted = Requirement(text)
        if wanted.marker is None or any(wanted.marker.evaluate({**NODE, "extra": e}) for e in ("", *extras)):
            yield wanted


def of_hactl() -> tuple[Pin, ...]:
    """What hactl itself needs on a node (no extras), without hactl."""
    return tuple(p for p in closure(("hactl",)) if p.name != "hactl")


def of_patroni() -> tuple[Pin, ...]:
    return closure(PATRONI)
