"""Fencing, the archive and ssh: values that are fine alone and wrong together."""

from __future__ import annotations

import difflib
import re
from collections.abc import Iterator
from typing import Final

from hactl import layout
from hactl.errors import Problem
from hactl.spec.facts import Facts
from hactl.spec.shown import dotted, shown
from hactl.units import Seconds

MIN_LEASE: Final = Seconds(2)  # below, a busy but healthy node would lose it (design of the fencing lease)
MAX_LEASE: Final = Seconds(30)  # above, Patroni's own TTL (20 s) is the faster one
_SECRET_OPTION: Final = re.compile(r"\w*(pass|secret|token|community|private_key)\w*")
_PROGRAM_OPTION: Final = re.compile(r"\w+_(script|path|command|cmd)")
_HACTLS_OPTION: Final = frozenset({"action", "option", "method", "verbose", "debug", "debug_file", "quiet"})

_PORTS: Final = {
    layout.PORT_POSTGRES: "PostgreSQL",
    layout.PORT_PATRONI: "Patroni",
    layout.PORT_ETCD_CLIENT: "etcd",
    layout.PORT_ETCD_PEER: "etcd",
    layout.PORT_ORTHANC_HTTP: "Orthanc",
    layout.PORT_DICOM_TLS: "DICOM",
    layout.PORT_HTTPS: "HTTPS",
    layout.PORT_PROMETHEUS: "Prometheus",
    layout.PORT_METRICS: "hactl",
}
# Accounts that other programs of the installation run under.
_SERVICE_USERS: Final = frozenset(
    {"root", "postgres", "etcd", "orthanc", "www-data", "prometheus", "keepalived_script", "daemon", "nobody"}
)
_SYSTEM_FOLDERS: Final = (
    *("/bin", "/boot", "/dev", "/etc", "/lib", "/lib32", "/lib64", "/proc", "/root", "/run", "/sbin", "/sys"),
    *("/usr", "/opt/hactl", "/opt/patroni", "/var/cache", "/var/log", "/var/run"),
    *("/tmp", "/var/tmp"),  # noqa: S108 - named to be refused
    *("/var/lib/dpkg", "/var/lib/etcd", "/var/lib/hactl", "/var/lib/hactl-lab", "/var/lib/postgresql"),
)


def lease(facts: Facts) -> Iterator[Problem]:
    """The fencing lease is from 2s to 30s."""
    if facts.lease is not None and not MIN_LEASE <= facts.lease <= MAX_LEASE:
        yield Problem(
            "fencing.lease",
            str(facts.lease),
            f"must be from {MIN_LEASE} to {MAX_LEASE}",
            "3s is a good value",
        )


def agents(facts: Facts) -> Iterator[Problem]:
    """Fence agents belong to nodes that exist."""
    for name in facts.agents:
        if facts.nodes and name not in facts.nodes:
            near = difflib.get_close_matches(name[:64], list(facts.nodes), n=1)
            hint = f"did you mean {near[0]}?" if near else f"nodes are {', '.join(map(_word, facts.nodes))}"
            yield Problem(dotted(("fencing", "agents", name)), "", "there is no node of this name", hint)


def agents_differ(facts: Facts) -> Iterator[Problem]:
    """No two nodes have the same fence device and outlet: fencing the lost one would take the healthy one."""
    first: dict[str, str] = {}
    for name, agent in facts.agents.items():
        if agent.agent is None or not agent.options:
            continue
        target = {key: value for key, value in agent.options.items() if not _SECRET_OPTION.fullmatch(key)}
        other = first.setdefault(f"{agent.agent} {sorted(target.items(), key=str)}", name)
        if other != name:
            reason = (
                f"is the same device and outlet as that of {other}: fencing one would switch off the other"
            )
            yield Problem(dotted(("fencing", "agents", name)), "", reason)


def agent_options(facts: Facts) -> Iterator[Problem]:
    """Options of fence agents hold no secrets (`password_file` names a file), and start no programs."""
    # Values are never shown: they may be a password.
    for name, agent in facts.agents.items():
        for key, value in agent.options.items():
            path = dotted(("fencing", "agents", name, "options", key))
            if key == "password_file":
                if not (isinstance(value, str) and value.startswith("/") and ".." not in value):
                    yield Problem(
                        path, "", "must be an absolute path on the nodes", "for example /etc/hactl/bmc"
                    )
            elif _PROGRAM_OPTION.fullmatch(key):
                yield Problem(path, "", "would run a program of its own on the nodes", "remove it")
            elif _SECRET_OPTION.fullmatch(key):
                reason = "a secret does not belong into the spec, which many may read"
                yield Problem(
                    path,
                    "",
                    reason,
                    "put it into a file that only root may read: password_file: /etc/hactl/bmc",
                )
            elif key in _HACTLS_OPTION:
                yield Problem(path, "", "hactl sets this itself when it fences", "remove it")


def application_entities(facts: Facts) -> Iterator[Problem]:
    """AE titles are different from each other and from the archive's."""
    first: dict[str, str] = {}
    for name, aet in facts.modality_aets.items():
        path = dotted(("archive", "modalities", name, "aet"))
        if aet is None:
            continue
        if aet == facts.aet:
            yield Problem(path, aet, "this is the archive's own AE title")
        other = first.setdefault(aet, name)
        if other != name:
            yield Problem(path, aet, f"{_word(other)} has this AE title already")


def storage(facts: Facts) -> Iterator[Problem]:
    """The image storage is not in a folder that belongs to the system."""
    path = facts.storage or ""
    for folder in _SYSTEM_FOLDERS:
        if path == folder or path.startswith(f"{folder}/"):
            yield Problem(
                "archive.storage", path, f"{folder} belongs to the system", "for example /srv/images"
            )


def ssh(facts: Facts) -> Iterator[Problem]:
    """The account for operations is no service's and not the one for deployment; its port is free."""
    if facts.ssh_user is not None and facts.ssh_user in _SERVICE_USERS:
        reason = "this account has other work; the one for operations is limited to a fixed set of verbs"
        yield Problem("ssh.user", facts.ssh_user, reason, "for example hactl")
    elif facts.ssh_user is not None and facts.ssh_user == facts.deploy_user:
        reason = "is the account for operations too, which cannot run what a deployment runs"
        yield Problem("ssh.deploy_user", facts.ssh_user, reason, "root, or an account with sudo")
    if facts.ssh_port in _PORTS:
        yield Problem("ssh.port", str(facts.ssh_port), f"{_PORTS[facts.ssh_port]} listens there")


def _word(name: str) -> str:
    return shown((), name)
