"""What integrity keeps in etcd, and what it reads there of Patroni's."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any, Final

from hactl.errors import Unreachable
from hactl.integrity.chain import Anchor
from hactl.integrity.fate import Fork
from hactl.ports import EtcdKv
from hactl.units import Lsn
from hactl.view.keys import Keys
from hactl.view.kv import Get, Put

WITHIN: Final = 5.0


class EtcdNotes:
    """Anchors, Forks and Reconciled of hactl/integrity/ports.py."""

    def __init__(self, kv: EtcdKv, keys: Keys) -> None:
        self._kv, self._keys = kv, keys

    def anchored(self) -> tuple[Anchor, ...]:
        """Raises Unreachable. What cannot be read is no anchor."""
        found = self._kv.ranges((Get(self._keys.manifests, prefix=True),), within=WITHIN).ranges[0]
        return tuple(_anchors((pair.key.removeprefix(self._keys.manifests), pair.value) for pair in found))

    def anchor(self, head: Anchor) -> None:
        """Raises Unreachable."""
        text = json.dumps({"segment": head.segment, "chain": head.chain})
        self._kv.txn((), (Put(self._keys.manifest(head.node), text),), within=WITHIN, again=True)

    def forks(self) -> tuple[Fork, ...]:
        """Raises Unreachable, also when Patroni's history cannot be read: a guess would raise the dead."""
        pairs = self._kv.ranges((Get(self._keys.history),), within=WITHIN).ranges[0]
        if not pairs:
            return ()
        try:
            return tuple(Fork(int(row[0]), Lsn(int(row[1]))) for row in json.loads(pairs[0].value))
        except (ValueError, TypeError, IndexError, KeyError) as error:
            raise Unreachable("Patroni's history in etcd cannot be read") from error

    def note(self, timeline: int, node: str, result: str) -> None:
        """Raises Unreachable."""
        text = json.dumps({"timeline": timeline, "node": node, "result": result})
        self._kv.txn((), (Put(self._keys.reconciled, text),), within=WITHIN, again=True)


def _anchors(found: Iterator[tuple[str, str]]) -> Iterator[Anchor]:
    for node, value in found:
        try:
            fields: Any = json.loads(value)
            yield Anchor(node, int(fields["segment"]), str(fields["chain"]))
        except (ValueError, KeyError, TypeError):
            continue
