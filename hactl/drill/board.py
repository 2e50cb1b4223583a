"""What a drill looks like while it runs: events in, a few facts out. No clock of its own, nothing drawn."""

from __future__ import annotations

import threading
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field

from hactl.drill.history import Event, Look, Mark, Outcome, Store, Write

BUCKET = 0.5  # seconds for one bar of the chart

_SAID = {"fault": "power of {node} cut", "heal": "power of {node} on again", "note": "{detail}"}
_NAMED = {
    "fault": "{detail} on {node}",
    "heal": "{detail} on {node} healed",
}  # where the mark names the fault


@dataclass(frozen=True)
class Line:
    """One entry of the story; `at` in seconds of the history's clock."""

    at: float
    text: str


@dataclass
class Board:
    """Fed from many threads by a history; `told` hears each new line at once."""

    start: float
    told: Callable[[Line], None] = lambda _: None
    lines: list[Line] = field(default_factory=list)
    holders: dict[str, tuple[str, ...]] = field(default_factory=dict)
    acker: str | None = None
    timeline: int | None = None
    last_ack: float | None = None
    fault: Mark | None = None
    outage: float | None = None  # seconds, once it is over
    counts: Counter[str] = field(default_factory=Counter)
    images: int = 0
    _bars: Counter[int] = field(default_factory=Counter)
    _lock: threading.Lock = field(default_factory=threading.Lock)

    def event(self, event: Event) -> None:
        with self._lock:
            match event:
                case Write() if not event.inside:
                    self._write(event)
                case Look():
                    self._look(event)
                case Mark():
                    self._mark(event)
                case Store():
                    self.images += event.outcome is Outcome.OK

    def _say(self, at: float, text: str) -> None:
        line = Line(at, text)
        self.lines.append(line)
        self.told(line)

    def _write(self, write: Write) -> None:
        self.counts[write.outcome] += 1
        if write.outcome is not Outcome.OK or write.server is None:
            return
        self._bars[int((write.end - self.start) / BUCKET)] += 1
        self.last_ack = max(write.end, self.last_ack or 0.0)
        if write.server.node != self.acker:
            self._say(write.end, f"{write.server.node} acknowledges writes, timeline {write.server.timeline}")
            self.acker, self.timeline = write.server.node, write.server.timeline
        if self.fault and self.outage is None and write.fresh and write.begin >= self.fault.end:
            self.outage = write.end - self.fault.begin
            self._say(write.end, f"a new connection commits again, {self.outage:.2f} s after the fault")

    def _look(self, look: Look) -> None:
        vips = {vip for g in look.nodes.values() for vip in g.held or ()} | set(self.holders)
        for vip in sorted(vips):
            now = tuple(node for node, g in look.nodes.items() if vip in (g.held or ()))
            if now != self.holders.get(vip):
                self._say(look.at, f"{vip} VIP on {' and '.join(now) or 'nobody'}")
                self.holders[vip] = now

    def _mark(self, mark: Mark) -> None:
        if mark.what == "fault" and self.fault is None:
            self.fault = mark
        said = (mark.detail and _NAMED.get(mark.what)) or _SAID[mark.what]
        self._say(mark.begin, said.format(node=mark.node, detail=mark.detail))

    def bars(self, now: float, count: int) -> list[int]:
        """Acknowledged writes of the last `count` whole buckets before `now`, the oldest first."""
        current = int((now - self.start) / BUCKET)
        with self._lock:
            return [self._bars[n] for n in range(current - count, current)]

    def rate(self, now: float) -> float:
        """Acknowledged writes per second, over the last whole second."""
        return sum(self.bars(now, 2)) / (2 * BUCKET)

    def outage_so_far(self, now: float) -> float | None:
        """Seconds; None before the fault."""
        if self.fault is None:
            return None
        return now - self.fault.begin if self.outage is None else self.outage

    def story(self, count: int) -> list[Line]:
        """The last lines, in the order of time: threads do not report in order."""
        with self._lock:
            return sorted(self.lines, key=lambda line: line.at)[-count:]
