"""etcd in memory: revisions, transactions, leases on a clock that the test moves, members that fall.

    etcd = FakeEtcd(clock)
    kv = etcd.client()            # as ports.EtcdKv
    etcd.freeze("db1")            # SIGSTOP; `kill`: power off; `heal`: both back
    etcd.full = True              # its quota is used up (the alarm NOSPACE)
    etcd.lose_answer()            # the next change is made, and raises MaybeDone
    etcd.before_txn = lambda: ... # runs right before the next transaction: somebody else was faster

tests/contract/test_etcd_kv_contract.py holds it against a real cluster.
"""

from __future__ import annotations

import math
import threading
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

from hactl.errors import Unreachable
from hactl.ports import MaybeDone, NoSpace, NoSuchLease
from hactl.view.kv import (
    Compare,
    Delete,
    Get,
    Is,
    LeaseTime,
    Op,
    Pair,
    Put,
    RangeReply,
    RangesReply,
    Target,
    TxnReply,
    end_of,
)
from hactl.view.model import EtcdMember, EtcdStatus

FULL = "etcd takes no writes: etcdserver: mvcc: database space exceeded"
MINIMUM_TTL = 2  # of etcd with an election time-out of 1 s


@dataclass
class FakeClock:
    now: float = 1000.0

    def __call__(self) -> float:
        return self.now

    def monotonic(self) -> float:
        return self.now

    def wall(self) -> float:
        return 1_700_000_000.0 + self.now

    def forward(self, seconds: float) -> None:
        self.now += seconds


@dataclass
class _Lease:
    ttl: int
    ends: float


