"""Keeps what checks came to: a journal of its own, one writer at a time."""

from __future__ import annotations

import contextlib
import fcntl
import os
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from hactl.adapters.journal_file import FOLDER_MODE, JournalFile
from hactl.errors import LockHeld, StepFailed
from hactl.view.journal import START, Record, records, sealed

# From what was kept before: action and data of each new record.
Compose = Callable[[Sequence[Record]], Iterator[tuple[str, Mapping[str, Any]]]]
Draft = Callable[[int, str, Mapping[str, Any], str], Record]


def append(path: Path, compose: Compose, draft: Draft) -> tuple[Record, tuple[Record, ...]]:
    """Chain new records to the old ones. Returns the last one, and those that stood there before.

    Raises:
        StepFailed: the file cannot be read or written.
        LockHeld: another check is writing.

    """
    with _alone(path):
        file = JournalFile(path)
        try:
            old = tuple(records(file.entries()))
            head = old[-1] if old else None
            new: list[Record] = []
            for action, data in compose(old):
                head = sealed(draft(head.seq + 1 if head else 1, action, data, head.hash if head else START))
                new.append(head)
            if head is None:
                raise StepFailed(f"nothing to write into {path}")
            file.append(new)
        finally:
            file.close()
    return head, old


@contextlib.contextmanager
def _alone(path: Path) -> Iterator[None]:
    try:
        path.parent.mkdir(mode=FOLDER_MODE, parents=True, exist_ok=True)
        handle = os.open(path.parent, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    except OSError as error:
        raise StepFailed(f"{path.parent}: {error.strerror}") from error
    try:
        try:
            fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            raise LockHeld(f"another check is writing {path}") from error
        yield
    finally:
        os.close(handle)
