"""Answers of etcd's JSON gateway to ranges, transactions, leases. What is 0 or empty is left out there."""

from __future__ import annotations

import base64
import binascii

from hactl.view.kv import LeaseTime, Pair, RangeReply, TxnReply
from hactl.view.parse.fields import Json, document, items, mapping, number


def parse_range(body: bytes) -> RangeReply:
    """POST /v3/kv/range.

    Raises:
        ValueError: not the answer of an etcd.

    """
    answer = mapping(document(body, "range"), "range")
    return RangeReply(_revision(answer), _pairs(answer.get("kvs")))


def parse_txn(body: bytes) -> TxnReply:
    """POST /v3/kv/txn.

    Raises:
        ValueError: not the answer of an etcd.

    """
    answer = mapping(document(body, "txn"), "txn")
    results = tuple(_result(row) for row in items(answer.get("responses"), "txn: responses"))
    return TxnReply(answer.get("succeeded") is True, _revision(answer), results)


def parse_grant(body: bytes) -> int:
    """POST /v3/lease/grant: the lease's id.

    Raises:
        ValueError: not the answer of an etcd, or no lease.

    """
    lease = number(mapping(document(body, "grant"), "grant").get("ID"))
    if not lease:
        raise ValueError("grant: no lease")
    return lease


def parse_keepalive(body: bytes) -> int:
    """POST /v3/lease/keepalive: the seconds left; 0: etcd does not know this lease.

    Raises:
        ValueError: not the answer of an etcd.

    """
    answer = mapping(document(body, "keepalive"), "keepalive")
    result = mapping(answer.get("result"), "keepalive: result")
    mapping(result.get("header"), "keepalive: header")
    return number(result.get("TTL")) or 0


def parse_time_left(body: bytes) -> LeaseTime | None:
    """POST /v3/lease/timetolive; None: etcd does not know this lease.

    Raises:
        ValueError: not the answer of an etcd.

    """
    answer = mapping(document(body, "timetolive"), "timetolive")
    mapping(answer.get("header"), "timetolive: header")
    if str(answer.get("TTL")) == "-1":
        return None
    return LeaseTime(number(answer.get("TTL")) or 0, number(answer.get("grantedTTL")) or 0)


def parse_error(body: bytes) -> tuple[int, str]:
    """The gRPC status code and sentence in an answer that is not 200; (2, unknown) when it says none."""
    try:
        answer = mapping(document(body, "error"), "error")
    except ValueError:
        return 2, "no reason given"
    code = number(answer.get("code"))
    return 2 if code is None else code, str(answer.get("message") or answer.get("error") or "no reason given")


def _revision(answer: Json) -> int:
    revision = number(mapping(answer.get("header"), "header").get("revision"))
    if revision is None:
        raise ValueError("header: no revision")
    return revision


def _result(row: Json) -> tuple[Pair, ...]:
    if found := row.get("response_range"):
        return _pairs(mapping(found, "txn: range").get("kvs"))
    if removed := row.get("response_delete_range"):
        return _pairs(mapping(removed, "txn: delete").get("prev_kvs"))
    return ()


def _pairs(rows: object) -> tuple[Pair, ...]:
    return tuple(
        Pair(
            key=_decoded(row.get("key")),
            value=_decoded(row.get("value")),
            mod_revision=number(row.get("mod_revision")) or 0,
            create_revision=number(row.get("create_revision")) or 0,
            version=number(row.get("version")) or 0,
            lease=number(row.get("lease")) or 0,
        )
        for row in items(rows, "kvs")
    )


def _decoded(value: object) -> str:
    """A value that is not UTF-8 spoils itself only: whoever reads it finds it is not what it should be."""
    try:
        return base64.b64decode(str(value or ""), validate=True).decode(errors="replace")
    except binascii.Error as error:
        raise ValueError("kvs: not base64") from error
