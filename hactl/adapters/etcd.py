"""etcd, one endpoint at a time, through its JSON gateway (docs/adr/0003-etcd-through-its-json-gateway.md)."""

from __future__ import annotations

import base64
import json
from collections.abc import Callable
from typing import TypeVar

from hactl.errors import Unreachable
from hactl.ports import Http
from hactl.view.model import DcsKeys, EtcdMember, EtcdStatus
from hactl.view.parse import etcd as parse

T = TypeVar("T")
# A member without quorum never answers a linearizable read; status must not wait for it.
WITHIN = 1.7


def _b64(text: str) -> str:
    return base64.b64encode(text.encode()).decode()


class EtcdGateway:
    """`prefix` is where Patroni keeps its keys: /service/<cluster>/."""

    def __init__(self, http: Http, base: str, prefix: str) -> None:
        self._http, self._base, self._prefix = http, base, prefix

    def _post(self, path: str, request: dict[str, object], understand: Callable[[bytes], T]) -> T:
        reply = self._http.send("POST", self._base + path, body=json.dumps(request).encode(), within=WITHIN)
        if reply.status != 200:
            raise Unreachable(f"etcd at {self._base} answers with status {reply.status}")
        try:
            return understand(reply.body)
        except ValueError as error:
            raise Unreachable(f"what answers at {self._base} is no etcd: {error}") from error

    def status(self) -> EtcdStatus:
        return self._post("/v3/maintenance/status", {}, parse.parse_status)

    def members(self) -> tuple[EtcdMember, ...]:
        return self._post("/v3/cluster/member/list", {}, parse.parse_members)

    def keys(self) -> DcsKeys:
        # All keys with this prefix: up to, and without, the prefix with its last byte raised by one.
        end = self._prefix[:-1] + chr(ord(self._prefix[-1]) + 1)
        request: dict[str, object] = {"key": _b64(self._prefix), "range_end": _b64(end)}
        return self._post("/v3/kv/range", request, lambda body: parse.parse_keys(body, self._prefix))
