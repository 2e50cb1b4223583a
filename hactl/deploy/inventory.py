"""Ansible's inventory, from the spec and what is known of the nodes. Pure; it holds no secret."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from typing import Any

from hactl import layout
from hactl.decide.plan import Veto
from hactl.deploy import bundle, packages
from hactl.deploy.wheelhouse import Venv, Wheelhouse
from hactl.render.targets import RenderedFile
from hactl.site import Site
from hactl.spec.model import ClusterSpec, Role

GROUPS = {
    "database": (Role.DATABASE,),
    "witness": (Role.WITNESS,),
    "archive": (Role.ARCHIVE,),
    "voters": (Role.DATABASE, Role.WITNESS),
}


@dataclass(frozen=True)
class Facts:
    """What was found out before. `fresh`: it is the first deployment; `primary` None: nobody knows.

    `vetoes`: why it should not be touched; there are some only where that was overruled.
    """

    fresh: bool
    new: frozenset[str] = field(default_factory=frozenset)
    primary: str | None = None
    vetoes: tuple[Veto, ...] = ()


def standby_first(names: Iterable[str], primary: str | None) -> list[str]:
    """The database nodes in the order in which they may be restarted: the primary last."""
    return sorted(names, key=lambda name: name == primary)


def ssh_arguments(site: Site) -> list[str]:
    """Options of ssh(1) for every connection to a node: only pinned host keys, only our key, no questions."""
    options = {
        "UserKnownHostsFile": str(site.known_hosts),
        "GlobalKnownHostsFile": "/dev/null",
        "StrictHostKeyChecking": "yes",
        "UpdateHostKeys": "no",
        "PasswordAuthentication": "no",
        "KbdInteractiveAuthentication": "no",
        "IdentitiesOnly": "yes",
        "ConnectTimeout": "10",
        "ServerAliveInterval": "5",
        "ServerAliveCountMax": "4",
    }
    words = ["-F", "/dev/null"]
    for key, value in options.items():
        words += ["-o", f'{key}="{value}"' if " " in value else f"{key}={value}"]
    return words


def inventory(
    spec: ClusterSpec, site: Site, facts: Facts, files: Sequence[RenderedFile], wheels: Wheelhouse
) -> dict[str, Any]:
    """The inventory as Ansible reads it from JSON. Hosts have the nodes' names, in the order of restarts."""
    order = standby_first(spec.databases, facts.primary)
    names = [*order, *(n for n in spec.nodes if n not in order)]
    hosts = {name: _host(spec, name, facts, files, wheels) for name in names}
    groups: dict[str, Any] = {
        group: {"hosts": {n: {} for n in names if not set(roles).isdisjoint(spec.nodes[n].roles)}}
        for group, roles in GROUPS.items()
    }
    return {"all": {"hosts": hosts, "children": groups, "vars": _variables(spec, site, wheels)}}


def _host(
    spec: ClusterSpec, name: str, facts: Facts, files: Sequence[RenderedFile], wheels: Wheelhouse
) -> dict[str, Any]:
    node = spec.nodes[name]
    venvs = (wheels.hactl, wheels.patroni) if Role.DATABASE in node.roles else (wheels.hactl,)
    return {
        "ansible_host": str(node.address),
        "hactl_new": name in facts.new,
        "hactl_packages": list(packages.of(spec, name)),
        "hactl_venvs": [_venv(v) for v in venvs],
        "hactl_links": {v.path: v.target for v in venvs},
        "hactl_watch": bundle.watches(name, files),
    }


def _variables(spec: ClusterSpec, site: Site, wheels: Wheelhouse) -> dict[str, Any]:
    user = spec.ssh.deploy_user
    found: dict[str, Any] = {
        "ansible_user": user,
        "ansible_port": spec.ssh.port,
        "ansible_python_interpreter": "/usr/bin/python3",
        "ansible_ssh_common_args": " ".join(f"'{word}'" for word in ssh_arguments(site)),
        "ansible_become": user != "root",
        "hactl_cluster": spec.cluster,
        "hactl_database_vip": str(spec.vips.database.address.ip),
        "hactl_ssh_user": spec.ssh.user,
        "hactl_storage": spec.archive.storage,
        "hactl_marker": f"{spec.archive.storage}/{layout.STORAGE_MARKER}",
        "hactl_tar": str(wheels.tar),
        "hactl_tar_there": str(layout.WHEELHOUSE / "wheelhouse.tar"),
    }
    if site.ssh_key:
        found["ansible_ssh_private_key_file"] = str(site.ssh_key)
    return found


def _venv(venv: Venv) -> dict[str, Any]:
    return {"path": venv.path, "stamp": venv.stamp, "wheels": list(venv.wheels)}
