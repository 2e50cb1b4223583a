"""What an operator does by hand: keys in etcd that agents obey, and a record in the journal before."""

from __future__ import annotations

import contextlib
import dataclasses
import datetime as dt
import json
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Final

from hactl.errors import Refused, StepFailed, Unreachable
from hactl.ports import Clock, EtcdKv
from hactl.view.archive import Drain
from hactl.view.control import Order
from hactl.view.control_text import order_text
from hactl.view.journal import Kind, Record, parse_record, sealed, text_of
from hactl.view.keys import Keys
from hactl.view.kv import Compare, Delete, Get, Put, absent, revision_is, value_is
from hactl.view.parse.archive import drain_text

WITHIN: Final = 3.0
TRIES: Final = 5
ORDER_LIVES: Final = (
    75  # s, as the controller's: an agent that was away must not do later what was right once
)
POLL: Final = 0.2
LOOKED_AT: Final = 30  # records: what others have written since one of ours


@dataclass(frozen=True)
class Hold:
    """The operation lock while it is ours: etcd does nothing for us once the key has another value."""

    key: str
    text: str


@dataclass(frozen=True)
class Operator:
    """Who asks: a person's account on a machine. `origin`: where the session came from; empty: unknown.

    `hold`: the operation lock (act/operation.py). `person`: of the spec's people, by the gate.
    """

    kv: EtcdKv
    keys: Keys
    clock: Clock
    who: str
    machine: str
    origin: str = ""
    hold: Hold | None = None
    person: str = ""

    @property
    def actor(self) -> str:
        return f"{self.who} from {self.origin}" if self.origin else self.who

    def ours(self) -> tuple[Compare, ...]:
        """What each transaction compares besides, so that nothing is done once the lock is lost."""
        return () if self.hold is None else (value_is(self.hold.key, self.hold.text),)

    def still(self) -> None:
        """Raises StepFailed: the lock was lost (this process stood still for too long); Unreachable."""
        hold = self.hold
        if hold is None:
            return
        found = self.kv.range(hold.key, within=WITHIN).first
        if found is None or found.value != hold.text:
            raise StepFailed("the operation lock was lost: this command, or etcd, stood still for too long",
                             hint="look at what was done: hactl journal tail; then begin again")  # fmt: skip


def drain(operator: Operator, wanted: Drain, others: Sequence[str]) -> None:
    """`others`: archive nodes that must not be drained too, unless the drain is forced.

    Raises:
        Refused: it is drained already, or another one is.
        Unreachable: etcd does not answer.

    """
    keys = operator.keys
    nodes = (wanted.node, *(() if wanted.force else others))
    compares = tuple(absent(keys.archive_drain(node)) for node in nodes)
    put = Put(keys.archive_drain(wanted.node), drain_text(wanted))
    if not operator.kv.txn((*operator.ours(), *compares), (put,), within=WITHIN).succeeded:
        operator.still()
        raise Refused(
            f"{wanted.node}, or another archive node, is drained already", hint="hactl archive list"
        )


def undrain(operator: Operator, node: str) -> bool:
    """Whether there was a drain. Raises Refused (it has just changed), Unreachable."""
    key = operator.keys.archive_drain(node)
    found = operator.kv.range(key, within=WITHIN).first
    if found is None:
        return False
    compares = (*operator.ours(), revision_is(key, found.mod_revision))
    if not operator.kv.txn(compares, (Delete(key),), within=WITHIN).succeeded:
        operator.still()
        raise Refused(f"the drain of {node} has just changed", hint="hactl archive list")
    return True


def order(operator: Operator, wanted: Order, *, within: float, also: Sequence[Compare] = ()) -> str:
    """Have a node's agent do one of root's acts, and wait for its answer: what it said.

    `also`: what else must be so when it is given.

    Raises:
        Refused: another order is at work there, or the node is fenced.
        StepFailed: it did not do it.
        Unreachable: no answer in time.

    """
    keys, kv = operator.keys, operator.kv
    key, done = keys.order(wanted.node), keys.done(wanted.node)
    free = (*operator.ours(), *also, _at_rest(kv, key, done), absent(keys.fence(wanted.node)))
    lease = kv.grant(ORDER_LIVES, within=WITHIN)
    try:  # from here on: a Ctrl-C while etcd answers must not leave an order that nobody waits for
        if not kv.txn(free, (Put(key, order_text(wanted), lease), Delete(done)), within=WITHIN).succeeded:
            operator.still()
            raise Refused(
                f"{wanted.node} has an order to do already, or is fenced", hint="try again in a minute"
            )
        return _answer(operator, wanted, within)
    finally:
        kv.revoke(lease, within=WITHIN)


