"""Comparing, judging, the hash chain, the fate of orphans, and the pace: all without servers."""

from __future__ import annotations

import dataclasses
import sqlite3
from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hactl.errors import StepFailed
from hactl.integrity import chain
from hactl.integrity.chain import GONE, INGEST, LATER, Anchor, Record
from hactl.integrity.compare import judge, merged, needs_md5
from hactl.integrity.fate import Fate, Fork, Known, fate, survived
from hactl.integrity.manifest import Manifest
from hactl.integrity.marks import Marks
from hactl.integrity.model import Entry, Finding, Gone, Hashed, Kind, Position, Row, Stored
from hactl.integrity.pace import Pace
from hactl.units import Lsn

NAMES = st.sets(st.integers(0, 40).map(lambda n: f"{n:032x}"))


@given(NAMES, NAMES)
def test_both_directions_are_complete_and_in_order(left: set[str], right: set[str]) -> None:
    rows = [Row(n, 1, "", 1, 1) for n in sorted(left)]
    files = [Stored(n, 1, 0.0) for n in sorted(right)]
    found = list(merged(rows, files))
    assert {r.uuid for r, f in found if r and not f} == left - right
    assert {f.uuid for r, f in found if f and not r} == right - left
    assert {r.uuid for r, f in found if r and f} == left & right
    assert len(found) == len(left | right)


def test_an_unsorted_side_is_refused() -> None:
    rows = [Row("b", 1, "", 1, 1), Row("a", 1, "", 1, 1)]
    with pytest.raises(ValueError, match="not sorted"):
        list(merged(rows, []))


ROW = Row("u", 10, "m1", 1, 1)
ENTRY = Entry("u", 10, "m1", "s1", ingest=True, seen=Position(1, Lsn(5)))


@pytest.mark.parametrize(
    ("row", "hashed", "entry", "expected"),
    [
        (ROW, Hashed(10, "s1"), ENTRY, None),
        (ROW, Hashed(10, "s1", "m1"), None, None),
        (ROW, Hashed(9, "s1"), ENTRY, Kind.SIZE),
        (ROW, Hashed(11, "s1"), ENTRY, Kind.SIZE),
        (ROW, Hashed(10, "s2", "m2"), None, Kind.CONTENT),
        (ROW, Hashed(10, "s2", "m2"), ENTRY, Kind.CONTENT),
        (ROW, Hashed(10, "s2", "m1"), ENTRY, Kind.TAMPERED),  # an MD5 collision counts as what it is
        (dataclasses.replace(ROW, md5="m2"), Hashed(10, "s2", "m2"), ENTRY, Kind.TAMPERED),
        (dataclasses.replace(ROW, md5="m2"), Hashed(10, "s1"), ENTRY, Kind.INDEX),
        (dataclasses.replace(ROW, md5=""), Hashed(10, "s9"), None, None),
        (dataclasses.replace(ROW, md5=""), Hashed(10, "s9"), ENTRY, Kind.CONTENT),
    ],
)
def test_three_words_are_compared(
    row: Row, hashed: Hashed, entry: Entry | None, expected: Kind | None
) -> None:
    found = judge(row, hashed, entry)
    assert (found.kind if found else None) == expected


def test_md5_is_computed_only_where_the_manifest_cannot_answer() -> None:
    assert needs_md5(ROW, None, "s1")
    assert not needs_md5(ROW, ENTRY, "s1")
    assert needs_md5(ROW, ENTRY, "s2")
    assert not needs_md5(dataclasses.replace(ROW, md5=""), None, "s1")


def at(timeline: int, lsn: int) -> Position:
    return Position(timeline, Lsn(lsn))


FORKS = (Fork(1, Lsn(100)), Fork(2, Lsn(200)))


