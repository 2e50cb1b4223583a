"""Patroni's REST answers. Its words `leader`, `master` and `replica` become hactl's here and nowhere else."""

from __future__ import annotations

import datetime as dt
from collections.abc import Mapping

from hactl.units import Bytes
from hactl.view.model import ClusterMember, DbRole, PatroniCluster, PatroniSelf
from hactl.view.parse.fields import Json, document, items, lsn, mapping, number, text

ROLES = {
    "primary": DbRole.PRIMARY, "master": DbRole.PRIMARY, "leader": DbRole.PRIMARY,
    "replica": DbRole.STANDBY, "sync_standby": DbRole.STANDBY, "quorum_standby": DbRole.STANDBY,
    "standby_leader": DbRole.STANDBY,
}  # fmt: skip


def parse_itself(body: bytes) -> PatroniSelf:
    """GET /patroni, which answers 503 with the same body when PostgreSQL is down.

    Raises:
        ValueError: not the answer of a Patroni.

    """
    answer = mapping(document(body, "/patroni"), "/patroni")
    about = mapping(answer.get("patroni"), "/patroni: patroni")
    xlog = mapping(answer.get("xlog") or {}, "/patroni: xlog")
    found = (lsn(xlog.get(key)) for key in ("location", "received_location", "replayed_location"))
    rows = items(answer.get("replication"), "/patroni: replication")
    return PatroniSelf(
        name=text(about.get("name"), "/patroni: name"),
        role=ROLES.get(str(answer.get("role")), DbRole.UNKNOWN),
        state=str(answer.get("state", "unknown")),
        timeline=number(answer.get("timeline")),
        lsn=max((p for p in found if p), default=None),
        sync=bool(answer.get("sync_standby") or answer.get("quorum_standby")),
        replication_state=str(answer.get("replication_state", "")),
        streams_to=tuple(str(r.get("application_name")) for r in rows if r.get("state") == "streaming"),
        paused=bool(answer.get("pause")),
        pending_restart=bool(answer.get("pending_restart")),
        replayed_at=_moment(xlog.get("replayed_timestamp")),
        patroni_version=str(about.get("version", "")),
        server_version=number(answer.get("server_version")),
        identified=bool(answer.get("database_system_identifier")),
        started=str(answer.get("postmaster_start_time") or ""),
        made=_made(answer.get("database_system_identifier")),
    )


def _made(system: object) -> float | None:
    """PostgreSQL's initdb puts the Unix time into the upper half of its system identifier (xlog.c)."""
    number_of = str(system)
    return float(int(number_of) >> 32) if number_of.isascii() and number_of.isdigit() else None


def _moment(value: object) -> float | None:
    try:
        moment = dt.datetime.fromisoformat(str(value))
    except ValueError:
        return None
    return moment.timestamp() if moment.tzinfo else None  # without a zone it could be any


def parse_cluster(body: bytes) -> PatroniCluster:
    """GET /cluster.

    Raises:
        ValueError: not the answer of a Patroni.

    """
    answer = mapping(document(body, "/cluster"), "/cluster")
    if "members" not in answer:
        raise ValueError("/cluster: no members")
    members = tuple(_member(m) for m in items(answer["members"], "/cluster: members"))
    return PatroniCluster(members=members, paused=bool(answer.get("pause")))


def _member(row: Json) -> ClusterMember:
    role, lag = str(row.get("role")), number(row.get("lag"))
    return ClusterMember(
        name=text(row.get("name"), "/cluster: name"),
        role=ROLES.get(role, DbRole.UNKNOWN),
        state=str(row.get("state", "unknown")),
        leader=role in {"leader", "standby_leader"},
        sync=role in {"sync_standby", "quorum_standby"},
        timeline=number(row.get("timeline")),
        lag=None if lag is None else Bytes(lag),
    )


def parse_config(body: bytes) -> Mapping[str, object]:
    """GET /config: the dynamic configuration in etcd.

    Raises:
        ValueError: not an object.

    """
    return mapping(document(body, "/config"), "/config")


def parse_waiting(body: bytes) -> Mapping[str, tuple[str, str]]:
    """Of GET /patroni: the parameters that wait for a restart, with their old and new values.

    Raises:
        ValueError: not the answer of a Patroni.

    """
    answer = mapping(document(body, "/patroni"), "/patroni")
    reasons = mapping(answer.get("pending_restart_reason") or {}, "/patroni: pending_restart_reason")
    found = {name: mapping(reason, "/patroni: pending_restart_reason") for name, reason in reasons.items()}
    return {name: (str(r.get("old_value", "")), str(r.get("new_value", ""))) for name, r in found.items()}
