"""An archive node as its agent's keeper sees it, from memory."""

from __future__ import annotations

from dataclasses import dataclass, field

from hactl.errors import StepFailed, Unreachable
from hactl.view.archive import Drain
from hactl.view.model import Probe, State
from hactl.view.storage import StorageSeen

OURS = StorageSeen("demo", device=0x801, mounted=True)


@dataclass
class FakeDoor:
    held: bool = False
    is_shut: bool = False
    under_way: int = 0
    listening: bool = True
    broken: bool = False
    log: list[str] = field(default_factory=list)

    def _step(self, what: str) -> None:
        if self.broken:
            raise StepFailed("nft refuses")
        self.log.append(what)

    def hold(self, *, held: bool) -> None:
        self._step(f"hold {held}")
        self.held = held

    def shut(self, *, shut: bool) -> None:
        self._step(f"shut {shut}")
        self.is_shut = shut

    def cut(self, *, all_addresses: bool) -> int:
        self._step(f"cut {all_addresses}")
        ended, self.under_way = self.under_way, 0
        return ended

    def busy(self) -> int:
        return self.under_way

    def listens(self) -> bool:
        return self.listening


WELL = Probe(State.OK)


@dataclass
class FakeEyes:
    storage: StorageSeen = OURS
    has_room: Probe = WELL

    def seen(self) -> StorageSeen:
        return self.storage

    def room(self) -> Probe:
        return self.has_room

    def write(self) -> Probe:
        return Probe(State.OK)


@dataclass
class FakeArchiveNotes:
    is_out: bool = False
    drain_text: str = ""
    was_stopped: bool = False
    known_text: str | None = None
    broken: bool = False

    def track(self, *, out: bool) -> None:
        if self.broken:
            raise StepFailed("no space left")
        self.is_out = out

    def out(self) -> bool:
        return self.is_out

    def note_drain(self, text: str) -> None:
        self.drain_text = text

    def drain(self) -> str:
        return self.drain_text

    def note_stopped(self, *, stopped: bool) -> None:
        self.was_stopped = stopped

    def stopped(self) -> bool:
        return self.was_stopped

    def note_known(self, text: str) -> None:
        self.known_text = text

    def known(self) -> str | None:
        return self.known_text


@dataclass
class FakeWorld:
    """etcd's drain key (`silent`: it does not answer), the VIP, and whether the index's images are there."""

    drain: Drain | None = None
    silent: bool = False
    holding: bool = True
    images: bool = True
    proofs: int = 0

    def wanted(self) -> Drain | None:
        if self.silent:
            raise Unreachable("etcd is silent")
        return self.drain

    def prove(self) -> str:
        self.proofs += 1
        if not self.images:
            raise StepFailed("image 1 is another one there")
        return "image 1 was read from it"
