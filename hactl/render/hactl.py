"""hactl's own files on a node: the spec, the account for operations and its verbs, passwords for psql."""

from __future__ import annotations

import dataclasses
import hashlib
from collections.abc import Iterator
from pathlib import PurePosixPath
from typing import Any, Final

from hactl import layout
from hactl.render import acts, control, drills, integrity, reach
from hactl.render.engine import Quoted, header, text, yaml_document
from hactl.render.secrets import RenderSecrets
from hactl.render.targets import RenderedFile
from hactl.spec.model import ClusterSpec
from hactl.view.parse.preflight import QUERY

DISPATCH: Final = layout.LIB / "dispatch"
READ_FILES: Final = layout.LIB / "read-files"
READ_SETTINGS: Final = layout.LIB / "read-settings"
PREFLIGHT: Final = layout.LIB / "preflight"
SSH_UNIT: Final = "ssh.service"
COMMAND: Final = PurePosixPath("/usr/local/bin/hactl")  # on everybody's PATH: hints say `hactl ...`
OWNER: Final = control.OWNER


# What the dispatcher may start and stop on an archive node, and how it is asked for it.
INTEGRITY_VERBS: Final = {
    "scrub-start": ("start", integrity.SCRUB),
    "scrub-stop": ("stop", integrity.SCRUB),
    "reconcile-start": ("start", integrity.RECONCILE),
    "reconcile-dry": ("start", integrity.RECONCILE_DRY),
}
INTEGRITY_UNITS: Final = (
    integrity.SCRUB, integrity.SCRUB_TIMER, integrity.RECONCILE, integrity.RECONCILE_DRY,
    integrity.HAND_SOCKET,
)  # fmt: skip


def told_of(spec: ClusterSpec, node: str) -> tuple[str, ...]:
    """The units whose state and journal the dispatcher tells."""
    also = (control.OPEN_TIMER, control.OPEN_SERVICE) if node in spec.databases else ()
    if node in spec.archives:
        also = (*also, *INTEGRITY_UNITS)
    return (*units(spec, node), *also, "hactl-rules.service")


def units(spec: ClusterSpec, node: str) -> tuple[str, ...]:
    """The units of hactl's making on a node: what the dispatcher reports on and may restart."""
    return (*acts.units(spec, node), *control.units(spec, node), *integrity.units(spec, node))


def render(spec: ClusterSpec, secrets: RenderSecrets) -> Iterator[RenderedFile]:
    """The files of component hactl, on each node. The spec's copy has no secret: a spec cannot hold one."""
    whole = spec.model_dump(mode="json")
    copy, digest = yaml_document(whole), _digest(whole)
    for node in spec.nodes:
        head = header(node, spec.cluster)
        yield RenderedFile(
            node=node,
            path=str(layout.SPEC),
            content=head + copy,
            component="hactl",
        )
        yield RenderedFile(
            node=node, path=str(layout.SPEC_DIGEST), content=f"{head}{digest}\n", component="hactl"
        )
        yield from _operations(spec, node, secrets, head)
        yield RenderedFile(
            node=node,
            path=str(layout.PGPASS),
            content=pgpass(spec, node, secrets),
            component="hactl",
            mode="0600",
            owner=OWNER,
            group=OWNER,
            secret=True,
        )


def _digest(whole: dict[str, Any]) -> str:
    """Agents and controllers restart when it changes. What is left out is not their business."""
    others = {"parameters", "backup"}
    rest = {
        **whole,
        "database": {k: v for k, v in whole["database"].items() if k not in others},
        "drills": {"every": whole["drills"]["every"]},
    }
    return hashlib.sha256(yaml_document(rest).encode()).hexdigest()


def pgpass(spec: ClusterSpec, node: str, secrets: RenderSecrets) -> str:
    """Passwords for a node's own use: monitoring everywhere, the archive's role on archive nodes only."""
    roles = [
        (layout.ROLE_MONITOR, "*", secrets.monitor),
        (layout.ROLE_PROBE, layout.DATABASE_HACTL, secrets.probe),
    ]
    if node in spec.archives:
        roles.append((spec.database.name, spec.database.name, secrets.app))
    hosts = [str(spec.vips.database.address.ip), *(str(n.address) for n in spec.databases.values())]
    return text("hactl/pgpass.j2", hosts=hosts, roles=roles, port=layout.PORT_POSTGRES)


