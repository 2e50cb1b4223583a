"""The follower over a folder and an index in memory: what it writes down, and what it must not."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from hactl.errors import Refused
from hactl.integrity.chain import Anchor
from hactl.integrity.follow import Follower, FollowParts
from hactl.integrity.model import Position
from hactl.units import Lsn
from tests.support.integrity import MemoryAnchors, Place, unhurried


class Bench:
    def __init__(self, folder: Path) -> None:
        self.place, self.anchors, self.now = Place(folder), MemoryAnchors(), 1000.0
        self.follower = self.fresh()

    def fresh(self) -> Follower:
        p = self.place
        return Follower(
            FollowParts(
                "arc1", p.index, p.storage, p.manifest, p.marks, self.anchors, unhurried(),
                lambda: self.now, lambda: "now",
            )
        )  # fmt: skip

    def look(self, times: int = 1) -> None:
        for _ in range(times):
            self.now += 11
            self.place.index.at = Position(
                self.place.index.at.timeline, Lsn(self.place.index.at.lsn.value + 10)
            )
            while self.follower.once():
                pass


@pytest.fixture
def bench(tmp_path: Path) -> Iterator[Bench]:
    found = Bench(tmp_path)
    yield found
    found.place.close()


def test_what_was_there_before_is_later_and_what_comes_is_ingest(bench: Bench) -> None:
    old = bench.place.images(3)
    bench.look()
    new = bench.place.images(3)
    bench.look()
    for row, ingest in [(r, False) for r in old] + [(r, True) for r in new]:
        entry = bench.place.manifest.of(row.uuid)[0]
        assert entry is not None
        assert entry.ingest is ingest
    assert bench.follower.status()["objects"] == 6


def test_after_a_restart_nothing_is_written_twice(bench: Bench) -> None:
    bench.place.images(5)
    bench.look()
    head = bench.place.manifest.head()
    bench.follower = bench.fresh()
    bench.look(3)
    assert bench.place.manifest.head() == head
    assert bench.follower.status()["objects"] == 5


def test_many_at_once_are_all_taken(bench: Bench) -> None:
    bench.place.images(1300, size=20)
    bench.look()
    assert bench.place.manifest.objects() == 1300
    assert bench.place.manifest.problems([]) == []


def test_a_row_that_goes_is_noted_once(bench: Bench) -> None:
    row, kept = bench.place.images(2)
    bench.look()
    del bench.place.index.rows[row.uuid]
    bench.place.path(row.uuid).unlink()
    bench.look(3)
    gone = bench.place.manifest.of(row.uuid)[1]
    assert gone is not None
    assert gone.how == "vanished"
    assert bench.place.manifest.of(kept.uuid)[1] is None
    head = bench.place.manifest.head()
    bench.look(2)
    assert bench.place.manifest.head() == head


def test_a_row_that_a_failover_took_is_not_noted_as_deleted(bench: Bench) -> None:
    row, _ = bench.place.images(2)
    bench.look()
    del bench.place.index.rows[row.uuid]
    bench.place.index.at = Position(2, Lsn(105))
    bench.look(3)
    assert bench.place.manifest.of(row.uuid)[1] is None


def test_numbers_that_are_given_again_after_a_failover_are_looked_at(bench: Bench) -> None:
    bench.place.images(5)
    bench.look()
    bench.place.index.rows.popitem()
    bench.place.index.at = Position(2, Lsn(105))
    again = bench.place.image(b"stored after the failover, with the number of the lost one")
    bench.look(2)
    assert bench.place.manifest.of(again.uuid)[0] is not None


def test_a_damaged_image_is_marked_and_never_written_down(bench: Bench) -> None:
    bench.look()
    row = bench.place.image(b"as it was sent")
    bench.place.path(row.uuid).write_bytes(b"as it was SENT")
    bench.look()
    assert bench.place.manifest.of(row.uuid)[0] is None
    assert [str(m.finding.kind) for m in bench.place.marks.open()] == ["content"]


def test_a_row_whose_file_is_gone_at_once_is_no_mark_if_the_row_goes_too(bench: Bench) -> None:
    """The end-to-end check stores and deletes an image each minute."""
    bench.look()
    row = bench.place.image(b"a probe")
    bench.place.path(row.uuid).unlink()
    having = bench.place.index.having
    bench.place.index.having = lambda _: {}  # type: ignore[method-assign]
    bench.look()
    bench.place.index.having = having  # type: ignore[method-assign]
    assert bench.place.marks.open() == []


def test_each_node_is_witness_of_the_other(bench: Bench) -> None:
    bench.anchors.heads["arc2"] = Anchor("arc2", 7, "ab" * 32)
    bench.place.images(2)
    bench.look(4)
    head = bench.place.manifest.head()
    assert head is not None
    assert bench.anchors.heads["arc1"] == Anchor("arc1", head.number, head.chain)
    written = [r for _, records in bench.place.manifest.segments() for r in records if r.kind == "witness"]
    assert [(r.uuid, r.size, r.sha256) for r in written] == [("arc2", 7, "ab" * 32)]
    assert bench.place.manifest.problems(bench.anchors.anchored()) == []


def test_nothing_is_read_from_a_storage_that_is_not_ours(bench: Bench) -> None:
    bench.place.images(1)
    (bench.place.root / ".hactl-storage").write_text("other\n")
    with pytest.raises(Refused):
        bench.follower.once()
    assert bench.place.manifest.objects() == 0
