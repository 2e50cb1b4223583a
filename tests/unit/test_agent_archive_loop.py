"""The keeper of an archive node: what it does to the machine, in which order, and what it says of it."""

from __future__ import annotations

from dataclasses import dataclass, field, replace

import pytest

from hactl.agent.archive_loop import STALLED, ArchiveMachine, Keeper
from hactl.errors import StepFailed
from hactl.view.archive import Drain, DrainBy, EndToEnd
from hactl.view.archive_kind import Program
from hactl.view.model import Probe, State
from hactl.view.storage import StorageSeen
from tests.fakes.agent import Clocks, FakeActs, Heard
from tests.fakes.archive import OURS, FakeArchiveNotes, FakeDoor, FakeEyes, FakeWorld

DRAIN = Drain("arc1", DrainBy.OPERATOR, "new disk", within=5.0)
GONE = StorageSeen(None, why="not there")
CHECK = EndToEnd(ok=True, at=1.0)


@dataclass
class Bench:
    door: FakeDoor = field(default_factory=FakeDoor)
    eyes: FakeEyes = field(default_factory=FakeEyes)
    notes: FakeArchiveNotes = field(default_factory=FakeArchiveNotes)
    world: FakeWorld = field(default_factory=FakeWorld)
    acts: FakeActs = field(default_factory=FakeActs)
    clocks: Clocks = field(default_factory=Clocks)
    heard: Heard = field(default_factory=Heard)
    keeper: Keeper = field(init=False)

    def __post_init__(self) -> None:
        self.acts.then = self._acted
        self.start()

    def start(self) -> None:
        machine = ArchiveMachine(
            "arc1", "demo", self.door, self.eyes, self.notes, self.acts, lambda: self.world.holding,
            self.world.wanted, self.world.prove, Program("orthanc.service", "stop-orthanc"), lambda: CHECK,
        )  # fmt: skip
        self.keeper = Keeper(machine, self.clocks, self.heard.event)

    def _acted(self, verb: str) -> None:
        self.door.listening = verb == "start"

    def round(self, after: float = 1.5) -> None:
        """Everybody looks, the keeper decides, keepalived obeys, others work."""
        self.clocks.now += after
        for look in (self.keeper._storage, self.keeper._drain):
            look.once()
        self.keeper.round()
        if self.notes.is_out:
            self.world.holding = False
        self.keeper._work.once()


def test_a_sound_node_is_left_alone() -> None:
    bench = Bench()
    bench.round()
    assert bench.door.log == ["shut False", "hold False"], "what an agent before us may have left"
    bench.round()
    assert len(bench.door.log) == 2
    assert not bench.notes.is_out
    assert bench.keeper.storage().state is State.OK
    facts = bench.keeper.facts()
    assert (facts.out, facts.refusing, facts.out_for, facts.last_check) == (False, False, "", CHECK)
    assert bench.notes.known_text == '{"device": 2049, "mounted": true}\n'


def test_a_drain_holds_new_ones_off_until_the_old_ones_have_ended() -> None:
    bench = Bench()
    bench.round()
    bench.world.drain, bench.door.under_way = DRAIN, 2
    bench.round()
    assert bench.door.held
    assert not bench.notes.is_out
    assert bench.keeper.facts().associations == 2
    bench.door.under_way = 0
    bench.round()
    bench.round()
    assert bench.notes.is_out
    bench.round()
    assert not bench.door.held
    assert not [line for line in bench.door.log if line.startswith("cut")]
    assert bench.keeper.facts().out_for == "", "not the agent's own doing"
    bench.world.drain = None
    bench.round()
    assert not bench.notes.is_out
    assert bench.notes.drain_text == ""


def test_what_does_not_end_is_reset() -> None:
    bench = Bench()
    bench.world.drain, bench.door.under_way = DRAIN, 2
    for _ in range(5):
        bench.round()
    assert bench.notes.is_out
    assert bench.door.log.count("cut False") == 1


def test_a_lost_storage_is_shut_before_anything_else() -> None:
    bench = Bench()
    bench.round()
    bench.door.log.clear()
    bench.eyes.storage = GONE
    bench.round()
    assert bench.door.log == ["shut True", "hold True", "cut True"]
    assert bench.notes.is_out
    assert bench.acts.done == ["stop-orthanc"]
    facts = bench.keeper.facts()
    assert (facts.refusing, facts.out, facts.out_for) == (True, True, "not there")
    assert bench.keeper.storage().state is State.FAILED
    bench.round()
    assert bench.door.log.count("shut True") == 2, "its elements end by themselves"
    bench.eyes.storage = OURS
    bench.round()
    assert bench.acts.done == ["stop-orthanc", "start orthanc.service"]
    assert not bench.door.is_shut
    assert not bench.notes.is_out
    assert not bench.notes.was_stopped
    assert bench.world.proofs == 0, "the same device: its marker is enough"


def test_a_storage_that_comes_back_while_orthanc_is_being_stopped() -> None:
    bench = Bench()
    bench.round()

    def stopping(verb: str) -> None:
        if verb == "stop-orthanc":
            bench.eyes.storage = OURS
            bench.keeper._storage.once()
            bench.keeper.round()  # it still listens
        bench.door.listening = verb == "start"

    bench.acts.then, bench.eyes.storage = stopping, GONE
    bench.round()
    assert not bench.door.listening
    bench.round()
    assert bench.acts.done == ["stop-orthanc", "start orthanc.service"]