@dataclass
class FakeEtcd:
    clock: Callable[[], float] = field(default_factory=FakeClock)
    names: tuple[str, ...] = ("db1", "db2", "wit1")
    before_txn: Callable[[], None] | None = None

    def __post_init__(self) -> None:
        self.revision = 1
        self.pairs: dict[str, Pair] = {}
        self.leases: dict[int, _Lease] = {}
        self.dead: set[str] = set()
        self.frozen: set[str] = set()
        self.full = False
        self.leading = self.names[0]
        self.changed = threading.Condition(threading.RLock())
        self._next_lease = 7_000_000_000_000_000_001
        self._answers_to_lose = 0

    # What tests do to it

    def client(self) -> FakeEtcdKv:
        return FakeEtcdKv(self)

    def kill(self, name: str) -> None:
        self.dead.add(name)
        self._elect()

    def freeze(self, name: str) -> None:
        self.frozen.add(name)
        self._elect()

    def heal(self) -> None:
        self.dead.clear()
        self.frozen.clear()
        self._elect()

    def lose_answer(self, times: int = 1) -> None:
        self._answers_to_lose = times

    def put(self, key: str, value: str, lease: int = 0) -> None:
        """As by somebody else."""
        with self.changed:
            self._run((Put(key, value, lease),))

    def delete(self, key: str) -> None:
        with self.changed:
            self._run((Delete(key),))

    def value(self, key: str) -> str | None:
        with self.changed:
            self._expire()
            return self.pairs[key].value if key in self.pairs else None

    def keys(self) -> list[str]:
        with self.changed:
            self._expire()
            return sorted(self.pairs)

    # What its clients do

    def quorum(self) -> bool:
        up = [n for n in self.names if n not in self.dead | self.frozen]
        return len(up) * 2 > len(self.names)

    def _elect(self) -> None:
        """A new leader gives every lease its whole time again."""
        up = [n for n in self.names if n not in self.dead | self.frozen]
        if self.leading not in up and self.quorum():
            self.lead(up[0])

    def lead(self, name: str) -> None:
        self.leading = name
        for lease in self.leases.values():
            lease.ends = self.clock() + lease.ttl

    def answer_or_raise(self, *, changes: bool) -> None:
        if self.quorum():
            return
        if set(self.names) <= self.dead:
            raise Unreachable("no etcd endpoint answered: connection refused")
        raise (MaybeDone if changes else Unreachable)("no etcd endpoint answered: no answer in time")

    def answer_or_lose(self) -> None:
        if self._answers_to_lose > 0:
            self._answers_to_lose -= 1
            raise MaybeDone("etcd: no answer in time")

    def _expire(self) -> None:
        """Without a quorum nothing ends: only a leader ends leases."""
        if self.quorum():
            for lease in [i for i, x in self.leases.items() if x.ends <= self.clock()]:
                self.end(lease)

    def end(self, lease: int) -> None:
        del self.leases[lease]
        gone = [k for k, p in self.pairs.items() if p.lease == lease]
        if gone:
            self.revision += 1
            for key in gone:
                del self.pairs[key]
            self.changed.notify_all()

    def grant(self, ttl: int) -> int:
        if self.full:
            raise NoSpace(FULL)
        self._next_lease += 1
        ttl = max(ttl, MINIMUM_TTL)
        self.leases[self._next_lease] = _Lease(ttl, self.clock() + ttl)
        return self._next_lease

    def txn(self, compares: Sequence[Compare], then: Sequence[Op], otherwise: Sequence[Op]) -> TxnReply:
        hook, self.before_txn = self.before_txn, None
        if hook is not None:
            hook()
        self._expire()
        if self.full and any(isinstance(o, Put) for o in (*then, *otherwise)):  # whichever branch is run
            raise NoSpace(FULL)
        ok = all(self._holds(c) for c in compares)
        branch = then if ok else otherwise
        puts = [o.key for o in branch if isinstance(o, Put)]
        if len(puts) != len(set(puts)):
            raise Unreachable("etcd refuses: etcdserver: duplicate key given in txn request")
        results = self._run(branch)
        return TxnReply(ok, self.revision, results)

    def _run(self, ops: Sequence[Op]) -> tuple[tuple[Pair, ...], ...]:
        self._expire()
        for op in ops:
            if isinstance(op, Put) and op.lease and op.lease not in self.leases:
                raise NoSuchLease("etcd: requested lease not found")
        revision = self.revision + 1
        results = [self._one(op, revision) for op in ops]
        if any(
            isinstance(o, Put) or (isinstance(o, Delete) and r) for o, r in zip(ops, results, strict=True)
        ):
            self.revision = revision
            self.changed.notify_all()
        return tuple(results)

    def _one(self, op: Op, revision: int) -> tuple[Pair, ...]:
        if isinstance(op, Get):
            found = self.select(op)
            return found[: op.limit or len(found)]
        if isinstance(op, Delete):
            found = self.select(op)
            for pair in found:
                del self.pairs[pair.key]
            return found
        old = self.pairs.get(op.key)
        created, version = (old.create_revision, old.version) if old else (revision, 0)
        self.pairs[op.key] = Pair(op.key, op.value, revision, created, version + 1, op.lease)
        return ()

    def select(self, op: Get | Delete) -> tuple[Pair, ...]:
        end = end_of(op)
        keys = [k for k in self.pairs if (op.key <= k < end if end else k == op.key)]
        return tuple(self.pairs[k] for k in sorted(keys, reverse=isinstance(op, Get) and op.last))

    def _holds(self, compare: Compare) -> bool:
        pair = self.pairs.get(compare.key)
        if compare.target is Target.VALUE:
            return pair is not None and _compared(pair.value, compare)
        fields = {
            Target.VERSION: "version", Target.MOD: "mod_revision", Target.CREATE: "create_revision",
            Target.LEASE: "lease",
        }  # fmt: skip
        return _compared(getattr(pair, fields[compare.target]) if pair else 0, compare)


def _compared(found: str | int, compare: Compare) -> bool:
    wanted = compare.operand
    match compare.op:
        case Is.EQUAL:
            return found == wanted
        case Is.NOT_EQUAL:
            return found != wanted
        case Is.LESS:
            return str(found) < wanted if isinstance(wanted, str) else int(found) < wanted
        case _:
            return str(found) > wanted if isinstance(wanted, str) else int(found) > wanted


