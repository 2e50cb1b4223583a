"""etcd, one endpoint at a time, through its JSON gateway (docs/adr/0003-etcd-through-its-json-gateway.md)."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from typing import Any, TypeVar

from hactl.adapters.etcd_wire import txn_request
from hactl.errors import Unreachable
from hactl.ports import Http
from hactl.view.control import Dcs
from hactl.view.keys import Keys
from hactl.view.kv import Get, RangesReply
from hactl.view.model import EtcdMember, EtcdStatus
from hactl.view.parse import etcd as parse
from hactl.view.parse import etcd_kv as parse_kv
from hactl.view.parse.control import parse_look

T = TypeVar("T")
# A member without quorum never answers a linearizable read; status must not wait for it.
WITHIN = 1.7


class EtcdGateway:
    """One endpoint at `base`, for what `status` looks at. `gets`: what is read of the keys, if not all."""

    def __init__(self, http: Http, base: str, keys: Keys, gets: Sequence[Get] = ()) -> None:
        self._http, self._base, self._keys, self._gets = http, base, keys, gets or keys.look()

    def _post(self, path: str, request: dict[str, Any], understand: Callable[[bytes], T]) -> T:
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

    def keys(self) -> Dcs:
        # A transaction without changes is one linearizable read of all its ranges.
        def understand(body: bytes) -> Dcs:
            reply = parse_kv.parse_txn(body)
            if not reply.succeeded:  # a transaction without conditions always does
                raise ValueError("txn: not done")
            return parse_look(self._keys, RangesReply(reply.revision, reply.results))

        return self._post("/v3/kv/txn", txn_request((), self._gets, ()), understand)
