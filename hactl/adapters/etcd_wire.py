"""Requests as etcd's JSON gateway wants them: 64-bit numbers as decimal strings, keys, values in base64."""

from __future__ import annotations

import base64
from collections.abc import Sequence
from typing import Any, assert_never

from hactl.view.kv import Compare, Delete, Get, Op, Put, Target, end_of

_FIELDS = {
    Target.VERSION: "version", Target.MOD: "mod_revision", Target.CREATE: "create_revision",
    Target.LEASE: "lease",
}  # fmt: skip


def b64(text: str) -> str:
    return base64.b64encode(text.encode()).decode()


def range_request(get: Get, *, serializable: bool = False) -> dict[str, Any]:
    request: dict[str, Any] = _span(get)
    if get.limit:
        request["limit"] = str(get.limit)
    if get.last:
        request |= {"sort_order": "DESCEND", "sort_target": "KEY"}
    if serializable:
        request["serializable"] = True
    return request


def txn_request(compares: Sequence[Compare], then: Sequence[Op], otherwise: Sequence[Op]) -> dict[str, Any]:
    return {
        "compare": [_compare(c) for c in compares],
        "success": [_op(o) for o in then],
        "failure": [_op(o) for o in otherwise],
    }


def watch_requests(prefixes: Sequence[str]) -> tuple[dict[str, Any], ...]:
    return tuple({"create_request": _span(Get(prefix, prefix=True))} for prefix in prefixes)


def _span(op: Get | Delete) -> dict[str, Any]:
    end = end_of(op)
    return {"key": b64(op.key), **({"range_end": b64(end)} if end else {})}


def _compare(compare: Compare) -> dict[str, Any]:
    about = {"key": b64(compare.key), "target": compare.target.value, "result": compare.op.value}
    if compare.target is Target.VALUE:
        return {**about, "value": b64(str(compare.operand))}
    return {**about, _FIELDS[compare.target]: str(compare.operand)}


def _op(op: Op) -> dict[str, Any]:
    match op:
        case Put(key, value, lease):
            put = {"key": b64(key), "value": b64(value), **({"lease": str(lease)} if lease else {})}
            return {"request_put": put}
        case Get():
            return {"request_range": range_request(op)}
        case Delete():
            return {"request_delete_range": {**_span(op), "prev_kv": True}}
        case _:
            assert_never(op)
