"""Patroni's REST API, read only."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import TypeVar

from hactl.errors import Unreachable
from hactl.ports import Http, Silent
from hactl.view.model import PatroniCluster, PatroniSelf
from hactl.view.parse import patroni as parse

T = TypeVar("T")
# Patroni answers /patroni from memory; /cluster waits for etcd. Both stay below status's 2 s.
WITHIN = 1.7


class PatroniRest:
    def __init__(self, http: Http, base: str) -> None:
        self._http, self._base = http, base

    def _get(self, path: str, understand: Callable[[bytes], T], *, accepts: tuple[int, ...] = (200,)) -> T:
        reply = self._http.send("GET", self._base + path, within=WITHIN)
        if reply.status not in accepts:
            raise Unreachable(f"Patroni at {self._base}{path} answers with status {reply.status}")
        try:
            return understand(reply.body)
        except ValueError as error:
            raise Unreachable(f"what answers at {self._base} is no Patroni: {error}") from error

    def itself(self) -> PatroniSelf:
        return self._get("/patroni", parse.parse_itself, accepts=(200, 503))

    def cluster(self) -> PatroniCluster:
        return self._get("/cluster", parse.parse_cluster)

    def config(self) -> Mapping[str, object]:
        return self._get("/config", parse.parse_config)

    def waiting(self) -> Mapping[str, tuple[str, str]]:
        """What this member's PostgreSQL waits with for a restart: parameter -> (old value, new value)."""
        return self._get("/patroni", parse.parse_waiting, accepts=(200, 503))


class DatabaseVip:
    """The database VIP's holder: the Patroni that answers there says its name."""

    def __init__(self, http: Http, address: str, port: int) -> None:
        self.address = address
        self._patroni = PatroniRest(http, f"https://{address}:{port}")

    def holder(self) -> str | None:
        try:
            return self._patroni.itself().name
        except Silent:
            return None
