"""The journal in etcd and its copies in files: what was acknowledged is there, and nothing else is."""

from __future__ import annotations

import os
import threading
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from hactl.adapters.journal_file import JournalFile
from hactl.controller.journal import KEPT, EtcdJournal, Writer
from hactl.controller.journal_copy import Replica
from hactl.errors import HactlError, Refused, StepFailed, Unreachable
from hactl.view.journal import Kind, Note, Record, parse_record, records
from hactl.view.journal_check import Fault, verify
from hactl.view.keys import Keys
from tests.fakes.etcd import FakeClock, FakeEtcd

KEYS = Keys("demo")


@dataclass
class World:
    folder: Path
    etcd: FakeEtcd = field(default_factory=FakeEtcd)
    holder: str = "A"  # whose token the controller key has

    def __post_init__(self) -> None:
        self.etcd.put(KEYS.controller, self.holder)

    def controller(self, name: str) -> EtcdJournal:
        """A process on a node of its own; it believes in its lease as long as the key is its own."""

        def token() -> str | None:
            return name if self.holder == name else None

        writer = Writer(f"node-{name}", f"boot-{name}", token)
        return EtcdJournal(self.etcd.client(), KEYS, writer, FakeClock(), self.file(name))

    def take_over(self, name: str) -> None:
        self.holder = name
        self.etcd.put(KEYS.controller, name)

    def file(self, name: str) -> JournalFile:
        return JournalFile(self.folder / name / "journal.jsonl")

    def copy(self, name: str) -> Replica:
        return Replica(self.etcd.client(), KEYS, self.file(name), lambda: 0.0)

    def journal(self) -> list[Record]:
        own = KEYS.journal_prefix
        return [parse_record(self.etcd.value(k) or "") for k in sorted(self.etcd.pairs) if k.startswith(own)]

    def said(self) -> list[tuple[int, str, int, object]]:
        return [(r.seq, str(r.kind), r.of, r.data.get("ok", "")) for r in self.journal()]


@pytest.fixture
def world(tmp_path: Path) -> World:
    return World(tmp_path)


def test_intents_results_and_events_are_a_chain(world: World) -> None:
    journal = world.controller("A")
    seq = journal.intent("release-leader", incident="i-1", epoch=3, data={"why": "proved"})
    journal.event("mark", incident="i-1", data={"phase": "proof"})
    journal.result(seq, ok=True, data={"said": "deleted"})
    assert world.said() == [(1, "intent", 0, ""), (2, "event", 0, ""), (3, "result", 1, True)]
    assert verify(list(world.journal())) == ()
    result = world.journal()[-1]
    assert (result.action, result.incident, result.epoch) == ("release-leader", "i-1", 3)
    assert (result.node, result.actor, journal.head) == ("node-A", "controller", 3)


def test_who_does_not_surely_hold_its_lease_writes_nothing(world: World) -> None:
    journal = world.controller("B")
    with pytest.raises(Refused):
        journal.intent("release-leader")
    world.holder = "B"  # it still believes so, the key says otherwise
    with pytest.raises(Refused, match="another controller"):
        journal.intent("release-leader")
    assert world.journal() == []


def test_a_successor_goes_on_and_closes_what_was_left_open(world: World) -> None:
    old = world.controller("A")
    done, left = old.intent("prime-standby"), old.intent("run-fence-agent", incident="i-1", epoch=2)
    old.result(done, ok=True)
    world.take_over("B")
    new = world.controller("B")
    new.begin()
    assert world.said()[-1] == (4, "result", left, None)
    assert world.journal()[-1].data["said"] == "its controller ended"
    assert (world.journal()[-1].incident, world.journal()[-1].node) == ("i-1", "node-B")
    new.event("mark")
    with pytest.raises(Refused):
        old.result(left, ok=True)
    assert verify(list(world.journal())) == ()


def test_a_lost_answer_is_asked_for_again_and_written_once(world: World) -> None:
    journal = world.controller("A")
    journal.event("mark")
    world.etcd.lose_answer()
    seq = journal.intent("release-leader")
    journal.result(seq, ok=True)
    assert [s[:3] for s in world.said()] == [(1, "event", 0), (2, "intent", 0), (3, "result", 2)]


def test_an_intent_that_nobody_confirmed_is_not_begun_and_the_journal_says_so(world: World) -> None:
    journal = world.controller("A")
    journal.event("mark")
    world.etcd.before_txn = lambda: _stop_after_this(world.etcd)
    with pytest.raises(Unreachable):
        journal.intent("release-leader", incident="i-1")
    world.etcd.heal()
    journal.event("mark")
    assert world.said() == [
        (1, "event", 0, ""), (2, "intent", 0, ""), (3, "result", 2, None), (4, "event", 0, ""),
    ]  # fmt: skip
    assert "not begun" in str(world.journal()[2].data["said"])
    assert verify(list(world.journal())) == ()


def _stop_after_this(etcd: FakeEtcd) -> None:
    """The transaction under way is made; its answer and the second try find no majority."""
    etcd.lose_answer()
    for name in etcd.names:
        etcd.frozen.add(name)


def test_a_result_that_could_not_be_written_is_written_later(world: World) -> None:
    journal = world.controller("A")
    seq = journal.intent("release-leader")
    for name in world.etcd.names:
        world.etcd.freeze(name)
    with pytest.raises(Unreachable):
        journal.result(seq, ok=True, data={"said": "deleted"})
    world.etcd.heal()
    journal.event("mark")
    assert [s[1:] for s in world.said()] == [("intent", 0, ""), ("result", 1, True), ("event", 0, "")]
    assert world.journal()[1].data["said"] == "deleted"


