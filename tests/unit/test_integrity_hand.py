"""The one program that may change the storage: its two words, and all it refuses."""

from __future__ import annotations

import hashlib
import io
import json
import socket
from pathlib import Path

import pytest

from hactl.errors import StepFailed, Unreachable
from hactl.integrity.hand import Hand, local
from tests.support.integrity import Place, hand_script, real_hand

UUID = "0a1b2c3d-1111-2222-3333-444455556666"


@pytest.fixture
def here(tmp_path: Path) -> Place:
    return Place(tmp_path)


def put(hand: Hand, content: bytes, *, sha: str = "", size: int = -1) -> None:
    digest = sha or hashlib.sha256(content).hexdigest()
    hand.put(UUID, io.BytesIO(content), len(content) if size < 0 else size, digest)


def test_aside_and_put_back(here: Place) -> None:
    here.write(UUID, b"damaged")
    kept = here.hand.aside(UUID)
    assert kept == f".hactl-kept/{UUID}.1"
    assert (here.root / kept).read_bytes() == b"damaged"
    assert not here.path(UUID).exists()
    put(here.hand, b"good")
    assert here.path(UUID).read_bytes() == b"good"
    assert here.path(UUID).stat().st_mode & 0o777 == 0o640
    assert [p.name for p in here.path(UUID).parent.iterdir()] == [UUID]


def test_nothing_that_was_kept_is_overwritten(here: Place) -> None:
    for content in (b"first", b"second"):
        here.write(UUID, content)
        here.hand.aside(UUID)
    kept = here.root / ".hactl-kept"
    assert [(kept / f"{UUID}.{n}").read_bytes() for n in (1, 2)] == [b"first", b"second"]


def test_an_image_that_is_there_is_never_overwritten(here: Place) -> None:
    here.write(UUID, b"the only copy")
    with pytest.raises(StepFailed, match="already"):
        put(here.hand, b"other")
    assert here.path(UUID).read_bytes() == b"the only copy"


@pytest.mark.parametrize(
    ("size", "sha", "why"),
    [(99, "", "too early"), (-1, "0" * 64, "another digest"), (2, "", "another digest")],
)
def test_what_is_not_what_was_promised_leaves_nothing(here: Place, size: int, sha: str, why: str) -> None:
    with pytest.raises(StepFailed, match=why):
        put(here.hand, b"content", sha=sha, size=size)
    assert not here.path(UUID).exists()
    assert list(here.path(UUID).parent.iterdir()) == []


@pytest.mark.parametrize("uuid", ["../../etc/passwd", "", UUID.upper(), f"{UUID}/..", ".hactl-storage", 7])
def test_only_uuids_are_names(here: Place, uuid: object) -> None:
    with pytest.raises(StepFailed, match="uuid"):
        here.hand.aside(uuid)  # type: ignore[arg-type]


def test_links_are_not_followed(here: Place, tmp_path: Path) -> None:
    (tmp_path / "secret").write_text("secret")
    path = here.path(UUID)
    path.parent.mkdir(parents=True)
    path.symlink_to(tmp_path / "secret")
    with pytest.raises(StepFailed, match="regular"):
        here.hand.aside(UUID)
    path.unlink()
    path.parent.rmdir()
    path.parent.symlink_to(tmp_path)
    with pytest.raises(StepFailed):
        put(here.hand, b"content")
    assert sorted(p.name for p in tmp_path.iterdir() if p.name == UUID) == []


def test_another_storage_or_none_is_not_touched(here: Place) -> None:
    here.write(UUID, b"x")
    (here.root / ".hactl-storage").write_text("other")
    with pytest.raises(StepFailed, match="marker"):
        here.hand.aside(UUID)
    (here.root / ".hactl-storage").unlink()
    with pytest.raises(StepFailed, match="marker"):
        put(here.hand, b"y")
    assert here.path(UUID).read_bytes() == b"x"


@pytest.mark.parametrize(
    "line", [b"", b"\n", b"[]\n", b"{}\n", b'{"verb":"remove","uuid":"' + UUID.encode() + b'"}\n']
)
def test_everything_else_is_refused(here: Place, line: bytes) -> None:
    hand = real_hand(hand_script(here.folder, here.root))
    with hand._connect() as sock:
        sock.sendall(line)
        sock.shutdown(socket.SHUT_WR)
        answer = json.loads(sock.makefile("rb").readline())
    assert answer["ok"] is False


def test_who_does_not_answer_is_unreachable(tmp_path: Path) -> None:
    with pytest.raises(Unreachable, match="sock"):
        Hand(local(tmp_path / "sock")).aside(UUID)

    def silent() -> socket.socket:
        here, there = socket.socketpair()
        there.close()
        return here

    with pytest.raises(Unreachable):
        Hand(silent).aside(UUID)
