"""The small adapters of an archive node's agent, on files of the test's own."""

from __future__ import annotations

import hashlib
import json
import os
import re
import stat
from pathlib import Path

import pytest

from hactl.adapters.archive_door import ArchiveDoor
from hactl.adapters.archive_known import KnownImage
from hactl.adapters.archive_notes import ArchiveNotes
from hactl.adapters.storage_eyes import StorageEyes
from hactl.errors import StepFailed, Unreachable
from hactl.ports import Reply
from hactl.view.model import State


@pytest.mark.parametrize(
    ("text", "marker"),
    [("demo\n", "demo"), ("demo", "demo"), ("other", "other"), (None, None)],
    ids=["ours", "without a line end", "another's", "not mounted"],
)
def test_the_storage_as_it_is(tmp_path: Path, text: str | None, marker: str | None) -> None:
    if text is not None:
        (tmp_path / ".hactl-storage").write_text(text)
    seen = StorageEyes(tmp_path, "arc1").seen()
    assert seen.marker == marker
    assert seen.mounted is False
    assert seen.device == (tmp_path.stat().st_dev if text else 0)
    assert bool(seen.why) == (text is None)


def test_a_storage_that_is_gone_altogether(tmp_path: Path) -> None:
    eyes = StorageEyes(tmp_path / "none", "arc1")
    assert "not mounted" in eyes.seen().why
    with pytest.raises(Unreachable):
        eyes.room()


def test_a_storage_that_becomes_read_only_is_seen_without_a_write(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / ".hactl-write").mkdir()
    now = 100.0
    eyes = StorageEyes(tmp_path, "arc1", lambda: now)
    assert eyes.write().state is State.OK
    written = (tmp_path / ".hactl-write" / "arc1").read_bytes()
    fields = list(os.statvfs(tmp_path))
    assert eyes.write().state is State.OK
    assert (tmp_path / ".hactl-write" / "arc1").read_bytes() == written, "once in 10 s"
    with monkeypatch.context() as ours:
        ours.setattr(
            os, "statvfs", lambda _: os.statvfs_result([*fields[:8], fields[8] | os.ST_RDONLY, *fields[9:]])
        )
        said = eyes.write()
        assert (said.state, said.why) == (State.FAILED, "it is read-only")
        assert eyes.room().state is State.OK
    assert eyes.write().state is State.OK
    assert (tmp_path / ".hactl-write" / "arc1").read_bytes() != written, "proven anew"


def test_four_kibibytes(tmp_path: Path) -> None:
    eyes = StorageEyes(tmp_path, "arc1")
    with pytest.raises(Unreachable, match="makes it"):
        eyes.write()
    (tmp_path / ".hactl-write").mkdir()
    assert eyes.write().state is State.OK
    assert (tmp_path / ".hactl-write" / "arc1").stat().st_size == 4096
    assert eyes.room().state is State.OK
    (tmp_path / ".hactl-write" / "arc1").unlink()
    (tmp_path / ".hactl-write" / "arc1").mkdir()
    assert StorageEyes(tmp_path, "arc1").write().state is State.FAILED


@pytest.fixture
def notes(tmp_path: Path) -> ArchiveNotes:
    for name in ("run", "state"):
        (tmp_path / name).mkdir()
    return ArchiveNotes(tmp_path / "run", tmp_path / "state")


def test_notes(notes: ArchiveNotes, tmp_path: Path) -> None:
    track = tmp_path / "run" / "archive-track"
    assert not notes.out()
    notes.track(out=True)
    assert (notes.out(), track.read_text()) == (True, "-254\n")
    assert stat.S_IMODE(track.stat().st_mode) == 0o644, "keepalived's scripts read it"
    notes.track(out=False)
    assert (notes.out(), track.read_text()) == (False, "0\n")
    notes.note_drain('{"why":"für später"}')
    assert json.loads(notes.drain()) == {"why": "für später"}
    notes.note_drain("")
    notes.note_drain("")
    assert notes.drain() == ""
    notes.note_stopped(stopped=True)
    assert notes.stopped()
    notes.note_stopped(stopped=False)
    assert not notes.stopped()
    assert notes.known() is None
    notes.note_known("x")
    assert notes.known() == "x"


