from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path

import pytest

from hactl.errors import LockHeld, Refused
from hactl.pki import files


def mode_of(path: Path) -> str:
    return f"{path.stat().st_mode & 0o7777:04o}"


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    files.ensure_folder(tmp_path / "a" / "state")
    return tmp_path / "a" / "state"


@pytest.mark.parametrize("umask", [0o000, 0o022, 0o077, 0o777])
def test_modes_do_not_depend_on_the_umask(tmp_path: Path, umask: int) -> None:
    before = os.umask(umask)
    try:
        files.ensure_folder(tmp_path / "state")
        files.write(tmp_path / "state" / "k", b"key", files.PRIVATE)
        files.write(tmp_path / "state" / "c", b"crt", files.PUBLIC)
    finally:
        os.umask(before)
    assert [mode_of(tmp_path / "state" / n) for n in (".", "k", "c")] == ["0700", "0600", "0644"]


def test_a_folder_that_is_there_is_not_touched(tmp_path: Path) -> None:
    tmp_path.chmod(0o755)
    files.ensure_folder(tmp_path)
    assert mode_of(tmp_path) == "0755"


@pytest.mark.parametrize("mode", [0o701, 0o710, 0o750, 0o755, 0o777])
def test_an_open_folder_is_refused_with_the_remedy(folder: Path, mode: int) -> None:
    folder.chmod(mode)
    with pytest.raises(Refused, match="open to others") as caught:
        files.check_folder(folder)
    assert caught.value.hint.startswith(f"chmod 0700 {folder}")


@pytest.mark.parametrize("mode", [0o601, 0o604, 0o620, 0o640, 0o644, 0o660, 0o666])
def test_an_open_key_is_refused(folder: Path, mode: int) -> None:
    files.write(folder / "k", b"key", files.PRIVATE)
    (folder / "k").chmod(mode)
    with pytest.raises(Refused, match=f"mode {mode:04o}"):
        files.read_private(folder / "k")


@pytest.mark.parametrize("mode", [0o600, 0o400])
def test_a_private_key_is_read(folder: Path, mode: int) -> None:
    files.write(folder / "k", b"key", files.PRIVATE)
    (folder / "k").chmod(mode)
    assert files.read_private(folder / "k") == b"key"


def link(path: Path) -> None:
    path.symlink_to("/etc/hostname")


@pytest.mark.parametrize(
    "make", [link, os.mkfifo, Path.mkdir, lambda _: None], ids=["link", "fifo", "folder", "none"]
)
@pytest.mark.timeout(5)
def test_what_is_no_plain_file_is_refused(folder: Path, make: Callable[[Path], None]) -> None:
    make(folder / "k")
    with pytest.raises(Refused, match=str(folder / "k")):
        files.read_private(folder / "k")


def test_a_missing_folder_says_what_to_do(tmp_path: Path) -> None:
    with pytest.raises(Refused) as caught:
        files.check_folder(tmp_path / "none")
    assert caught.value.hint == "hactl pki init"


def test_a_failed_write_leaves_the_old_file_and_no_scratch(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    files.write(folder / "k", b"old", files.PRIVATE)

    def full(_: int) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(Refused, match="No space left on device"):
        files.write(folder / "k", b"new", files.PRIVATE)
    assert (folder / "k").read_bytes() == b"old"
    assert [p.name for p in folder.iterdir()] == ["k"]


def test_data_is_on_disk_before_the_name_is(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    done: list[str] = []
    fsync, replace = os.fsync, Path.replace
    monkeypatch.setattr(os, "fsync", lambda fd: (done.append("sync"), fsync(fd)))
    monkeypatch.setattr(Path, "replace", lambda s, t: (done.append("rename"), replace(s, t)))
    files.write(folder / "k", b"x", files.PRIVATE)
    assert done == ["sync", "rename", "sync"]


def test_sweep_removes_what_a_crash_left_and_nothing_else(folder: Path) -> None:
    for place in ("certs/db1", "rendered/db1"):
        (folder / place).mkdir(parents=True)
    left = (".lock", "k", "k.key.next", "rendered/db1/.k.tmp-0123abcd")
    for name in (".k.tmp-0123abcd", "certs/db1/.k.tmp-0123abcd", *left):
        (folder / name).write_bytes(b"x")
    files.sweep(folder, "certs", "none")
    assert {str(p.relative_to(folder)) for p in folder.rglob("*") if p.is_file()} == set(left)


def test_one_writer_at_a_time_and_free_again_afterwards(folder: Path) -> None:
    with files.locked(folder), pytest.raises(LockHeld, match="another hactl"), files.locked(folder):
        pass
    with files.locked(folder):
        pass


def test_an_error_inside_the_lock_is_not_taken_for_a_held_lock(folder: Path) -> None:
    with pytest.raises(BlockingIOError), files.locked(folder):
        raise BlockingIOError