@pytest.mark.parametrize(
    ("seen", "timeline", "expected"),
    [
        (at(1, 90), 2, True), (at(1, 100), 2, True), (at(1, 101), 2, False),
        (at(2, 150), 2, True), (at(2, 150), 3, True), (at(2, 201), 3, False),
        (at(1, 90), 3, True), (at(1, 150), 3, False), (at(4, 10), 3, False),
    ],
)  # fmt: skip
def test_what_survives_a_failover(seen: Position, timeline: int, *, expected: bool) -> None:
    assert survived(seen, FORKS, timeline) is expected


def known(**changed: object) -> Known:
    values: dict[str, object] = {
        "age": 500.0,
        "md5": "m1",
        "whole": True,
        "in_window": True,
        "stored_md5": "",
    }
    return Known(**{**values, **changed})  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("what", "expected"),
    [
        (known(age=10.0), Fate.WAIT),
        (known(), Fate.LOST),
        (known(in_window=False), Fate.OLD),
        (known(whole=False), Fate.BROKEN),
        (known(stored_md5="m1"), Fate.DUPLICATE),
        (known(stored_md5="m2"), Fate.CONFLICT),
        (known(entry=dataclasses.replace(ENTRY, seen=at(1, 150))), Fate.LOST),
        (known(entry=dataclasses.replace(ENTRY, seen=at(1, 150)), in_window=False), Fate.LOST),
        (known(entry=dataclasses.replace(ENTRY, seen=at(1, 50))), Fate.DELETED),
        (known(entry=dataclasses.replace(ENTRY, seen=at(3, 250))), Fate.DELETED),
        (known(entry=dataclasses.replace(ENTRY, md5="m9", seen=at(1, 150))), Fate.BROKEN),
        (known(entry=dataclasses.replace(ENTRY, seen=at(1, 150)), gone=Gone("u", at(1, 160), "deleted")),
         Fate.DELETED),
        (known(gone=Gone("u", at(1, 90), "vanished"), stored_md5="m1"), Fate.DUPLICATE),
    ],
)  # fmt: skip
def test_the_fate_of_an_orphan(what: Known, expected: Fate) -> None:
    assert fate(what, FORKS, 3, 90.0)[0] is expected


def records(count: int, first: int = 0) -> list[Record]:
    return [Record(INGEST, f"u{n}", n, "m", "s", 1, n) for n in range(first, first + count)]


@pytest.fixture
def manifest(tmp_path: Path) -> Iterator[Manifest]:
    found = Manifest(tmp_path / "manifest.db", "arc1")
    for first in (0, 10, 20):
        found.append(records(10, first))
    yield found
    found.close()


def _edited(manifest: Manifest, *statements: str) -> None:
    """As somebody with the file in hand would do it."""
    for table in ("records", "segments"):
        for verb in ("DELETE", "UPDATE"):
            manifest._db.execute(f"DROP TRIGGER {verb}_{table}")
    for statement in statements:
        manifest._db.execute(statement)


def test_an_untouched_manifest_is_whole(manifest: Manifest) -> None:
    head = manifest.head()
    assert head is not None
    assert (head.number, head.first, head.records) == (3, 21, 10)
    assert manifest.problems([Anchor("arc1", 3, head.chain), Anchor("arc2", 9, "x")]) == []
    assert manifest.objects() == 30


@pytest.mark.parametrize(
    "statement",
    [
        "UPDATE records SET sha256 = 'other' WHERE seq = 5",
        "DELETE FROM records WHERE seq = 5",
        "DELETE FROM segments WHERE number = 2",
        "INSERT INTO records SELECT 99, kind, 'u99', size, md5, sha256, timeline, lsn FROM records LIMIT 1",
        "UPDATE segments SET records = 9 WHERE number = 2",
    ],
)
def test_an_edited_manifest_is_noticed(manifest: Manifest, statement: str) -> None:
    _edited(manifest, statement)
    assert manifest.problems([])


def test_one_that_was_written_anew_or_cut_is_noticed_by_its_anchor(
    manifest: Manifest, tmp_path: Path
) -> None:
    head = manifest.head()
    assert head is not None
    anchor = Anchor("arc1", 3, head.chain)
    other = Manifest(tmp_path / "other.db", "arc1")
    other.append(records(10))
    other.append(records(10, 50))
    assert "missing" in other.problems([anchor])[0]
    other.append(records(10, 70))
    assert "anew" in other.problems([anchor])[0]
    other.close()


