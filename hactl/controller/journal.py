"""The journal as the active controller writes it, and as every controller's node copies it.

etcd is where a record is written; a file is only ever a copy. One transaction puts the record if its number
is free and the controller key is still ours; when it has succeeded, a majority of etcd's voters have fsynced
it, and only then `intent` returns. So what was acknowledged cannot be lost with a node or with its disk, and
no file ever has a record that etcd has not (a phantom), as would happen if the file came first. Nor does a
stalled disk of the controller's node hold up a failover. When etcd's answer is lost, the act is not begun:
the record may be there all the same, and the next write finds it and adds what became of it: nothing.

Each controller, active or standing by, copies the records from etcd to its node's file, in order, fsynced.
etcd keeps the last KEPT; the active controller removes older ones in a transaction that writes a record.
"""

from __future__ import annotations

import dataclasses
import datetime as dt
import threading
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Final

from hactl.adapters.journal_file import JournalFile
from hactl.errors import HactlError, Refused, StepFailed, Unreachable
from hactl.ports import Clock, EtcdKv
from hactl.view.journal import START, Kind, Record, parse_record, sealed, text_of
from hactl.view.journal_check import in_hand
from hactl.view.keys import Keys
from hactl.view.kv import Delete, Get, Op, Pair, Put, absent, value_is

KEPT: Final = 2000  # records in etcd; a copy that was away for more has a gap, and says so
SWEEP: Final = 64  # older ones are removed with every 64th record
LOOK_BACK: Final = 256  # an intent older than that many records is long over
WITHIN: Final = 1.0
TRIES: Final = 3


@dataclass(frozen=True)
class Writer:
    """Who writes. `token`: the exact value of the controller key while it is surely ours, else None."""

    node: str
    boot: str
    token: Callable[[], str | None]
    actor: str = "controller"


