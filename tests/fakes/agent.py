"""A node as its agent sees it, from memory. The packet filter's elements end by the same clock as all."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field

from hactl.errors import StepFailed


@dataclass
class Clocks:
    """`asleep` is what only BOOTTIME counts, `turned` how far the wall clock was set since the start,
    `held` how long whoever looks at it is held up.
    """

    now: float = 1000.0
    asleep: float = 0.0
    turned: float = 0.0
    held: float = 0.0

    def boottime(self) -> float:
        return self.now + self.asleep

    def monotonic(self) -> float:
        return self.now

    def wall(self) -> float:
        wall = 1.8e9 + self.boottime() + self.turned
        self.now += self.held
        return wall

    def __call__(self) -> float:
        return self.now


@dataclass
class FakeLease:
    """`ends`: None: closed. `slow`: how long the next renewals take each."""

    clocks: Clocks
    ends: float | None = None
    open_for_ever: bool = False
    slow: list[float] = field(default_factory=list)
    broken: bool = False
    refused: dict[str, float] = field(default_factory=dict)
    killed: list[str] = field(default_factory=list)
    log: list[str] = field(default_factory=list)

    def passes(self) -> bool:
        return self.open_for_ever or (self.ends is not None and self.clocks.boottime() < self.ends)

    def _step(self, what: str) -> None:
        self.log.append(what)
        if self.broken:
            raise StepFailed("nft refuses")

    def renew(self, milliseconds: int) -> None:
        self._step("renew")
        self.clocks.now += self.slow.pop(0) if self.slow else 0.01
        self.open_for_ever, self.ends = False, self.clocks.boottime() + milliseconds / 1000

    def flush(self) -> None:
        self._step("flush")
        self.open_for_ever, self.ends = False, None

    def opened(self) -> bool:
        return self.open_for_ever

    def close(self, milliseconds: int) -> None:
        self._step("close")
        self.open_for_ever = False
        self.ends = self.clocks.boottime() + milliseconds / 1000 if milliseconds else None

    def refuse(self, address: str, seconds: int) -> None:
        self._step(f"refuse {address}")
        self.refused[address] = self.clocks.boottime() + seconds

    def allow(self, address: str) -> None:
        self._step(f"allow {address}")
        self.refused.pop(address, None)

    def end_connections(self, address: str) -> int:
        self.killed.append(address)
        return 3


@dataclass
class FakeVip:
    present: bool = False
    lives: list[int] = field(default_factory=list)
    removed: int = 0

    def here(self) -> bool:
        return self.present

    def live(self, seconds: int) -> bool:
        if self.present:
            self.lives.append(seconds)
        return self.present

    def remove(self) -> bool:
        found, self.present = self.present, False
        self.removed += found
        return found


@dataclass
class FakeNotes:
    may: bool = False
    until: float = 0.0
    open: bool = False
    fence_noted: bool = False
    broken: bool = False
    left: float = 0.0
    log: list[str] = field(default_factory=list)

    def _write(self) -> None:
        if self.broken:
            raise StepFailed("no space left")

    def track(self, *, may_hold: bool) -> None:
        self._write()
        self.may = may_hold
        self.log.append("0" if may_hold else "-254")

    def tracked(self) -> bool:
        return self.may

    def word(self, until: float) -> None:
        self._write()
        self.until = until

    def last_word(self) -> float:
        return self.until

    def leaving(self, until: float) -> None:
        self._write()
        self.left = until

    def opened(self) -> bool:
        return self.open

    def forget_open(self) -> None:
        self.open = False

    def fenced(self) -> bool:
        return self.fence_noted

    def note_fenced(self, *, fenced: bool) -> None:
        self.fence_noted = fenced

    def ready(self) -> None:
        self.log.append("ready")


@dataclass
class FakeActs:
    """`fails`: how often in a row the next acts fail."""

    done: list[str] = field(default_factory=list)
    fails: int = 0
    then: Callable[[str], None] = lambda _: None

    def act(self, verb: str, unit: str = "", *, within: float) -> str:
        assert within > 0
        self.done.append(f"{verb} {unit}".strip())
        if self.fails:
            self.fails -= 1
            raise StepFailed("not done")
        self.then(verb)
        return "done"


@dataclass
class Heard:
    """systemd's ear, and the log's."""

    words: list[str] = field(default_factory=list)
    events: list[tuple[str, dict[str, object]]] = field(default_factory=list)

    def say(self, *words: str) -> None:
        self.words += words

    def event(self, name: str, **fields: object) -> None:
        self.events.append((name, fields))

    def named(self, name: str) -> list[dict[str, object]]:
        return [fields for event, fields in self.events if event == name]
