"""etcd as a whole: several endpoints, one call (docs/adr/0003-etcd-through-its-json-gateway.md)."""

from __future__ import annotations

import contextlib
import json
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from typing import Any, TypeVar

from hactl.adapters import etcd_watch
from hactl.adapters.endpoints import Endpoints
from hactl.adapters.etcd_wire import range_request, txn_request
from hactl.adapters.http import HttpsClient
from hactl.adapters.http_keep import KeepAlive
from hactl.errors import Unreachable
from hactl.ports import MaybeDone, NoSpace, NoSuchLease
from hactl.view.kv import Compare, Get, LeaseTime, Op, RangeReply, RangesReply, TxnReply
from hactl.view.model import EtcdAlarm, EtcdMember, EtcdStatus
from hactl.view.parse import etcd as parse
from hactl.view.parse import etcd_kv as parse_kv

T = TypeVar("T")

# gRPC's status codes after which nothing was changed, and which any member would give: an invalid argument,
# no such thing, no permission, no space, not possible, compacted, not implemented, not authenticated.
_FINAL = frozenset({3, 5, 7, 8, 9, 11, 12, 16})
_NOT_FOUND = 5
_EXHAUSTED = 8
_OUT_OF_RANGE = 11


class EtcdKvClient:
    """`endpoints`: node -> URL, in the order to try: the local one first. See ports.EtcdKv.

    An endpoint that hangs costs at most its share of a call's time: what is left, divided by the endpoints
    not asked yet. One that failed comes last for a while (see Endpoints).
    """

    def __init__(self, endpoints: Mapping[str, str], files: HttpsClient) -> None:
        self._servers = {name: KeepAlive(url, files) for name, url in endpoints.items()}
        self._order = Endpoints(tuple(endpoints))

    def range(
        self, key: str, *, within: float, prefix: bool = False, serializable: bool = False
    ) -> RangeReply:
        request = range_request(Get(key, prefix=prefix), serializable=serializable)
        return self._read("/v3/kv/range", request, parse_kv.parse_range, within)

    def ranges(self, gets: Sequence[Get], *, within: float) -> RangesReply:
        # A transaction without changes is one linearizable read of all its ranges.
        reply = self._read("/v3/kv/txn", txn_request((), gets, ()), parse_kv.parse_txn, within)
        return RangesReply(reply.revision, reply.results)

    def txn(
        self,
        compares: Sequence[Compare],
        then: Sequence[Op],
        otherwise: Sequence[Op] = (),
        *,
        within: float,
        again: bool = False,
    ) -> TxnReply:
        request = txn_request(compares, then, otherwise)
        return self._change("/v3/kv/txn", request, parse_kv.parse_txn, within, again=again)

    def grant(self, ttl: int, *, within: float) -> int:
        request = {"TTL": str(ttl), "ID": "0"}
        return self._change("/v3/lease/grant", request, parse_kv.parse_grant, within, again=True)

    def keepalive(self, lease: int, *, within: float) -> int:
        left = self._change(
            "/v3/lease/keepalive", {"ID": str(lease)}, parse_kv.parse_keepalive, within, again=True
        )
        if left == 0:
            raise NoSuchLease(f"lease {lease:x} has ended")
        return left

    def time_left(self, lease: int, *, within: float) -> LeaseTime:
        found = self._read("/v3/lease/timetolive", {"ID": str(lease)}, parse_kv.parse_time_left, within)
        if found is None:
            raise NoSuchLease(f"lease {lease:x} has ended")
        return found

    def revoke(self, lease: int, *, within: float) -> None:
        with contextlib.suppress(NoSuchLease):
            self._change("/v3/lease/revoke", {"ID": str(lease)}, lambda _: None, within, again=True)

    def watch(self, prefixes: Sequence[str], on_change: Callable[[], None], stop: threading.Event) -> None:
        while not stop.is_set():
            name = self._order.now()[0]
            if not etcd_watch.watch_once(self._servers[name], prefixes, on_change, stop):
                self._order.failed(name)
                stop.wait(0.2)

    def status(self, endpoint: str, *, within: float) -> EtcdStatus:
        """Raises KeyError for a node that has no etcd."""
        by = time.monotonic() + within
        return self._ask(endpoint, "/v3/maintenance/status", {}, parse.parse_status, (by, by))

    def members(self, *, within: float) -> tuple[EtcdMember, ...]:
        return self._read("/v3/cluster/member/list", {}, parse.parse_members, within)

    def move_leader(self, to_member_id: str, *, within: float) -> None:
        by = time.monotonic() + within
        leader = self._leader(within / 2)
        if leader is None:
            raise Unreachable("no etcd member says that it leads")
        name, member_id = leader
        if member_id != to_member_id:
            request = {"targetID": to_member_id}
            self._ask(name, "/v3/maintenance/transfer-leadership", request, lambda _: None, (by, by))

    def compact(self, revision: int, *, within: float) -> None:
        """Forget what keys were before `revision`. What is compacted already is no error."""
        request = {"revision": str(revision), "physical": True}
        with contextlib.suppress(_Compacted):
            self._change("/v3/kv/compaction", request, lambda _: None, within, again=True)

    def defragment(self, endpoint: str, *, within: float) -> None:
        """Give back what is unused of this member's file. It answers nobody meanwhile."""
        by = time.monotonic() + within
        self._ask(endpoint, "/v3/maintenance/defragment", {}, lambda _: None, (by, by))

    def alarms(self, *, within: float) -> tuple[EtcdAlarm, ...]:
        return self._read("/v3/maintenance/alarm", {"action": "GET"}, parse.parse_alarms, within)

    def disarm(self, alarm: EtcdAlarm, *, within: float) -> None:
        """Raised again by the next write when the cause is still there."""
        request = {"action": "DEACTIVATE", "memberID": alarm.member_id, "alarm": alarm.kind}
        self._change("/v3/maintenance/alarm", request, parse.parse_alarms, within, again=True)

    def close(self) -> None:
        for server in self._servers.values():
            server.close()

    def _leader(self, within: float) -> tuple[str, str] | None:
        """The endpoint that leads, and its member id. Only the leader itself can hand leadership over."""
        names, start = self._order.now(), time.monotonic()
        for i, name in enumerate(names):
            left = start + within - time.monotonic()
            with contextlib.suppress(Unreachable):
                status = self.status(name, within=left / (len(names) - i))
                if status.member_id == status.leader_id:
                    return name, status.member_id
        return None

    def _read(self, path: str, request: Any, understand: Callable[[bytes], T], within: float) -> T:
        try:
            return self._change(path, request, understand, within, again=True)
        except MaybeDone as error:  # a look changes nothing, so it is simply not done
            raise Unreachable(error.message) from error

    def _change(
        self, path: str, request: Any, understand: Callable[[bytes], T], within: float, *, again: bool
    ) -> T:
        """Ask one endpoint after the other. What was sent once is sent to another one only with `again`."""
        end = time.monotonic() + within
        names, failures = self._order.now(), list[Unreachable]()
        for i, name in enumerate(names):
            now = time.monotonic()
            share = now + (end - now) / (len(names) - i)
            try:
                found = self._ask(name, path, request, understand, (share, share if again else end))
            except (NoSuchLease, NoSpace, _Compacted):
                raise
            except _Refusal as error:
                raise Unreachable(error.message) from error
            except Unreachable as error:
                self._order.failed(name)
                failures.append(error)
                if isinstance(error, MaybeDone) and not again:
                    raise
            else:
                self._order.works(name)
                return found
        said = "no etcd endpoint answered: " + "; ".join(e.message for e in failures)
        unsure = any(isinstance(e, MaybeDone) for e in failures)
        raise MaybeDone(said) if unsure else Unreachable(said)

    def _ask(
        self,
        name: str,
        path: str,
        request: Any,
        understand: Callable[[bytes], T],
        by: tuple[float, float],
    ) -> T:
        """One endpoint; `by`: when it must be connected, and when it must have answered."""
        body = json.dumps(request).encode()
        reply = self._servers[name].post(path, body, connected_by=by[0], answered_by=by[1])
        if reply.status != 200:
            raise _failure(name, reply.body)
        try:
            return understand(reply.body)
        except ValueError as error:
            raise MaybeDone(f"what answers for etcd on {name} is no etcd: {error}") from error


class _Refusal(Unreachable):
    """etcd's own no: nothing was changed, and another endpoint would say the same."""


class _Compacted(_Refusal):
    """There is nothing left to compact."""


def _failure(name: str, body: bytes) -> Unreachable:
    code, why = parse_kv.parse_error(body)
    if code == _NOT_FOUND and "lease not found" in why:
        return NoSuchLease(f"etcd: {why}")
    if code == _EXHAUSTED and "space exceeded" in why:
        return NoSpace(f"etcd on {name} takes no writes: {why}")
    if code == _OUT_OF_RANGE and "has been compacted" in why:
        return _Compacted(why)
    if code in _FINAL:
        return _Refusal(f"etcd on {name} refuses: {why}")
    return MaybeDone(f"etcd on {name}: {why}")
