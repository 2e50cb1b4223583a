"""What can be said about a spec that may have errors: each value that is good by itself, None for the others.

Rules between values work on this, so that one wrong address does not hide everything else.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from ipaddress import IPv4Address, IPv4Interface
from typing import Any, TypeVar

from pydantic import TypeAdapter, ValidationError

from hactl.spec import types
from hactl.spec.model import ArchiveVip, DatabaseVip, Role
from hactl.units import Seconds

T = TypeVar("T")


@dataclass(frozen=True)
class NodeFacts:
    address: IPv4Address | None
    roles: tuple[Role, ...] | None


@dataclass(frozen=True)
class VipFacts:
    address: IPv4Interface | None
    router_id: int | None


@dataclass(frozen=True)
class AgentFacts:
    agent: str | None
    options: Mapping[str, Any]


@dataclass(frozen=True)
class ServerFacts:
    """`at`: where it answers, None if that is in doubt."""

    at: tuple[IPv4Address, int] | None


@dataclass(frozen=True)
class Facts:
    """`nodes`, `vips`, `agents`, `modality_aets` and `servers` have an entry for each that the spec names.

    `has_vips`: it has such a mapping. `kind` is the archive's, as it stands there; `archive`, `access`,
    `people`: all of it, good or not.
    """

    nodes: Mapping[str, NodeFacts]
    vips: Mapping[str, VipFacts]
    has_vips: bool
    database_name: str | None
    parameters: Mapping[str, Any]
    aet: str | None
    storage: str | None
    modality_aets: Mapping[str, str | None]
    kind: object
    servers: Mapping[str, ServerFacts]
    archive: Mapping[str, Any]
    access: Mapping[str, Any]
    people: Mapping[str, Mapping[str, Any]]
    lease: Seconds | None
    agents: Mapping[str, AgentFacts]
    ssh_user: str | None
    deploy_user: str | None
    ssh_port: int | None

    def having(self, role: Role) -> tuple[str, ...]:
        return tuple(name for name, node in self.nodes.items() if node.roles and role in node.roles)

    @property
    def roles_known(self) -> bool:
        """Whether counting roles means anything: there are nodes, and no node's roles are in doubt."""
        return bool(self.nodes) and all(node.roles is not None for node in self.nodes.values())


_ADDRESS = TypeAdapter(types.Address)
_INTERFACE_ADDRESS = TypeAdapter(types.InterfaceAddress)
_ROLES = TypeAdapter(tuple[Role, ...])
_ROUTER_ID = TypeAdapter(types.RouterId)
_SQL_NAME = TypeAdapter(types.SqlName)
_AET = TypeAdapter(types.AeTitle)
_PATH = TypeAdapter(types.AbsolutePath)
_DURATION = TypeAdapter(types.Duration)
_USER = TypeAdapter(types.UserName)
_PORT = TypeAdapter(types.Port)
_AGENT = TypeAdapter(types.AgentName)
# What holds where the spec is silent; a test compares it with the model's defaults.
DEFAULTS = {
    "database.name": "orthanc",
    "archive.aet": "PACS",
    "archive.storage": "/srv/images",
    "fencing.lease": "3s",
    "ssh.user": "hactl",
    "ssh.deploy_user": "root",
    "ssh.port": 22,
}


def gather(document: object) -> Facts:
    """The facts of a plain document, for example the one `document.parse` made."""
    vips = _at(document, "vips")
    return Facts(
        nodes={name: _node(node) for name, node in _at(document, "nodes").items()},
        vips={
            name: _vip(vips[name], model.model_fields["router_id"].default)
            for name, model in (("database", DatabaseVip), ("archive", ArchiveVip))
            if vips.get(name) is not None
        },
        has_vips=isinstance(_at(document).get("vips"), dict),
        database_name=_scalar(_SQL_NAME, document, "database.name"),
        parameters=_at(document, "database.parameters"),
        aet=_scalar(_AET, document, "archive.aet"),
        storage=_scalar(_PATH, document, "archive.storage"),
        modality_aets={
            name: _good(_AET, _at(modality).get("aet"))
            for name, modality in _at(document, "archive.modalities").items()
        },
        kind=_at(document, "archive").get("kind", "orthanc"),
        servers={name: _server(server) for name, server in _at(document, "archive.servers").items()},
        archive=_at(document, "archive"),
        access=_at(document, "access"),
        people={name: _at(person) for name, person in _at(document, "access.people").items()},
        lease=_scalar(_DURATION, document, "fencing.lease"),
        agents={
            name: AgentFacts(_good(_AGENT, _at(agent).get("agent")), _at(agent, "options"))
            for name, agent in _at(document, "fencing.agents").items()
        },
        ssh_user=_scalar(_USER, document, "ssh.user"),
        deploy_user=_scalar(_USER, document, "ssh.deploy_user"),
        ssh_port=_scalar(_PORT, document, "ssh.port"),
    )


def _node(node: object) -> NodeFacts:
    return NodeFacts(_good(_ADDRESS, _at(node).get("address")), _good(_ROLES, _at(node).get("roles")))


def _server(server: object) -> ServerFacts:
    address, port = _good(_ADDRESS, _at(server).get("address")), _good(_PORT, _at(server).get("port", 104))
    return ServerFacts(None if address is None or port is None else (address, port))


def _vip(vip: object, default_id: int) -> VipFacts:
    return VipFacts(
        _good(_INTERFACE_ADDRESS, _at(vip).get("address")),
        _good(_ROUTER_ID, _at(vip).get("router_id", default_id)),
    )


def _at(document: object, path: str = "") -> Mapping[str, Any]:
    """The mapping at a dotted path, or an empty one."""
    here = document
    for part in path.split(".") if path else ():
        here = here.get(part) if isinstance(here, dict) else None
    return here if isinstance(here, dict) else {}


def _scalar(adapter: TypeAdapter[T], document: object, path: str) -> T | None:
    parent, _, key = path.rpartition(".")
    return _good(adapter, _at(document, parent).get(key, DEFAULTS[path]))


def _good(adapter: TypeAdapter[T], value: object) -> T | None:
    try:
        return adapter.validate_python(value)
    except ValidationError:
        return None