def _facts(spec: ClusterSpec, node: str) -> dict[str, Any]:
    """Constants of the dispatcher."""
    disks = {"/"}
    if node in spec.databases:
        disks.add("/var/lib/postgresql")
    if node in spec.voters:
        disks.add("/var/lib/etcd")
    if node in spec.archives:
        disks.add(spec.archive.storage)
    return {
        "node": node,
        "archive": node in spec.archives,
        "database": node in spec.databases,
        "read_settings": READ_SETTINGS,
        "owner": OWNER,
        "integrity": layout.INTEGRITY,
        "integrity_verbs": INTEGRITY_VERBS,
        "integrity_units": [*integrity.units(spec, node), *INTEGRITY_UNITS],
        "units": list(told_of(spec, node)),
        "restartable": list(units(spec, node)),
        "faults": list(drills.sentences(spec, node)),
        "fault": drills.FAULT,
        "drill_rows": drills.ROWS if node in spec.databases and spec.drills.windows else None,
        "disks": sorted(disks),
    }


def _settings(spec: ClusterSpec, node: str, head: Quoted) -> dict[PurePosixPath, str]:
    """On a database node: the program that tells its PostgreSQL's settings."""
    if node not in spec.databases:
        return {}
    content = text(
        "hactl/read-settings.j2",
        header=head,
        owner=OWNER,
        pgpass=layout.PGPASS,
        address=spec.nodes[node].address,
        port=layout.PORT_POSTGRES,
        role=layout.ROLE_MONITOR,
        ca=layout.PKI / "ca.crt",
        query=Quoted(QUERY.strip()),
    )
    return {READ_SETTINGS: content}


def _preflight(spec: ClusterSpec, node: str, head: Quoted) -> str:
    stamp = spec.database.backup.stamp if spec.database.backup is not None else ""
    return text(
        "hactl/preflight.j2",
        header=head,
        reach=[dataclasses.asdict(target) for target in reach.targets(spec, node)],
        vips=[{"vip": name, "address": str(vip.address.ip)} for name, vip in spec.vips.by_name.items()],
        database=node in spec.databases,
        stamp=stamp if node in spec.databases else "",
    )


def _operations(spec: ClusterSpec, node: str, secrets: RenderSecrets, head: Quoted) -> Iterator[RenderedFile]:
    user = spec.ssh.user
    scripts = {
        DISPATCH: text(
            "hactl/dispatch.j2", header=head, read_files=READ_FILES, preflight=PREFLIGHT, **_facts(spec, node)
        ),
        PREFLIGHT: _preflight(spec, node, head),
        READ_FILES: text("hactl/read-files.j2", header=head, manifest=layout.MANIFEST, pki=layout.PKI),
        COMMAND: text("hactl/hactl.j2", header=head, program=layout.VENV / "bin/hactl"),
        **_settings(spec, node, head),
    }
    for path, content in scripts.items():
        yield RenderedFile(node=node, path=str(path), content=content, component="hactl", mode="0755")
    yield from drills.render(spec, node, head)
    yield RenderedFile(
        node=node,
        path="/etc/sudoers.d/hactl",
        content=text(
            "hactl/sudoers.j2",
            header=head,
            user=user,
            read_files=READ_FILES,
            preflight=PREFLIGHT,
            read_settings=READ_SETTINGS if node in spec.databases else None,
            units=units(spec, node),
            integrity_verbs=INTEGRITY_VERBS.values() if node in spec.archives else (),
            owner=OWNER,
            act=layout.ACT,
            sentences=acts.sentences(spec, node),
            fault=drills.FAULT,
            faults=drills.sentences(spec, node),
            drill_rows=drills.ROWS if node in spec.databases and spec.drills.windows else None,
        ),
        component="hactl",
        mode="0440",
        validate=("/usr/sbin/visudo", "-c", "-q", "-f", "%s"),
    )
    yield RenderedFile(
        node=node,
        path=str(layout.AUTHORIZED_KEYS),
        content=text("hactl/authorized_keys.j2", header=head, dispatch=DISPATCH, key=secrets.ssh_public_key),
        component="hactl",
    )
    yield RenderedFile(
        node=node,
        path="/etc/ssh/sshd_config.d/hactl.conf",
        content=text(
            "hactl/sshd.conf.j2", header=head, user=user, keys=layout.AUTHORIZED_KEYS, dispatch=DISPATCH
        ),
        component="hactl",
        validate=("/usr/sbin/sshd", "-t", "-f", "%s"),
        on_change="reload",
        unit=SSH_UNIT,
    )