def test_a_manifest_of_another_node_does_not_pass_for_this_one(tmp_path: Path) -> None:
    theirs = Manifest(tmp_path / "m.db", "arc2")
    theirs.append(records(3))
    theirs.close()
    here = Manifest(tmp_path / "m.db", "arc1")
    assert here.problems([])
    here.close()


def test_it_refuses_changes_by_mistake(manifest: Manifest) -> None:
    for statement in ("UPDATE records SET size = 1", "DELETE FROM segments"):
        with pytest.raises(sqlite3.IntegrityError, match="append-only"):
            manifest._db.execute(statement)


def test_the_first_word_of_an_object_counts(manifest: Manifest) -> None:
    manifest.append(
        [Record(LATER, "u3", 7, "later", "later", 1, 1), Record(GONE, "u3", 0, "deleted", "", 2, 9)]
    )
    entry, gone = manifest.of("u3")
    assert entry is not None
    assert gone is not None
    assert (entry.sha256, entry.ingest) == ("s", True)
    assert (gone.how, gone.seen) == ("deleted", at(2, 9))
    assert manifest.below("u3")["u3"] == entry
    assert manifest.missing(["u3", "u99"]) == {"u99"}


def test_a_manifest_that_is_no_database_says_so(tmp_path: Path) -> None:
    (tmp_path / "m.db").write_text("not a database, but long enough to be taken for one" * 50)
    with pytest.raises(StepFailed, match="manifest"):
        Manifest(tmp_path / "m.db", "arc1")


def test_the_chain_binds_order_and_node() -> None:
    one = chain.link(None, "arc1", 1, "d")
    assert one != chain.link(None, "arc2", 1, "d")
    assert (
        chain.link(one, "arc1", 1, "e").chain
        != chain.link(chain.link(None, "arc1", 1, "e"), "arc1", 1, "d").chain
    )


class Clock:
    def __init__(self) -> None:
        self.now, self.slept = 0.0, 0.0

    def wait(self, seconds: float) -> bool:
        self.now += seconds
        self.slept += seconds
        return False


def test_no_more_bytes_than_the_rate() -> None:
    clock = Clock()
    pace = Pace(1000, 0, lambda: clock.now, clock.wait, lambda: 0.0)
    for _ in range(50):
        assert pace.take(100)
    assert 4.5 <= clock.now <= 5.0


def test_nothing_is_read_above_the_ceiling_and_it_goes_on_below() -> None:
    clock = Clock()
    pace = Pace(0, 1.0, lambda: clock.now, clock.wait, lambda: 2.0 if clock.now < 7 else 0.5)
    assert pace.take(100)
    assert clock.now == 7.0
    assert pace.held == 7.0
    assert pace.take(100)
    assert clock.now == 7.0


def test_whoever_is_to_stop_does_not_read_on() -> None:
    pace = Pace(10, 0, lambda: 0.0, lambda _: True, lambda: 0.0)
    assert pace.take(100)
    assert not pace.take(100)
    held = Pace(0, 1.0, lambda: 0.0, lambda _: True, lambda: 9.0)
    assert not held.take(1)


def test_marks_are_counted_by_kind(tmp_path: Path) -> None:
    marks = Marks(tmp_path / "marks.db")
    marks.add([Finding(Kind.SIZE, "u", "a/b/u", "short"), Finding(Kind.FOREIGN, "", "x", "?")], "r1")
    assert marks.counts()["size"] == 1
    marks.mend("a/b/u", "r1", "written back")
    assert marks.counts() == {**dict.fromkeys(map(str, Kind), 0), "foreign": 1}
    assert [m.plain()["mended"] for m in marks.of_run("r1", 10)] == ["", "r1"]
    marks.close()
