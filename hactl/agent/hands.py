"""Does what the controller's keys ask of this node, outside of the lease's loop, and answers in etcd.

Three queues: a refusal takes milliseconds and is on the clock; fencing must not wait behind an order.
"""

from __future__ import annotations

import itertools
import json
import queue
import threading
from collections.abc import Callable, Mapping
from dataclasses import dataclass

from hactl.agent import obey
from hactl.agent.holder import Holder
from hactl.agent.ports import Lease, Notes, RootActs
from hactl.errors import HactlError, Refused, Unreachable
from hactl.ports import EtcdKv
from hactl.view.keys import Keys
from hactl.view.kv import Put, value_is

ETCD_WITHIN = 2.0
FENCE_WITHIN, ACT_WITHIN = 15.0, 60.0
FENCE_AGAIN = 5.0  # s: a postgres that outlived the last try is tried again, for as long as the intent stands
LOOK_EVERY = 0.05
UNFENCE_PAUSES = (1.0, 2.0, 4.0, 8.0, 15.0, 30.0)  # s: between two tries, the last one for good

Say = Callable[..., None]


@dataclass(frozen=True)
class Body:
    """The machine. `state` answers "stopped", "recovery", or None while PostgreSQL may still write."""

    acts: RootActs
    lease: Lease | None
    holder: Holder | None
    notes: Notes
    state: Callable[[], str | None]


