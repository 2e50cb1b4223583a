"""What belongs to which kind of archive: one that hactl runs, or somebody else's that it watches."""

from __future__ import annotations

from collections.abc import Iterator
from ipaddress import IPv4Address
from typing import Final

from hactl.errors import Problem
from hactl.spec.facts import Facts
from hactl.spec.model import Archive, Role, Vips
from hactl.spec.shown import dotted

FOREIGN: Final = "dicom"
# What hactl does on nodes of its own, and on nobody else's.
_OWN: Final = ("storage", "modalities", "scrub", "signing")


def archive_vip(facts: Facts) -> Iterator[Problem]:
    """`vips.archive` is there for an archive that hactl runs, and for no other."""
    given = "archive" in facts.vips
    if facts.kind == "orthanc" and facts.has_vips and not given:
        yield Problem("vips.archive", "", "is missing", Vips.model_fields["archive"].description or "")
    elif facts.kind == FOREIGN and given:
        reason = "nobody could move it: hactl runs nothing on archives of kind dicom"
        yield Problem("vips.archive", "", reason, "remove it; their own address is theirs to keep")


def servers(facts: Facts) -> Iterator[Problem]:
    """`archive.servers` names the archives of kind `dicom`, one at least, and none of another kind."""
    if not isinstance(facts.archive.get("servers", {}), dict):
        return  # which is told already
    if facts.kind == FOREIGN and not facts.servers:
        hint = "pacs1: {address: 192.0.2.21, port: 11112, tls: false}"
        yield Problem("archive.servers", "", "names no archive: there is nothing to watch", hint)
    elif facts.kind == "orthanc" and facts.servers:
        reason = "these are archives of kind dicom; those that hactl runs are nodes"
        hint = "nodes with roles: [archive], or archive.kind: dicom"
        yield Problem("archive.servers", ", ".join(facts.servers), reason, hint)


def no_own_nodes(facts: Facts) -> Iterator[Problem]:
    """With kind `dicom` no node has the role `archive`: nothing is deployed for it."""
    for name in facts.having(Role.ARCHIVE) if facts.kind == FOREIGN else ():
        reason = "hactl deploys nothing to an archive of kind dicom"
        path = dotted(("nodes", name, "roles"))
        yield Problem(path, Role.ARCHIVE.value, reason, f"name it under archive.servers: {name}")


def own_settings(facts: Facts) -> Iterator[Problem]:
    """With kind `dicom` nothing is set that only an archive of hactl's own has."""
    for name in _OWN if facts.kind == FOREIGN else ():
        default = Archive.model_fields[name].get_default(call_default_factory=True)
        plain = default.model_dump(mode="json") if hasattr(default, "model_dump") else default
        if facts.archive.get(name, plain) != plain:
            reason = "an archive of kind dicom has its own; nothing of this can be set from here"
            yield Problem(f"archive.{name}", "", reason, "remove it")


def different_servers(facts: Facts) -> Iterator[Problem]:
    """No server has a node's name, and no two answer at the same address and port."""
    first: dict[tuple[IPv4Address, int], str] = {}
    for name, server in facts.servers.items():
        path = dotted(("archive", "servers", name))
        if name in facts.nodes:
            yield Problem(path, name, "a node has this name already")
        if server.at is None:
            continue
        other = first.setdefault(server.at, name)
        if other != name:
            yield Problem(f"{path}.address", str(server.at[0]), f"{other} has this address and port already")
