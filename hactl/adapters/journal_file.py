"""A node's copy of the journal: one line a record, appended and fsynced, in segments of a limited size."""

from __future__ import annotations

import contextlib
import datetime as dt
import os
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Final

from hactl.errors import StepFailed
from hactl.view.journal import Entry, Note, Record, note_text, parse_lines, records, text_of
from hactl.view.keys import SEQ_DIGITS

FILE_MODE: Final = 0o640
FOLDER_MODE: Final = 0o750
TAIL: Final = 512 * 1024  # bytes from the end that hold the last record: one is at most about 70 KB
SEGMENT: Final = 8 * 1024 * 1024  # bytes, some 12,000 records
SEGMENTS: Final = 8  # full ones that are kept beside the one that is written


def segments(path: Path) -> tuple[Path, ...]:
    """The full segments of a journal, oldest first: `journal-SEQ.jsonl` ends with record SEQ."""
    name = f"{path.stem}-{'[0-9]' * SEQ_DIGITS}{path.suffix}"
    return tuple(sorted(path.parent.glob(name)))


class JournalFile:
    """One writer at a time: the node's controller process, of which there is one. Not thread-safe.

    A file that is full is put aside under the number of its last record, and the chain goes on in a new one:
    its first record names the hash of the other's last. The oldest of too many go.

    A line is written at once with its end, then fsynced. What a crash leaves of a line without its end is cut
    off before the next one is written, and a note says so: the record itself comes from etcd again.
    """

    def __init__(self, path: Path, *, segment: int = SEGMENT, kept: int = SEGMENTS) -> None:
        self._path, self._segment, self._kept = path, segment, kept
        self._handle: int | None = None

    def append(self, entries: Sequence[Record | Note]) -> None:
        """All or an error; after an error a part of them may be there. Raises StepFailed."""
        text = "".join(f"{text_of(e) if isinstance(e, Record) else note_text(e)}\n" for e in entries)
        try:
            handle = self._open()
            _write(handle, text.encode())
            os.fsync(handle)
            if os.fstat(handle).st_size >= self._segment:
                self._turn(entries)
        except OSError as error:
            self.close()  # opened again, it is looked at again
            raise StepFailed(f"journal {self._path}: {error.strerror}") from error

    def head(self) -> Record | None:
        """The last record. Raises StepFailed when the file cannot be read."""
        for path in (self._path, *reversed(segments(self._path))):
            if found := records(self._read(path, TAIL)):
                return found[-1]
        return None

    def entries(self) -> list[Entry]:
        """All that is kept. Raises StepFailed when a file cannot be read; empty when there is none."""
        return [e for path in (*segments(self._path), self._path) for e in self._read(path, None)]

    def close(self) -> None:
        if self._handle is not None:
            handle, self._handle = self._handle, None
            with contextlib.suppress(OSError):
                os.close(handle)

    def _turn(self, entries: Sequence[Record | Note]) -> None:
        """Put the full file aside. Only after a record, whose number is its name."""
        last = next((e for e in reversed(entries) if isinstance(e, Record)), None)
        if last is None:
            return
        self.close()
        self._path.rename(self._path.with_stem(f"{self._path.stem}-{last.seq:0{SEQ_DIGITS}d}"))
        for old in segments(self._path)[: -self._kept]:
            old.unlink()
        _fsync_folder(self._path.parent)

    @staticmethod
    def _read(path: Path, tail: int | None) -> list[Entry]:
        try:
            with path.open("rb") as file:
                cut = 0
                if tail is not None:
                    cut = max(0, file.seek(0, os.SEEK_END) - tail)
                    file.seek(cut)
                lines = file.read().decode(errors="replace").split("\n")
        except FileNotFoundError:
            return []
        except OSError as error:
            raise StepFailed(f"journal {path}: {error.strerror}") from error
        # The first one is cut in two unless it begins the file; the last one has no end unless it is empty.
        return parse_lines(lines[1 if cut else 0 : -1])

    def _open(self) -> int:
        if self._handle is None:
            self._path.parent.mkdir(mode=FOLDER_MODE, parents=True, exist_ok=True)
            new = not self._path.exists()
            handle = os.open(self._path, os.O_RDWR | os.O_APPEND | os.O_CREAT | os.O_CLOEXEC, FILE_MODE)
            with _closed_on_error(handle):
                os.fchmod(handle, FILE_MODE)  # whatever the umask
                _heal(handle)
                if new:
                    _fsync_folder(self._path.parent)
            self._handle = handle
        return self._handle


@contextlib.contextmanager
def _closed_on_error(handle: int) -> Iterator[None]:
    try:
        yield
    except OSError:
        os.close(handle)
        raise


def _heal(handle: int) -> None:
    """Cut off a last line without its end, and note how many bytes that were."""
    size = os.fstat(handle).st_size
    tail = os.pread(handle, min(size, TAIL), max(0, size - TAIL))
    torn = len(tail) - (tail.rfind(b"\n") + 1)
    if torn:
        os.ftruncate(handle, size - torn)
        now = dt.datetime.now(dt.UTC).isoformat(timespec="milliseconds")
        _write(handle, f"{note_text(Note('torn', now, last=torn))}\n".encode())


def _write(handle: int, data: bytes) -> None:
    while data:
        data = data[os.write(handle, data) :]


def _fsync_folder(folder: Path) -> None:
    handle = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)