def _at_rest(kv: EtcdKv, key: str, done: str) -> Compare:
    """No order is at work: none is there, or it is answered. A controller's stays until its lease ends."""
    found = kv.ranges((Get(key), Get(done)), within=WITHIN).ranges
    given, answer = (pairs[0] if pairs else None for pairs in found)
    if given is None or answer is None or _fields(given.value).get("id") != _fields(answer.value).get("id"):
        return absent(key)
    return revision_is(key, given.mod_revision)


def _answer(operator: Operator, wanted: Order, within: float) -> str:
    end = operator.clock.monotonic() + within
    while operator.clock.monotonic() < end:
        found = operator.kv.range(operator.keys.done(wanted.node), within=WITHIN).first
        said = _fields(found.value) if found else {}
        if said.get("id") == wanted.id:
            if said.get("ok") is not True:
                raise StepFailed(f"{wanted.verb} {wanted.unit} on {wanted.node}: {said.get('said')}")
            return str(said.get("said", ""))
        time.sleep(POLL)
    raise Unreachable(f"the agent of {wanted.node} does not answer", hint="hactl status")


def _fields(text: str) -> Mapping[str, object]:
    try:
        found = json.loads(text)
    except ValueError:
        return {}
    return found if isinstance(found, dict) else {}


def note(
    operator: Operator, action: str, data: Mapping[str, object], *, incident: str = "", epoch: int = 0
) -> int:
    """What a person is about to do, in the journal. Raises Unreachable: it is not written.

    The controller may write at the same moment: whoever comes second takes the next number.
    """
    for _ in range(TRIES):
        newest = Get(operator.keys.journal_prefix, prefix=True, last=True, limit=1)
        found = operator.kv.ranges((newest,), within=WITHIN).ranges[0]
        if not found:
            raise Unreachable("there is no journal yet: no controller was ever active", hint="hactl status")
        try:
            head = parse_record(found[0].value)
        except ValueError as error:
            raise Unreachable(f"the journal's last record cannot be read: {error}") from error
        draft = dataclasses.replace(_draft(operator, action, data), incident=incident, epoch=epoch)
        record = sealed(dataclasses.replace(draft, seq=head.seq + 1, prev=head.hash))
        key, text = operator.keys.journal(record.seq), text_of(record)
        if operator.kv.txn((*operator.ours(), absent(key)), (Put(key, text),), within=WITHIN).succeeded:
            return record.seq
        operator.still()
    raise Unreachable("the journal is being written to all the time")


def unended(operator: Operator, action: str, end: str) -> bool:
    """Whether this person's newest record of `action` is its beginning. Raises Unreachable."""
    newest = Get(operator.keys.journal_prefix, prefix=True, last=True, limit=LOOKED_AT)
    for pair in operator.kv.ranges((newest,), within=WITHIN).ranges[0]:
        try:
            record = parse_record(pair.value)
        except ValueError:
            continue
        if record.actor == operator.actor and record.action in {action, end}:
            return record.action == action
    return False


def _draft(operator: Operator, action: str, data: Mapping[str, object]) -> Record:
    clock = operator.clock
    return Record(
        seq=0, wall=now_text(clock.wall()), mono_ms=int(clock.monotonic() * 1000), boot="",
        node=operator.machine, actor=operator.actor, kind=Kind.EVENT, action=action, data=data,
    )  # fmt: skip


def now_text(wall: float) -> str:
    return dt.datetime.fromtimestamp(wall, dt.UTC).isoformat(timespec="milliseconds")


def wait_until(operator: Operator, true: Callable[[], bool], within: float) -> bool:
    """Whether it came true in time; `true` may raise Unreachable for a moment."""
    end = operator.clock.monotonic() + within
    while operator.clock.monotonic() < end:
        with contextlib.suppress(Unreachable):  # an election of etcd takes a second
            if true():
                return True
        time.sleep(POLL)
    return False
