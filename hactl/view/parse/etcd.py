"""etcd's JSON gateway: 64-bit numbers are decimal strings, empty fields are left out."""

from __future__ import annotations

from hactl.units import Bytes
from hactl.view.model import EtcdAlarm, EtcdMember, EtcdStatus
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
        db_used=Bytes(number(answer.get("dbSizeInUse")) or 0),
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


def parse_alarms(body: bytes) -> tuple[EtcdAlarm, ...]:
    """POST /v3/maintenance/alarm. The gateway leaves out what is empty, or zero: a kind that it names not.

    Raises:
        ValueError: not the answer of an etcd.

    """
    answer = mapping(document(body, "alarms"), "alarms")
    return tuple(
        EtcdAlarm(text(a.get("memberID"), "alarms: memberID"), str(a.get("alarm", "NONE")))
        for a in items(answer.get("alarms"), "alarms")
    )
