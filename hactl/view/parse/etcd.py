"""etcd's JSON gateway: 64-bit numbers are decimal strings, empty fields are left out, keys are base64."""

from __future__ import annotations

import base64
import binascii
import json

from hactl.units import Bytes
from hactl.view.model import DcsKeys, EtcdMember, EtcdStatus
from hactl.view.parse.fields import document, items, mapping, number, text, texts


def parse_status(body: bytes) -> EtcdStatus:
    """POST /v3/maintenance/status.

    Raises:
        ValueError: not the answer of an etcd.

    """
    answer = mapping(document(body, "status"), "status")
    header = mapping(answer.get("header"), "status: header")
    leader = str(answer.get("leader", ""))
    return EtcdStatus(
        member_id=text(header.get("member_id"), "status: member_id"),
        leader_id="" if leader == "0" else leader,
        version=str(answer.get("version", "")),
        db_size=Bytes(number(answer.get("dbSize")) or 0),
        errors=texts(answer.get("errors"), "status: errors"),
    )


def parse_members(body: bytes) -> tuple[EtcdMember, ...]:
    """POST /v3/cluster/member/list. A member that never started has an empty name.

    Raises:
        ValueError: not the answer of an etcd.

    """
    answer = mapping(document(body, "member list"), "member list")
    if "members" not in answer:
        raise ValueError("member list: no members")
    return tuple(
        EtcdMember(text(m.get("ID"), "member list: ID"), str(m.get("name", "")), bool(m.get("isLearner")))
        for m in items(answer["members"], "member list")
    )


def parse_keys(body: bytes, prefix: str) -> DcsKeys:
    """POST /v3/kv/range over Patroni's `prefix` (it ends with a slash): /leader and /sync.

    Raises:
        ValueError: not the answer of an etcd.

    """
    answer = mapping(document(body, "range"), "range")
    header = mapping(answer.get("header"), "range: header")
    values = {
        _decoded(row.get("key")).removeprefix(prefix): _decoded(row.get("value"))
        for row in items(answer.get("kvs"), "range: kvs")
    }
    return DcsKeys(
        revision=number(header.get("revision")) or 0,
        leader=values.get("leader") or None,
        sync_standbys=_sync_standbys(values.get("sync", "")),
    )


def _decoded(value: object) -> str:
    try:
        return base64.b64decode(str(value or ""), validate=True).decode()
    except (binascii.Error, UnicodeDecodeError) as error:
        raise ValueError("range: not base64 of text") from error


def _sync_standbys(value: str) -> tuple[str, ...]:
    """The names in Patroni's /sync: one string, separated by commas; none while nobody is synchronous."""
    if not value:
        return ()
    try:
        names = json.loads(value).get("sync_standby")
    except (ValueError, AttributeError, RecursionError) as error:
        raise ValueError("range: /sync is not an object") from error
    return tuple(n for n in str(names or "").split(",") if n)