@pytest.mark.parametrize("images", [True, False], ids=["it has the images", "it has not"])
def test_another_device_has_to_have_the_images(*, images: bool) -> None:
    bench = Bench()
    bench.round()
    bench.world.images = images
    bench.eyes.storage = replace(OURS, device=0x902)
    for _ in range(4):
        bench.round()
        assert bench.door.is_shut or bench.world.proofs
    bench.round()
    assert bench.acts.done == ["stop-orthanc", "start orthanc.service"]
    assert bench.world.proofs
    assert bench.door.is_shut is not images
    assert bench.notes.is_out is not images
    if not images:
        before = bench.world.proofs
        bench.round(after=1.0)
        assert bench.world.proofs == before, "not again at once"
        bench.round(after=10.0)
        assert bench.world.proofs == before + 1


def test_the_right_disk_is_back_and_orthanc_is_on_the_other_one_still() -> None:
    """Also when the agent began anew in between."""
    for again in (False, True):
        bench = Bench()
        bench.round()
        bench.world.images = False
        bench.eyes.storage = replace(OURS, device=0x902)
        for _ in range(4):
            bench.round()
        assert bench.acts.done == ["stop-orthanc", "start orthanc.service"]
        if again:
            bench.start()
        bench.eyes.storage = OURS
        bench.round()
        assert bench.door.is_shut
        assert bench.acts.done[2:] == ["stop-orthanc"]
        bench.round()
        bench.round()
        assert bench.acts.done[2:] == ["stop-orthanc", "start orthanc.service"]
        assert not bench.door.is_shut
        assert not bench.notes.was_stopped
        bench.start()
        bench.round()
        bench.round()
        assert len(bench.acts.done) == 4, "all is forgotten"


def test_a_new_agent_goes_on_where_the_old_one_was() -> None:
    bench = Bench()
    bench.round()
    bench.eyes.storage = GONE
    bench.round()
    bench.start()
    bench.keeper.round()
    assert bench.door.is_shut, "nothing is opened before somebody has looked"
    assert bench.notes.is_out
    bench.eyes.storage = OURS
    bench.round()
    assert not bench.door.is_shut
    assert bench.acts.done[-1] == "start orthanc.service"


def test_a_drain_stands_while_etcd_is_silent_also_for_a_new_agent() -> None:
    bench = Bench()
    bench.world.drain = DRAIN
    for _ in range(3):
        bench.round()
    assert bench.notes.is_out
    bench.world.silent = True
    bench.start()
    bench.round()
    assert bench.notes.is_out
    bench.world.silent, bench.world.drain = False, None
    bench.round()
    assert not bench.notes.is_out


def test_a_storage_that_hangs_is_told_and_the_address_is_given_away() -> None:
    bench = Bench()
    bench.round()
    storage = bench.keeper._storage
    storage._seen = replace(storage._seen, asked=bench.clocks.now)
    bench.clocks.now += STALLED + 1
    bench.keeper.round()
    assert bench.notes.is_out
    assert not bench.door.is_shut
    assert "4 s" in bench.keeper.facts().out_for


def test_a_packet_filter_that_fails_is_tried_again_and_the_address_goes_all_the_same() -> None:
    bench = Bench()
    bench.round()
    bench.door.broken, bench.eyes.storage = True, GONE
    bench.round(after=0.25)
    assert bench.notes.is_out
    bench.door.broken = False
    bench.round(after=0.25)
    assert bench.door.is_shut
    assert [event["why"] for event in bench.heard.named("archive trouble")] == ["nft refuses"]


def test_an_agent_that_keepalived_cannot_hear_ends() -> None:
    bench = Bench()
    bench.round()
    bench.notes.broken, bench.world.drain, bench.world.holding = True, DRAIN, False
    bench.round()
    bench.round()
    with pytest.raises(StepFailed):
        bench.round()


def test_a_root_act_that_fails_is_tried_again_after_a_pause() -> None:
    bench = Bench()
    bench.acts.fails = 1
    bench.eyes.storage = GONE
    bench.round()
    bench.round(after=1.0)
    assert bench.acts.done == ["stop-orthanc"]
    bench.round(after=6.0)
    assert bench.acts.done == ["stop-orthanc"] * 2


def test_a_storage_that_is_full_is_told_at_once() -> None:
    bench, told = Bench(), list[str]()
    bench.keeper._changed = lambda: told.append("changed")
    look = bench.keeper._room
    for room in (Probe(State.OK, "9 MiB are free"), Probe(State.OK, "8 MiB are free")):
        bench.eyes.has_room = room
        look.once()
    assert told == ["changed"], "how much there is, is nobody's news"
    bench.eyes.has_room = Probe(State.FAILED, "1 MiB is free")
    look.once()
    assert told == ["changed"] * 2
    assert bench.keeper.facts().room.why == "1 MiB is free"


def test_who_still_waits_is_reset_while_the_address_is_here(monkeypatch: pytest.MonkeyPatch) -> None:
    """From an address that has gone no reset can be sent: the client would wait for its own time-out."""
    bench, out = Bench(), list[bool]()
    cut = bench.door.cut
    monkeypatch.setattr(bench.door, "cut", lambda **words: (out.append(bench.notes.is_out), cut(**words))[1])
    bench.world.holding, bench.door.under_way = True, 1
    bench.world.drain = DRAIN
    for _ in range(5):
        bench.round()
    assert bench.notes.is_out
    assert out == [False]
