"""The agents of simulated archive nodes: what each would publish, at its pace, in few transactions."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Final

from hactl.errors import Unreachable
from hactl.units import Bytes
from hactl.view.archive import ArchiveFacts, EndToEnd
from hactl.view.control import AgentFacts
from hactl.view.integrity import IntegrityFacts
from hactl.view.keys import Keys
from hactl.view.kv import Put
from hactl.view.model import Disk, Probe, State
from hactl.view.pace import report_every
from hactl.view.parse.agent_facts import facts_text
from hactl.wiring import etcd_kv
from tests.bench.scale_place import ME, Place

LIVE: Final = 600  # s: the whole measurement
BATCH: Final = 50  # etcd takes 128 operations a transaction
_OK: Final = Probe(State.OK)
_UNITS: Final = ("orthanc.service", "nginx.service", "keepalived.service", "hactl-agent.service")
_TOOK: Final = {"store": 0.03, "find": 0.01, "retrieve": 0.02, "wado": 0.02, "qido": 0.01, "delete": 0.02}


def facts(node: str, seq: int, now: float, every: float) -> AgentFacts:
    """Of a node that is well, with all that an archive node's agent says."""
    return AgentFacts(
        node=node, boot="b", seq=seq, every=every, keepalived=_OK, storage=_OK, boottime=now,
        disks=tuple(Disk(path, Bytes(2**40), Bytes(2**42)) for path in ("/", "/srv/images")),
        units=dict.fromkeys(_UNITS, "active"),
        archive=ArchiveFacts(
            room=_OK, write=_OK, associations=3, last_check=EndToEnd(ok=True, at=now - 30.0, took=_TOOK)
        ),
        integrity=IntegrityFacts(objects=1_000_000, follows=2.0, scrubbed=86_400.0),
    )  # fmt: skip


def publish(place: Place, over: Callable[[], bool]) -> None:
    """Until `over`: each node in its turn, so that each is heard once in its agent's pace."""
    spec = place.spec()
    keys, kv = Keys(spec.cluster), etcd_kv(spec, place.site(), ME)
    lease, seq = kv.grant(LIVE, within=5.0), 0
    batches = [place.archives[n : n + BATCH] for n in range(0, place.count, BATCH)]
    pace = report_every(place.count)
    while not over():
        seq += 1
        began = time.monotonic()
        for number, batch in enumerate(batches):
            time.sleep(max(0.0, began + pace * number / len(batches) - time.monotonic()))
            now = time.monotonic()
            puts = [Put(keys.facts(node), facts_text(facts(node, seq, now, pace)), lease) for node in batch]
            try:
                kv.txn((), puts, within=2.0, again=True)
            except Unreachable:
                continue  # as a real agent: the next one comes
        time.sleep(max(0.0, began + pace - time.monotonic()))
