"""What each role of the playbook installs on a node, as one opaque string; what a unit watches. Pure."""

from __future__ import annotations

import base64
import gzip
import json
from collections.abc import Iterable, Sequence

from hactl import layout
from hactl.deploy.credentials import ON_NEW_CA
from hactl.render.archive_guard import REDEPLOYED_COMPONENTS
from hactl.render.control import AGENT, CONTROLLER
from hactl.render.integrity import MANIFEST as FOLLOWER
from hactl.render.targets import RenderedFile
from hactl.spec.model import ClusterSpec, Role

# The manifest is written last: it says that a node is deployed.
FINAL = "final"
COMPONENTS = (
    "base",
    "pki",
    "hactl",
    "etcd",
    "postgres",
    "agent",
    "keepalived",
    "orthanc",
    "nginx",
    "prometheus",
    "alertmanager",
    "controller",
    "integrity",
    FINAL,
)
Folder = tuple[str, str, str]  # path, mode, owner (its group has the same name, unless OWNER:GROUP)

_OWN = {
    str(path): "restart"
    for path in (layout.VENV, layout.PKI / "ca.crt", layout.PKI / "hactl.crt", layout.PGPASS)
}

# Debian's packages make the users; the folders of our own names are ours to make.
FOLDERS: dict[str, tuple[Folder, ...]] = {
    "base": (
        (str(layout.ETC), "0755", "root"),
        (str(layout.LIB), "0755", "root"),
        ("/var/lib/hactl-deploy", "0700", "root"),
    ),
    "pki": ((str(layout.PKI), "0755", "root"),),
    "etcd": ((str(layout.ETCD_CONFIG.parent), "0755", "root"), (str(layout.ETCD_DATA), "0700", "etcd")),
    "postgres": (
        (str(layout.PATRONI_CONFIG.parent), "0755", "root"),
        # PostgreSQL's account writes, hactl's reads: what lies there gets the folder's group.
        (str(layout.LEDGER), "2770", "postgres:hactl"),
        (str(layout.CANARY), "0700", "hactl"),
    ),
    "agent": ((str(layout.STATE), "0750", "hactl"),),
    "orthanc": ((str(layout.ORTHANC_CONFIG.parent), "0755", "root"),),
}  # fmt: skip
HAS_ROLE: dict[str, frozenset[Role]] = {
    "etcd": frozenset({Role.DATABASE, Role.WITNESS}),
    "postgres": frozenset({Role.DATABASE}),
    "orthanc": frozenset({Role.ARCHIVE}),
}

# What units need besides the files that name them. hactl's own processes hold their certificate and program
# for as long as they live, and they may be restarted at any time.
ALSO: dict[str, dict[str, str]] = {
    "patroni.service": {str(layout.PATRONI_VENV): "restart"},
    AGENT: {**_OWN, str(layout.SPEC_DIGEST): "restart"},
    FOLLOWER: {**_OWN, str(layout.SPEC_DIGEST): "restart"},
    CONTROLLER: {
        **_OWN,
        str(layout.SPEC_DIGEST): "reload",
        str(layout.PKI / "metrics.crt"): "restart",
    },
}


def component_of(file: RenderedFile) -> str:
    return FINAL if file.path == str(layout.MANIFEST) else file.component


def bundles(
    spec: ClusterSpec, node: str, files: Iterable[RenderedFile], mask: Sequence[str]
) -> dict[str, str]:
    """Component -> bundle, for every component: one that has nothing on this node gets an empty one.

    `mask` holds the secrets that a diff must not show.
    """
    mine = [f for f in files if f.node == node]
    return {name: pack(_bundle(spec, node, name, mine, mask)) for name in COMPONENTS}


def _bundle(
    spec: ClusterSpec, node: str, name: str, mine: list[RenderedFile], mask: Sequence[str]
) -> dict[str, object]:
    chosen = [f for f in mine if component_of(f) == name]
    roles = HAS_ROLE.get(name, frozenset(Role))
    folders = FOLDERS.get(name, ()) if not roles.isdisjoint(spec.nodes[node].roles) else ()
    return {
        "folders": [_folder(*folder) for folder in folders],
        "files": [_entry(f) for f in chosen],
        "manifest": str(layout.MANIFEST) if name == FINAL and chosen else None,
        "keep": _kept(spec, node, name),
        "mask": list(mask) if any(f.secret for f in chosen) else [],
    }


def _kept(spec: ClusterSpec, node: str, name: str) -> str | None:
    """Where root keeps the bundle, so that the node can put the archive's files back by itself."""
    kept = node in spec.archives and name in REDEPLOYED_COMPONENTS
    return str(layout.DEPLOYED / name) if kept else None


def _folder(path: str, mode: str, owner: str) -> dict[str, str]:
    user, _, group = owner.partition(":")
    return {"path": path, "mode": mode, "owner": user, "group": group or user}


def _entry(file: RenderedFile) -> dict[str, object]:
    return {
        "path": file.path, "content": file.content,
        "mode": file.mode, "owner": file.owner, "group": file.group,
        "validate": list(file.validate) if file.validate else None, "secret": file.secret,
    }  # fmt: skip


def pack(bundle: dict[str, object]) -> str:
    # No time stamp in it: equal content gives an equal string.
    return base64.b64encode(gzip.compress(json.dumps(bundle).encode(), mtime=0)).decode("ascii")


def watches(node: str, files: Iterable[RenderedFile]) -> dict[str, dict[str, str]]:
    """Unit -> path -> what the unit needs when that file is another than the one it was last started with."""
    found: dict[str, dict[str, str]] = {}
    for file in files:
        if file.node == node and file.unit:
            found.setdefault(file.unit, {})[file.path] = file.on_change
    for unit, action in ON_NEW_CA.items():
        if unit in found:
            found[unit][str(layout.PKI / "ca.crt")] = action
    for unit, more in ALSO.items():
        if unit in found:
            found[unit] |= more
    return {unit: dict(sorted(paths.items())) for unit, paths in sorted(found.items())}
