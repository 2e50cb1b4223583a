"""The dispatcher's `facts`: what a node says of itself (templates/hactl/dispatch.j2)."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from hactl.units import Bytes
from hactl.view.model import Disk, NodeFacts
from hactl.view.parse.fields import Json, document, items, mapping, number


def parse_facts(body: bytes, *, now: float, doubt: float = 0.0) -> NodeFacts:
    """`now` is our Unix time when the node read its clock, give or take `doubt`.

    Raises:
        ValueError: not a dispatcher's facts.

    """
    answer = mapping(document(body, "facts"), "facts")
    told = mapping(answer.get("clock"), "facts: clock")
    clock, synchronized = told.get("wall_s"), told.get("synchronized")
    units = mapping(answer.get("units") or {}, "facts: units")
    versions = mapping(answer.get("versions") or {}, "facts: versions")
    return NodeFacts(
        addresses=tuple(_addresses(answer)),
        units={name: _unit_state(mapping(unit, "facts: unit")) for name, unit in units.items()},
        disks=tuple(_disks(mapping(answer.get("disks") or {}, "facts: disks"))),
        clock_offset=clock - now if isinstance(clock, int | float) else None,
        clock_doubt=doubt,
        versions={name: str(version) for name, version in versions.items()},
        boot_id=str(answer.get("boot_id", "")),
        synchronized=synchronized if isinstance(synchronized, bool) else None,
    )


def _addresses(answer: Json) -> Iterator[str]:
    for link in items(answer.get("addresses"), "facts: addresses"):
        for info in items(link.get("addr_info"), "facts: addr_info"):
            if isinstance(info.get("local"), str):
                yield info["local"]


def _unit_state(unit: Mapping[str, object]) -> str:
    """Systemd's word: active, inactive, failed, ... or not-found."""
    if unit.get("LoadState") == "not-found":
        return "not-found"
    return str(unit.get("ActiveState", "unknown"))


def _disks(disks: Json) -> Iterator[Disk]:
    for path, found in disks.items():
        if not isinstance(found, dict):
            continue
        free, total = number(found.get("free_bytes")), number(found.get("total_bytes"))
        if free is not None and total:
            yield Disk(path, Bytes(free), Bytes(total))
