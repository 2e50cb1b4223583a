"""Patroni's REST API, the one act that a controller asks of it: copy a standby anew."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from hactl.errors import Refused, Unreachable
from hactl.ports import Http

WITHIN: Final = 2.0


class PatroniReinit:
    """`bases`: each database node's https://address:port."""

    def __init__(self, http: Http, bases: Mapping[str, str]) -> None:
        self._http, self._bases = http, bases

    def reinitialize(self, node: str) -> str:
        """`force` ends a copying that hangs. Never `from_leader`: it passes by the configured method.

        Raises:
            Unreachable: its Patroni does not answer.
            Refused: it says no.

        """
        base = self._bases.get(node)
        if base is None:
            raise Unreachable(f"{node} is no database node")
        headers = {"Content-Type": "application/json"}
        body = b'{"force": true}'
        reply = self._http.send("POST", f"{base}/reinitialize", within=WITHIN, body=body, headers=headers)
        said = reply.body.decode(errors="replace").strip()[:200]
        if reply.status != 200:
            raise Refused(f"Patroni on {node} does not copy its data anew ({reply.status}): {said}")
        return said or "reinitialize accepted"