class Hands:
    def __init__(self, me: str, boot: str, keys: Keys, kv: EtcdKv, body: Body, say: Say) -> None:
        self._me, self._boot, self._keys, self._kv, self._body, self._say = me, boot, keys, kv, body, say
        self._queues: dict[str, queue.SimpleQueue[obey.Task]] = {
            name: queue.SimpleQueue() for name in ("refuse", "fence", "order")
        }
        self._stop = threading.Event()

    def start(self, stop: threading.Event) -> None:
        self._stop = stop
        for name in self._queues:
            threading.Thread(target=self._run, args=(name,), name=name, daemon=True).start()

    def take(self, task: obey.Task) -> None:
        match task:
            case obey.Fence() | obey.Unfence():
                self._queues["fence"].put(task)
            case obey.Refuse() | obey.Allow():
                self._queues["refuse"].put(task)
            case obey.RunAct():
                self._queues["order"].put(task)

    def _run(self, name: str) -> None:
        while not self._stop.is_set():
            try:
                task = self._queues[name].get(timeout=1.0)
            except queue.Empty:
                continue
            self.do(task)

    def do(self, task: obey.Task) -> None:
        """Never raises: what failed is said, and answered where an answer is asked for."""
        try:
            match task:
                case obey.Fence(intent):
                    self._fence(intent)
                case obey.Unfence():
                    self._unfence()
                case obey.Refuse(refusal, anew):
                    self._refuse(refusal, anew=anew)
                case obey.Allow(address):
                    self._lease().allow(address)
                    self._say("refusal ended", address=address)
                case obey.RunAct(act):
                    self._order(act)
        except HactlError as error:
            self._say("task failed", task=type(task).__name__, why=error.message)

    def _lease(self) -> Lease:
        if self._body.lease is None:
            raise Unreachable("this node has no database: it refuses nothing")
        return self._body.lease

    def _refuse(self, refusal: obey.Refusal, *, anew: bool) -> None:
        self._lease().refuse(refusal.address, obey.REJECT_FOR)
        if not anew:
            return
        killed = self._lease().end_connections(refusal.address)
        self._put(self._keys.primed(self._me), {"epoch": refusal.epoch, "killed": killed})
        self._say("primed", epoch=refusal.epoch, address=refusal.address, connections=killed)

    def _order(self, act: obey.Act) -> None:
        """It may have waited here behind another one: what a fence has stopped meanwhile is not started."""
        try:
            if self._kv.range(self._keys.fence(self._me), within=ETCD_WITHIN).first is not None:
                raise Refused("a fence intent stands")
            ok, said = True, self._body.acts.act(act.verb, act.unit, within=ACT_WITHIN)
        except HactlError as error:
            ok, said = False, error.message
        self._say("order done", id=act.id, verb=act.verb, unit=act.unit, ok=ok, said=said)
        self._put(self._keys.done(self._me), {"id": act.id, "ok": ok, "said": said[:500]})

    def _put(self, key: str, value: Mapping[str, object]) -> None:
        self._kv.txn((), (Put(key, _text(value)),), within=ETCD_WITHIN, again=True)

    def _stands(self, intent: obey.Intent) -> bool:
        """Whether the intent is still there, as etcd's majority has it. Raises Unreachable."""
        found = self._kv.range(self._keys.fence(self._me), within=ETCD_WITHIN).first
        return found is not None and found.value == intent.raw

    def _fence(self, intent: obey.Intent) -> None:
        tries = 0
        while not self._stop.is_set() and self._still(intent):
            tries += 1
            self._note_fenced()
            ended, said = self._act("fence", FENCE_WITHIN)
            self._say("fencing", epoch=intent.epoch, attempt=tries, said=said)
            state = self._stopped(FENCE_AGAIN)
            # Where systemd did not take the order it starts Patroni again: what is gone now is no proof.
            if state is not None and ended and self._report(intent, state):
                return
            if not ended:
                self._stop.wait(1.0)

    def _note_fenced(self) -> None:
        """A disk that takes no file is a reason to be fenced, and none not to be."""
        try:
            self._body.notes.note_fenced(fenced=True)
        except HactlError as error:
            self._say("no note of the fence", why=error.message)

    def _still(self, intent: obey.Intent) -> bool:
        """An intent that cannot be looked at stands: it did a moment ago."""
        try:
            return self._stands(intent)
        except Unreachable:
            self._stop.wait(0.5)
            return True

    def _act(self, verb: str, within: float) -> tuple[bool, str]:
        """Whether it did all of it, and what it said."""
        try:
            return True, self._body.acts.act(verb, within=within)
        except HactlError as error:
            return False, error.message

    def _stopped(self, within: float) -> str | None:
        """Wait until PostgreSQL cannot write and the packet filter is shut; what it does instead."""
        for _ in range(int(within / LOOK_EVERY)):
            shut = self._body.holder is None or self._body.holder.shut.is_set()
            state = self._body.state()
            if shut and state is not None:
                return state
            if self._stop.wait(LOOK_EVERY):
                break
        return None

    def _report(self, intent: obey.Intent, state: str) -> bool:
        value = _text({"epoch": intent.epoch, "postgres": state, "boot": self._boot})
        mine = value_is(self._keys.fence(self._me), intent.raw)
        answer = Put(self._keys.fenced(self._me), value)
        try:
            reply = self._kv.txn((mine,), (answer,), within=ETCD_WITHIN, again=True)
        except Unreachable as error:
            self._say("fenced, but etcd does not know", epoch=intent.epoch, why=error.message)
            return False
        self._say("fenced", epoch=intent.epoch, postgres=state, reported=reply.succeeded)
        return True

    def _unfence(self) -> None:
        """Until it is done, or a new intent stands: one that waits here is not kept waiting by pauses."""
        pauses = itertools.chain(UNFENCE_PAUSES, itertools.repeat(UNFENCE_PAUSES[-1]))
        while not self._stop.is_set() and not self._unfenced():
            try:
                task = self._queues["fence"].get(timeout=next(pauses))
            except queue.Empty:
                continue
            self.do(task)
            return

    def _unfenced(self) -> bool:
        """Whether nothing is left to do."""
        try:
            if self._kv.range(self._keys.fence(self._me), within=ETCD_WITHIN).first is not None:
                self._say("not unfenced", why="a new fence intent stands")
                return True
            self._body.acts.act("unfence", within=FENCE_WITHIN)
        except HactlError as error:
            self._say("unfence failed", why=error.message)
            return False
        self._body.notes.note_fenced(fenced=False)
        self._say("unfenced")
        return True


def _text(value: Mapping[str, object]) -> str:
    return json.dumps(value, sort_keys=True, separators=(",", ":"))
