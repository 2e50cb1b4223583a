"""A controller node's copy of the journal, from etcd to its file."""

from __future__ import annotations

import datetime as dt
import time
from collections.abc import Callable, Sequence
from typing import Final

from hactl.adapters.journal_file import JournalFile
from hactl.ports import EtcdKv
from hactl.view.journal import Note, Record, parse_record
from hactl.view.keys import Keys
from hactl.view.kv import Get

WITHIN: Final = 2.0
AT_ONCE: Final = 500  # records asked for together: about 300 KB
END: Final = "\x7f"  # behind every number


class Replica:
    """Each step asks for the record that the file ends with and all that follow it.

    A first record that is not the expected one is said by a note beside it, never hidden: `gap` (this node
    was away for longer than etcd keeps records), `fork` (etcd has another record than the file's last one, so
    etcd was restored or the file was changed). `told` gets what is new, once it is in the file.
    """

    def __init__(
        self,
        kv: EtcdKv,
        keys: Keys,
        file: JournalFile,
        wall: Callable[[], float] = time.time,
        told: Callable[[Sequence[Record]], None] = lambda _: None,
    ) -> None:
        self._kv, self._keys, self._file, self._unix, self._told = kv, keys, file, wall, told
        self._head: Record | None = None
        self._known = False

    @property
    def head(self) -> int | None:
        return self._head.seq if self._head else None

    def follow_once(self) -> None:
        """Copy all that is new. Raises Unreachable (etcd), StepFailed (the file)."""
        while self.step() >= AT_ONCE:
            pass

    def step(self) -> int:
        """One request; how many records were new. Raises as follow_once."""
        if not self._known:
            self._head, self._known = self._file.head(), True
        head = self._head
        seq = head.seq if head else 0
        span = Get(self._keys.journal(seq), until=self._keys.journal_prefix + END, limit=AT_ONCE + 1)
        found = [self._read(p.value) for p in self._kv.ranges((span,), within=WITHIN).ranges[0]]
        new = [r for r in found if r is not None]
        lines: list[Record | Note] = []
        if head and new and new[0].seq == seq:
            if new[0].hash == head.hash:
                new = new[1:]
            else:
                lines.append(Note("fork", self._wall(), seq, seq))
        self._write(lines, new, seq)
        return len(new)

    def _write(self, lines: list[Record | Note], new: list[Record], seq: int) -> None:
        for record in new:
            if record.seq > seq + 1:
                lines.append(Note("gap", self._wall(), seq + 1, record.seq - 1))
            lines.append(record)
            seq = record.seq
        if lines:
            self._known = False  # after an error the file says how far it went
            self._file.append(lines)
            self._head, self._known = new[-1], True
            self._told(new)

    def _wall(self) -> str:
        return dt.datetime.fromtimestamp(self._unix(), dt.UTC).isoformat(timespec="milliseconds")

    @staticmethod
    def _read(text: str) -> Record | None:
        """What is no record is left out: the gap is noted, and etcd's own check shows it."""
        try:
            return parse_record(text)
        except ValueError:
            return None
