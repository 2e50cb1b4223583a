"""A journal's copy does not grow for ever, and what is kept of it is one chain."""

from __future__ import annotations

import dataclasses
from pathlib import Path

import pytest

from hactl.adapters.journal_file import JournalFile, segments
from hactl.cli.journal_data import from_file
from hactl.controller.journal_copy import Replica
from hactl.view.journal import START, Kind, Note, Record, records, sealed, text_of
from hactl.view.journal_check import Fault, verify
from hactl.view.keys import Keys
from tests.fakes.etcd import FakeEtcd

SMALL = 2000  # bytes
KEYS = Keys("demo")


def chain(count: int, after: Record | None = None) -> list[Record]:
    found, head = [], after
    for _ in range(count):
        seq, prev = (head.seq + 1, head.hash) if head else (1, START)
        head = sealed(Record(seq, "2026-11-22T12:00:00.000", 1, "b", "n", "a", Kind.EVENT, "mark", prev=prev))
        found.append(head)
    return found


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "journal" / "journal.jsonl"


def written(path: Path, count: int, **limits: int) -> JournalFile:
    file = JournalFile(path, **{"segment": SMALL, "kept": 3, **limits})
    for record in chain(count):
        file.append([record])
    return file


def size(path: Path) -> int:
    return sum(p.stat().st_size for p in path.parent.iterdir())


def test_it_takes_no_more_room_than_its_segments(path: Path) -> None:
    file = written(path, 100)
    assert len(segments(path)) == 3
    assert size(path) < 5 * SMALL
    kept = records(file.entries())
    assert [r.seq for r in kept] == list(range(kept[0].seq, 101))
    assert verify(file.entries()) == ()


def test_a_new_process_goes_on_where_the_old_one_was(path: Path) -> None:
    first = written(path, 7, kept=9)
    first.close()
    again = JournalFile(path, segment=SMALL, kept=9)
    head = again.head()
    assert head is not None
    again.append(chain(20, head))
    assert [r.seq for r in records(again.entries())] == list(range(1, 28))
    assert verify(again.entries()) == ()


def test_the_head_is_found_when_the_last_file_was_just_put_aside(path: Path) -> None:
    written(path, 40).close()
    path.unlink(missing_ok=True)
    last = segments(path)[-1]
    head = JournalFile(path).head()
    assert head is not None
    assert last.name == f"journal-{head.seq:016d}.jsonl"
    file = JournalFile(path)
    file.append(chain(1, head))
    assert verify(file.entries()) == ()
    path.unlink()
    assert from_file(path).records[-1] == head


def test_a_note_alone_turns_no_page(path: Path) -> None:
    file = JournalFile(path, segment=1)
    file.append([Note("gap", "now", 1, 2)])
    assert segments(path) == ()
    file.append(chain(1))
    assert len(segments(path)) == 1


def test_verify_looks_over_the_edges_of_segments(path: Path) -> None:
    written(path, 100, kept=9)
    assert verify(from_file(path).entries) == ()
    middle = segments(path)[1]
    lost = middle.read_text()
    middle.unlink()
    assert [f.fault for f in verify(from_file(path).entries)] == [Fault.GAP]
    middle.write_text(lost.replace('"action":"mark"', '"action":"nark"', 1))
    assert Fault.TAMPERED in {f.fault for f in verify(from_file(path).entries)}
    lines = lost.splitlines()
    forged = sealed(dataclasses.replace(records(JournalFile(middle).entries())[-1], action="forged"))
    middle.write_text("\n".join([*lines[:-1], text_of(forged)]) + "\n")
    assert [f.fault for f in verify(from_file(path).entries)] == [Fault.BROKEN], (
        "the next segment does not fit"
    )


def test_one_segment_by_itself_can_be_verified(path: Path) -> None:
    written(path, 100, kept=9)
    assert verify(from_file(segments(path)[2]).entries) == ()


def test_a_copy_that_follows_etcd_turns_pages_too(path: Path) -> None:
    etcd = FakeEtcd()
    for record in chain(60):
        etcd.put(KEYS.journal(record.seq), text_of(record))
    file = JournalFile(path, segment=SMALL, kept=9)
    copy = Replica(etcd.client(), KEYS, file, lambda: 0.0)
    for _ in range(3):
        copy.follow_once()
    for record in chain(90)[60:]:
        etcd.put(KEYS.journal(record.seq), text_of(record))
        copy.follow_once()
    assert [r.seq for r in records(file.entries())] == list(range(1, 91))
    assert len(segments(path)) > 3
    assert copy.head == 90