@dataclass
class FakeEtcdKv:
    """One client; `calls` counts what it asked. `cut`: it alone reaches nobody."""

    etcd: FakeEtcd
    cut: bool = False
    calls: int = 0

    def _must_answer(self, *, changes: bool) -> None:
        self.calls += 1
        if self.cut:
            raise Unreachable("no etcd endpoint answered: no route to host")
        self.etcd.answer_or_raise(changes=changes)

    def range(
        self, key: str, *, within: float, prefix: bool = False, serializable: bool = False
    ) -> RangeReply:
        del within
        with self.etcd.changed:
            if not (serializable and len(self.etcd.dead) < len(self.etcd.names)):
                self._must_answer(changes=False)
            reply = self.etcd.txn((), (Get(key, prefix=prefix),), ())
            return RangeReply(reply.revision, reply.results[0])

    def ranges(self, gets: Sequence[Get], *, within: float) -> RangesReply:
        del within
        with self.etcd.changed:
            self._must_answer(changes=False)
            reply = self.etcd.txn((), tuple(gets), ())
            return RangesReply(reply.revision, reply.results)

    def txn(
        self,
        compares: Sequence[Compare],
        then: Sequence[Op],
        otherwise: Sequence[Op] = (),
        *,
        within: float,
        again: bool = False,
    ) -> TxnReply:
        with self.etcd.changed:
            self._must_answer(changes=True)
            reply = self.etcd.txn(compares, then, otherwise)
            try:
                self.etcd.answer_or_lose()
            except MaybeDone:
                if not again:
                    raise
                return self.txn(compares, then, otherwise, within=within, again=True)
            return reply

    def grant(self, ttl: int, *, within: float) -> int:
        del within
        with self.etcd.changed:
            self._must_answer(changes=True)
            return self.etcd.grant(ttl)

    def keepalive(self, lease: int, *, within: float) -> int:
        del within
        with self.etcd.changed:
            self._must_answer(changes=True)
            self.etcd.txn((), (), ())
            if lease not in self.etcd.leases:
                raise NoSuchLease(f"lease {lease:x} has ended")
            held = self.etcd.leases[lease]
            held.ends = self.etcd.clock() + held.ttl
            return math.ceil(held.ttl)

    def time_left(self, lease: int, *, within: float) -> LeaseTime:
        del within
        with self.etcd.changed:
            self._must_answer(changes=False)
            self.etcd.txn((), (), ())
            if lease not in self.etcd.leases:
                raise NoSuchLease(f"lease {lease:x} has ended")
            held = self.etcd.leases[lease]
            return LeaseTime(math.floor(held.ends - self.etcd.clock()), held.ttl)

    def revoke(self, lease: int, *, within: float) -> None:
        del within
        with self.etcd.changed:
            self._must_answer(changes=True)
            if lease in self.etcd.leases:
                self.etcd.end(lease)

    def watch(self, prefixes: Sequence[str], on_change: Callable[[], None], stop: threading.Event) -> None:
        def seen() -> tuple[tuple[Pair, ...], ...]:
            return tuple(self.etcd.select(Get(p, prefix=True)) for p in prefixes)

        with self.etcd.changed:
            last = seen()
        on_change()
        while not stop.is_set():
            with self.etcd.changed:
                self.etcd.changed.wait(0.05)
                now = seen()
            if now != last and not self.cut:
                last = now
                on_change()

    def status(self, endpoint: str, *, within: float) -> EtcdStatus:
        del within
        etcd = self.etcd
        if self.cut or endpoint in etcd.dead | etcd.frozen:
            raise Unreachable(f"etcd on {endpoint}: no answer in time")
        leader = self._id(etcd.leading) if etcd.quorum() else ""
        return EtcdStatus(self._id(endpoint), leader, "3.4.23")

    def members(self, *, within: float) -> tuple[EtcdMember, ...]:
        del within
        return tuple(EtcdMember(self._id(n), n) for n in self.etcd.names)

    def move_leader(self, to_member_id: str, *, within: float) -> None:
        del within
        with self.etcd.changed:
            self._must_answer(changes=False)
            name = next((n for n in self.etcd.names if self._id(n) == to_member_id), None)
            if name is None or name in self.etcd.dead | self.etcd.frozen:
                raise Unreachable("etcd refuses: etcdserver: not a healthy member")
            self.etcd.lead(name)

    def _id(self, name: str) -> str:
        return str(100 + self.etcd.names.index(name))
