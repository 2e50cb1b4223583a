"""A journal with one failover from suspicion to redundancy, and an act beside it, as controllers write."""

from __future__ import annotations

import dataclasses
import datetime as dt
from dataclasses import dataclass, field
from typing import Any

from hactl.view.control_text import incident_object
from hactl.view.incident import Incident, Phase, Stamp
from hactl.view.journal import START, Kind, Record, sealed

T0 = dt.datetime(2026, 11, 22, 8, 0, tzinfo=dt.UTC)


def wall(ms: int) -> str:
    return (T0 + dt.timedelta(milliseconds=ms)).isoformat(timespec="milliseconds")


@dataclass
class Writer:
    """`ms` counts from T0; each node's monotonic clock is at another place then."""

    node: str = "wit1"
    mono0: int = 500_000
    records: list[Record] = field(default_factory=list)

    def write(self, kind: Kind, action: str, ms: int, **fields: object) -> int:
        data = fields.pop("data", {})
        record = Record(
            seq=len(self.records) + 1, wall=wall(ms), mono_ms=self.mono0 + ms, boot=f"boot-{self.node}",
            node=self.node, actor="controller", kind=kind, action=action, data=data,  # type: ignore[arg-type]
            prev=self.records[-1].hash if self.records else START,
        )  # fmt: skip
        self.records.append(sealed(dataclasses.replace(record, **fields)))  # type: ignore[arg-type]
        return record.seq

    def act(
        self, action: str, ms: int, took: int, *, ok: bool | None = True, said: str = "", **fields: object
    ) -> None:
        reason = fields.pop("data", {"reason": f"why {action}"})
        more = fields.pop("closed", {})
        of = self.write(Kind.INTENT, action, ms, data=reason, **fields)
        result = {"ok": ok, "said": said, **more}  # type: ignore[dict-item]
        self.write(Kind.RESULT, action, ms + took, of=of, data=result, **fields)

    def mark(self, phase: Phase, ms: int, node: str, evidence: str = "", **fields: object) -> None:
        at = {"mono_ms": self.mono0 + ms, "wall": wall(ms)}
        data = {"phase": str(phase), "node": node, "evidence": evidence, "by": self.node, **at}
        self.write(Kind.EVENT, "mark", ms, data=data, **fields)


def incident(*stamps: Stamp, outcome: str = "") -> Incident:
    first = Stamp(Phase.SUSPECTED, "wit1", 500_000, wall(0), "three of four paths are silent", "wit1")
    return Incident("failover-1", "failover", "db1", "db2", 1, stamps=(first, *stamps), outcome=outcome,
                    details={"etcd_leader": "wit1"})  # fmt: skip


def failover() -> Writer:
    """Begun by wit1; from the promotion on it is db2 that watches, with another monotonic clock."""
    w = Writer()
    w.act(
        "move-etcd-leader",
        -60_000,
        120,
        said="moved",
        data={"to": "wit1", "reason": "it was beside the primary"},
    )
    about: dict[str, Any] = {"incident": "failover-1", "epoch": 1}
    opened = incident(Stamp(Phase.INTENT, "db1", 500_020, wall(20), "epoch 1, by wit1", "wit1"))
    data = {"reason": "silent", "incident": incident_object(opened)}
    w.act("open-incident", 10, 12, said="fence intent", data=data, **about)
    w.act("run-fence-agent", 25, 5, said="started", epoch=1)
    w.act("prime-standby", 31, 4, said="ordered", epoch=1)
    w.mark(Phase.PROOF, 900, "db1", "power off", **about)
    w.act("release-leader", 905, 8, said="deleted", **about)
    w.mark(Phase.RELEASED, 915, "db1", **about)
    w.node, w.mono0 = "db2", 77_000
    w.mark(Phase.PROMOTED, 1300, "db2", "timeline 2", **about)
    w.mark(Phase.VIP_UP, 1450, "db2", **about)
    w.mark(Phase.FIRST_COMMIT, 1700, "db2", "12 ms", **about)
    w.mark(Phase.REDUNDANT, 60_000, "db1", "streams, in /sync", **about)
    return w


def closed() -> Writer:
    w = failover()
    stamps = [_stamp(r) for r in w.records if r.action == "mark"]
    begun = Stamp(Phase.INTENT, "db1", 500_020, wall(20), "epoch 1", "wit1")
    whole = {"incident": incident_object(incident(begun, *stamps, outcome="redundant again"))}
    w.act("close-incident", 60_010, 4, said="redundant again", incident="failover-1", closed=whole)
    return w


def _stamp(mark: Record) -> Stamp:
    at = {name: str(mark.data[name]) for name in ("phase", "node", "mono_ms", "wall", "evidence")}
    return Stamp(Phase(at["phase"]), at["node"], int(at["mono_ms"]), at["wall"], at["evidence"], mark.node)