HEAD = "  sl  local_address rem_address   st tx_queue rx_queue tr tm->when retrnsmt   uid  timeout inode\n"
# 192.0.2.101, 192.0.2.21 and 127.0.0.1 as /proc/net/tcp writes them; ports 2762, 443, 8042.
VIP, OWN, LO = "650200C0", "150200C0", "0100007F"


def line(address: str, port: int, state: str) -> str:
    return f"   0: {address}:{port:04X} 020200C0:D431 {state} 00000000:00000000 00:00000000 00000000 0 0 1\n"


@pytest.mark.parametrize(
    ("lines", "busy"),
    [
        pytest.param([], 0, id="nobody"),
        pytest.param([line(VIP, 2762, "01")] * 2, 2, id="two associations"),
        pytest.param([line(OWN, 2762, "01")], 0, id="not through the VIP"),
        pytest.param([line(VIP, 2762, "06"), line(VIP, 2762, "0A")], 0, id="closed, listening"),
        pytest.param([line(VIP, 443, "01")], 0, id="a browser that asks nothing"),
        pytest.param([line(VIP, 443, "01"), line(LO, 8042, "01")], 1, id="a request at work"),
    ],
)
@pytest.mark.parametrize("name", ["tcp", "tcp6"])
def test_what_is_under_way(tmp_path: Path, name: str, lines: list[str], busy: int) -> None:
    (tmp_path / "tcp").write_text(HEAD)
    mapped = [re.sub(r": ([0-9A-F]{8}):", r": 0000000000000000FFFF0000\1:", row, count=1) for row in lines]
    (tmp_path / name).write_text(HEAD + "".join(mapped if name == "tcp6" else lines))
    door = ArchiveDoor("192.0.2.101", "192.0.2.21", tmp_path / "rules", proc=tmp_path)
    assert door.busy() == busy
    assert door.listens() == any(" 0A " in row for row in lines)


class Orthanc:
    """`files`: what lies in the storage; the index knows them by their MD5 as `index` has it."""

    def __init__(self, index: dict[str, bytes], files: dict[str, bytes]) -> None:
        self.index, self.files = index, files
        self.asked: list[str] = []

    def send(self, method: str, url: str, *, within: float, **_: object) -> Reply:
        assert (method, within > 0) == ("GET", True)
        path = url.removeprefix("https://127.0.0.1:443")
        self.asked.append(path)
        if path == "/statistics":
            return Reply(200, json.dumps({"CountInstances": len(self.index)}).encode())
        if path.startswith("/instances?"):
            return Reply(200, json.dumps(list(self.index)).encode())
        name, what = path.split("/")[2], path.rsplit("/", 1)[1]
        if what == "size":
            return Reply(200, str(len(self.index[name])).encode())
        if what == "md5":
            return Reply(200, hashlib.md5(self.index[name], usedforsecurity=False).hexdigest().encode())
        return Reply(200, self.files[name]) if name in self.files else Reply(500, b"")


def test_an_empty_archive_has_nothing_to_prove() -> None:
    assert KnownImage(Orthanc({}, {})).prove() == "the archive has no image yet"


def test_one_image_that_is_there_proves_the_storage() -> None:
    images = {"a": b"one", "b": b"two", "c": b"x" * 3_000_000}
    assert KnownImage(Orthanc(images, {"a": b"one"})).prove() == "image a was read from it"


@pytest.mark.parametrize("files", [{}, {"a": b"other"}], ids=["none", "another one under its name"])
def test_images_that_are_not_there_disprove_it(files: dict[str, bytes]) -> None:
    with pytest.raises(StepFailed, match="image a"):
        KnownImage(Orthanc({"a": b"one"}, files)).prove()


def test_an_index_that_does_not_answer_proves_nothing() -> None:
    class Silent:
        def send(self, *_: object, **__: object) -> Reply:
            return Reply(503, b"")

    with pytest.raises(Unreachable):
        KnownImage(Silent()).prove()