def test_a_result_while_another_thread_was_told_nothing(world: World) -> None:
    """Two acts at once; the answer to one is lost. The other one's intent is no leftover."""
    journal = world.controller("A")
    first = journal.intent("prime-standby")
    world.etcd.before_txn = lambda: _stop_after_this(world.etcd)
    with pytest.raises(Unreachable):
        journal.intent("run-fence-agent")
    world.etcd.heal()
    journal.result(first, ok=True)
    assert [s[1:] for s in world.said()][2:] == [("result", 2, None), ("result", 1, True)]


def test_many_threads_write_one_chain(world: World) -> None:
    journal = world.controller("A")
    threads = [threading.Thread(target=lambda: [journal.event("mark") for _ in range(10)]) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(10)
    assert [r.seq for r in world.journal()] == list(range(1, 41))
    assert verify(list(world.journal())) == ()


def test_etcd_keeps_the_last_ones_only(world: World) -> None:
    journal = world.controller("A")
    for _ in range(KEPT + 130):
        journal.event("mark")
    kept = world.journal()
    assert KEPT <= len(kept) <= KEPT + 64
    assert kept[-1].seq == KEPT + 130
    assert verify(list(kept)) == ()


def test_copies_have_every_record_once(world: World) -> None:
    journal, copy = world.controller("A"), world.copy("B")
    copy.follow_once()
    for _ in range(3):
        journal.event("mark")
        copy.follow_once()
    copy.follow_once()
    again = world.copy("B")  # after a restart
    journal.event("mark")
    again.follow_once()
    assert world.file("B").entries() == list(world.journal())
    assert (copy.head, again.head) == (3, 4)


def test_a_copy_that_was_away_too_long_says_which_records_it_misses(world: World) -> None:
    journal, copy = world.controller("A"), world.copy("B")
    journal.event("mark")
    copy.follow_once()
    for _ in range(KEPT + 129):
        journal.event("mark")
    copy.follow_once()
    entries = world.file("B").entries()
    assert entries[1] == Note("gap", "1970-01-01T00:00:00.000+00:00", 2, 112)
    assert len(records(entries)) == 1 + KEPT + 130 - 112
    assert [(f.fault, f.seq) for f in verify(entries)] == [(Fault.GAP, 113)]


def test_an_etcd_that_lost_everything_goes_on_after_the_copy(world: World) -> None:
    journal, copy = world.controller("A"), world.copy("A")
    for _ in range(3):
        journal.event("mark")
    copy.follow_once()
    world.etcd.pairs.clear()
    world.take_over("A")
    world.controller("A").event("mark")
    copy.follow_once()
    assert [r.seq for r in world.journal()] == [4]
    assert verify(world.file("A").entries()) == ()


def test_a_copy_that_differs_from_etcd_is_a_fork(world: World) -> None:
    other = World(world.folder)
    for it in (world, other):
        it.controller("A").event("mark", data={"in": id(it)})
    world.copy("B").follow_once()
    other.controller("A").event("mark")
    other.copy("B").follow_once()
    entries = other.file("B").entries()
    assert [type(e).__name__ for e in entries] == ["Record", "Note", "Record", "Record"]
    assert [f.fault for f in verify(entries)] == [Fault.FORK]


def test_what_a_crash_tore_is_cut_off_noted_and_fetched_again(world: World) -> None:
    journal, copy = world.controller("A"), world.copy("B")
    for _ in range(2):
        journal.event("mark")
    copy.follow_once()
    path = world.folder / "B" / "journal.jsonl"
    os.truncate(path, path.stat().st_size - 20)
    world.copy("B").follow_once()
    entries = world.file("B").entries()
    assert [type(e).__name__ for e in entries] == ["Record", "Note", "Record"]
    assert isinstance(entries[1], Note)
    assert entries[1].note == "torn"
    assert entries[1].last > 100
    assert verify(entries) == ()


def test_the_file_is_for_its_account_and_group_only(world: World) -> None:
    world.controller("A").event("mark")
    world.copy("A").follow_once()
    path = world.folder / "A" / "journal.jsonl"
    assert path.stat().st_mode & 0o777 == 0o640
    assert path.read_bytes().endswith(b"}\n")


def test_a_file_that_cannot_be_written_says_so_and_loses_nothing(world: World) -> None:
    journal, copy = world.controller("A"), world.copy("B")
    journal.event("mark")
    blocked = world.folder / "B"
    blocked.write_text("a file where a folder should be")
    with pytest.raises(HactlError) as failed:
        copy.follow_once()
    assert isinstance(failed.value, StepFailed)
    blocked.unlink()
    copy.follow_once()
    assert [r.seq for r in records(world.file("B").entries())] == [1]


def test_a_text_that_is_no_record_does_not_stop_the_journal(world: World) -> None:
    journal = world.controller("A")
    journal.event("mark")
    world.etcd.put(KEYS.journal(2), "written by a stranger")
    journal.event("mark")
    assert world.etcd.value(KEYS.journal(3))
    world.copy("B").follow_once()
    assert [f.fault for f in verify(world.file("B").entries())] == [Fault.GAP]


def test_kinds_are_words() -> None:
    assert [str(k) for k in Kind] == ["intent", "result", "event"]