class EtcdJournal:
    """ports.Journal for the controller. `file`: this node's copy; it knows the head if etcd has lost it."""

    def __init__(self, kv: EtcdKv, keys: Keys, writer: Writer, clock: Clock, file: JournalFile) -> None:
        self._kv, self._keys, self._writer, self._clock, self._file = kv, keys, writer, clock, file
        self._lock = threading.RLock()
        self._head: Record | None = None  # None: to be asked for
        self._token = ""
        self._mine: dict[int, Record] = {}  # intents of this process that are at work
        self._owed: dict[int, Record] = {}  # their results that could not be written yet
        self._unsure: set[str] = set()  # hashes of what may have been written
        self.written = threading.Event()  # wakes the copy

    @property
    def head(self) -> int | None:
        """The newest record's number, as far as this process wrote it."""
        return self._head.seq if self._head else None

    def intent(
        self, action: str, *, incident: str = "", epoch: int = 0, data: Mapping[str, object] | None = None
    ) -> int:
        with self._lock:
            record = self._append(self._draft(Kind.INTENT, action, incident, epoch, data or {}))
            self._mine[record.seq] = record
            return record.seq

    def result(self, seq: int, *, ok: bool, data: Mapping[str, object] | None = None) -> None:
        """Raises KeyError for what is no intent of this process."""
        with self._lock:
            draft = self._result(self._mine[seq], {**(data or {}), "ok": ok})
            try:
                self._append(draft)
            except HactlError:
                self._owed[seq] = draft
                raise
            finally:
                del self._mine[seq]

    def event(
        self, action: str, *, incident: str = "", epoch: int = 0, data: Mapping[str, object] | None = None
    ) -> int:
        return self._append(self._draft(Kind.EVENT, action, incident, epoch, data or {})).seq

    def begin(self) -> None:
        """Once active, so that the first intent costs one transaction. Raises as intent does."""
        with self._lock:
            token = self._writer.token()
            if token is not None:
                self._head = self._begin(token)

    def _result(self, intent: Record, data: Mapping[str, object]) -> Record:
        draft = self._draft(Kind.RESULT, intent.action, intent.incident, intent.epoch, data)
        return dataclasses.replace(draft, of=intent.seq)

    def _draft(
        self, kind: Kind, action: str, incident: str, epoch: int, data: Mapping[str, object]
    ) -> Record:
        writer, clock = self._writer, self._clock
        wall = dt.datetime.fromtimestamp(clock.wall(), dt.UTC).isoformat(timespec="milliseconds")
        return Record(
            seq=0, wall=wall, mono_ms=int(clock.monotonic() * 1000), boot=writer.boot, node=writer.node,
            actor=writer.actor, kind=kind, action=action, incident=incident, epoch=epoch, data=data,
        )  # fmt: skip

    def _append(self, draft: Record) -> Record:
        with self._lock:
            for _ in range(TRIES):
                token = self._writer.token()
                if token is None:
                    raise Refused("this controller does not surely hold its lease")
                head = self._head
                if head is None or token != self._token:
                    head = self._begin(token)
                if record := self._put(draft, head, token):
                    self.written.set()
                    return record
            raise Unreachable("somebody else writes into the journal")

    def _put(self, draft: Record, head: Record, token: str) -> Record | None:
        """The record as it stands in etcd now; None: another one has its number, and the head is unknown."""
        record = sealed(dataclasses.replace(draft, seq=head.seq + 1, prev=head.hash))
        key, text = self._keys.journal(record.seq), text_of(record)
        free, ours = absent(key), value_is(self._keys.controller, token)
        self._head = None
        self._unsure.add(record.hash)
        reply = self._kv.txn(
            (free, ours), (Put(key, text), *self._sweep(record.seq)), (Get(self._keys.controller), Get(key)),
            within=WITHIN, again=True,
        )  # fmt: skip
        self._unsure.discard(record.hash)
        # The first of two tries may have succeeded without an answer: then our own text stands there.
        if reply.succeeded or any(p.value == text for p in reply.results[1]):
            self._head = record
            return record
        if [p.value for p in reply.results[0]] != [token]:
            raise Refused("another controller is active now")
        return None

    def _sweep(self, seq: int) -> tuple[Op, ...]:
        if seq % SWEEP or seq <= KEPT:
            return ()
        return (Delete(self._keys.journal(0), until=self._keys.journal(seq - KEPT + 1)),)

    def _begin(self, token: str) -> Record:
        """Find the head, and close what others began and nobody finished: whoever reads on shall not wait."""
        gets = (Get(self._keys.journal_prefix, prefix=True, last=True, limit=LOOK_BACK),)
        found = self._kv.ranges(gets, within=WITHIN).ranges[0]
        last = [_read(self._keys, pair) for pair in reversed(found)]
        head = _newest(last[-1] if last else None, self._copy())
        for intent in in_hand([r for r in last if r.action]):
            if intent.seq in self._mine:
                continue
            record = self._put(self._owed.get(intent.seq) or self._unanswered(intent), head, token)
            if record is None:
                raise Unreachable("somebody else writes into the journal")
            head = record
        self._owed.clear()
        if token != self._token:
            self._token = token
            self._unsure.clear()
        return head

    def _unanswered(self, intent: Record) -> Record:
        ours = intent.hash in self._unsure
        said = "not begun: its announcement was not confirmed in time" if ours else "its controller ended"
        return self._result(intent, {"ok": None, "said": said})

    def _copy(self) -> Record | None:
        try:
            return self._file.head()
        except StepFailed:
            return None  # a copy that cannot be read must not stop the journal


def _newest(*heads: Record | None) -> Record:
    """The head by number. Where nothing is: what the first record follows."""
    known = [h for h in heads if h is not None]
    return max(known, key=lambda r: r.seq) if known else _stand_in(0, START)


def _stand_in(seq: int, hash_: str) -> Record:
    """For its number and hash only. It has no action, so it is no act."""
    return Record(seq, "", 0, "", "", "", Kind.EVENT, "", hash=hash_)


def _read(keys: Keys, pair: Pair) -> Record:
    """A text that is no record still has its number: the next is written after it, and `verify` finds it."""
    try:
        return parse_record(pair.value)
    except ValueError:
        seq = pair.key.removeprefix(keys.journal_prefix)
        return _stand_in(int(seq) if seq.isdecimal() else 0, START)
