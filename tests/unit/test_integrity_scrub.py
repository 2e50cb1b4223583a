"""A whole scrub over a real folder: what it finds, what it leaves alone, how it goes on."""

from __future__ import annotations

import hashlib
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from hactl.errors import Refused
from hactl.integrity.chain import INGEST, Record
from hactl.integrity.model import Kind, Row
from hactl.integrity.reports import Progress
from hactl.integrity.scrub import Scrub
from tests.support.integrity import Place


@pytest.fixture
def here(tmp_path: Path) -> Iterator[Place]:
    place = Place(tmp_path)
    yield place
    place.close()


def scrubbed(here: Place, run: str = "r1", **changed: object) -> Progress:
    progress = Progress(run=run)
    assert Scrub(here.parts(**changed), progress).run()
    return progress


def found(here: Place) -> dict[str, str]:
    """Open marks: path -> kind."""
    return {m.finding.path: str(m.finding.kind) for m in here.marks.open()}


def known(here: Place, row: Row) -> None:
    content = here.path(row.uuid).read_bytes()
    sha = hashlib.sha256(content).hexdigest()
    here.manifest.append([Record(INGEST, row.uuid, row.size, row.md5, sha, 1, 50)])


def flip(path: Path) -> None:
    content = bytearray(path.read_bytes())
    content[len(content) // 2] ^= 1
    path.write_bytes(content)


def test_a_healthy_archive_has_no_finding(here: Place) -> None:
    rows = here.images(300)
    for row in rows[:100]:
        known(here, row)
    progress = scrubbed(here)
    assert progress.state == "done"
    assert (progress.done, progress.objects, progress.known) == (300, 300, 100)
    assert progress.done_bytes == progress.bytes == 300 * 3000
    assert found(here) == {}


def test_each_kind_of_damage_is_found_and_named(here: Place) -> None:
    rows = here.images(40)
    flip(here.path(rows[0].uuid))
    here.path(rows[1].uuid).write_bytes(b"short")
    here.path(rows[2].uuid).unlink()
    orphan = here.write("aaaabbbb-1111-2222-3333-444455556666", b"nobody's")
    (here.root / "README").write_text("?")
    foreign = here.path(rows[3].uuid).with_name("notes.txt")
    foreign.write_text("?")
    scrubbed(here)
    expected = {
        str(here.path(rows[0].uuid).relative_to(here.root)): "content",
        str(here.path(rows[1].uuid).relative_to(here.root)): "size",
        str(here.path(rows[2].uuid).relative_to(here.root)): "missing",
        str(orphan.relative_to(here.root)): "orphan",
        "README": "foreign",
        str(foreign.relative_to(here.root)): "foreign",
    }
    assert found(here) == expected


def test_a_changed_file_with_a_changed_index_is_found_by_the_manifest(here: Place) -> None:
    row, other = here.images(2)
    known(here, row)
    known(here, other)
    flip(here.path(row.uuid))
    changed = hashlib.md5(here.path(row.uuid).read_bytes(), usedforsecurity=False).hexdigest()
    here.index.rows[row.uuid] = Row(row.uuid, row.size, changed, row.resource, row.kind)
    here.index.rows[other.uuid] = Row(other.uuid, other.size, "0" * 32, other.resource, other.kind)
    scrubbed(here)
    assert sorted(found(here).values()) == ["index", "tampered"]


def test_a_file_that_cannot_be_read_or_is_a_link_is_named(here: Place) -> None:
    row, _ = here.images(2)
    target = here.folder / "elsewhere"
    target.write_bytes(here.path(row.uuid).read_bytes())
    here.path(row.uuid).unlink()
    here.path(row.uuid).symlink_to(target)
    scrubbed(here)
    assert set(found(here).values()) == {"missing", "foreign"} or set(found(here).values()) == {"foreign"}


def test_what_changed_since_the_plan_was_made_is_no_finding(here: Place) -> None:
    rows = here.images(3)

    class Deleting(type(here.index)):  # type: ignore[misc]
        """One image is deleted, and another stored, right after the plan was made."""

    index = Deleting()
    index.rows = dict(here.index.rows)
    every = index.every

    def then_changed() -> Iterator[Row]:
        yield from every()
        del index.rows[rows[0].uuid]
        here.path(rows[0].uuid).unlink()
        new = index.add(b"new one")
        here.write(new.uuid, b"new one")

    index.every = then_changed
    scrubbed(here, index=index)
    assert found(here) == {}


def test_it_goes_on_where_it_was_stopped(here: Place) -> None:
    rows = here.images(400)
    flip(here.path(min(r.uuid for r in rows)))
    looks = iter(range(10_000))
    progress = Progress(run="r1")
    assert not Scrub(here.parts(stopping=lambda: next(looks) > 150), progress).run()
    assert progress.state == "stopped"
    assert 0 < progress.done < 400
    before = progress.done
    again = Progress(**here.saved[-1])  # type: ignore[arg-type]
    assert Scrub(here.parts(), again).run()
    assert before < again.done
    assert again.done == 400
    assert list(found(here).values()) == ["content"]


def test_an_unmounted_storage_is_refused_not_reported_as_lost(here: Place) -> None:
    here.images(3)
    (here.root / ".hactl-storage").unlink()
    with pytest.raises(Refused, match="mounted"):
        Scrub(here.parts(), Progress(run="r1")).run()
    assert found(here) == {}


def test_damage_is_mended_from_a_proven_copy_and_the_damaged_file_is_kept(here: Place) -> None:
    rows = here.images(5)
    copies = here.folder / "backup"
    for row in rows[:3]:
        target = copies / here.path(row.uuid).relative_to(here.root)
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_bytes(here.path(row.uuid).read_bytes())
    good = here.path(rows[0].uuid).read_bytes()
    flip(here.path(rows[0].uuid))
    damaged = here.path(rows[0].uuid).read_bytes()
    here.path(rows[1].uuid).unlink()
    flip(here.path(rows[2].uuid))
    flip(copies / here.path(rows[2].uuid).relative_to(here.root))  # the copy is damaged as well
    flip(here.path(rows[3].uuid))  # no copy at all
    progress = scrubbed(here, mender=here.mender(copies))
    assert progress.mended == 2
    assert here.path(rows[0].uuid).read_bytes() == good
    assert (here.root / ".hactl-kept" / f"{rows[0].uuid}.1").read_bytes() == damaged
    assert here.path(rows[1].uuid).exists()
    left = {m.finding.uuid: m.said for m in here.marks.open()}
    assert set(left) == {rows[2].uuid, rows[3].uuid}
    assert "no good copy" in left[rows[2].uuid]
    assert left[rows[3].uuid] == "no other copy"


def test_a_mark_ends_when_a_whole_run_does_not_see_it_again(here: Place) -> None:
    row, *_ = here.images(3)
    good = here.path(row.uuid).read_bytes()
    flip(here.path(row.uuid))
    scrubbed(here)
    assert here.marks.counts()[Kind.CONTENT] == 1
    here.path(row.uuid).write_bytes(good)
    scrubbed(here, "r2")
    assert found(here) == {}
    flip(here.path(row.uuid))
    scrubbed(here, "r3")
    assert [(m.found, m.seen, m.mended) for m in here.marks.open()] == [("r3", "r3", "")]


def test_progress_is_saved_while_it_runs(here: Place) -> None:
    here.images(20)
    began = time.time()
    scrubbed(here)
    assert next(s["state"] for s in here.saved) == "running"
    assert here.saved[-1]["state"] == "done"
    assert float(str(here.saved[-1]["last_whole"])) >= began
