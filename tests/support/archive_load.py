"""Constant load on the archive through its VIP: images stored and QIDO asked, and what became of each call.

A call is begun at its time whether or not those before it hang, as with many modalities and viewers. Each has
a connection of its own: a kept one would say how long a dead one is kept, not when the archive answers again.
"""

from __future__ import annotations

import json
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import asdict, dataclass, replace
from typing import Final, Self

from hactl.drill import dicomweb
from hactl.drill.dicom_net import Archive
from hactl.drill.dicomweb import Web
from hactl.drill.history import History, Outcome, Store
from hactl.drill.imageload import read_back, send
from hactl.drill.images import Image
from hactl.drill.outage import longest_gap
from hactl.errors import HactlError, Unreachable
from tests.support import control
from tests.support.labs import Site
from tests.support.violation import Violation

STORE_EVERY: Final = 0.2  # seconds
ASK_EVERY: Final = 0.15
AT_ONCE: Final = 40  # of each kind: more than hang until an address has moved
STORE_WITHIN: Final = 5.0
STARTS_WITHIN: Final = 30.0
ENDS_WITHIN: Final = 60.0


@dataclass(frozen=True)
class Asked:
    """One QIDO-RS request; ok means it was answered with the image that is there."""

    begin: float
    end: float
    ok: bool
    why: str = ""


@dataclass(frozen=True)
class Silence:
    """The longest time without a success, in seconds, for each kind of call."""

    store: float
    query: float

    def __str__(self) -> str:
        return f"store {self.store:.2f} s, query {self.query:.2f} s"

    @property
    def worst(self) -> float:
        return max(self.store, self.query)


class ArchiveLoad:
    """Use it in the operator's network; `running` begins and ends it."""

    def __init__(self, site: Site, name: str) -> None:
        self.run = f"{name}-{time.time_ns()}"
        self.wall = time.time()
        self.began = time.monotonic()
        self.history = History.create(site.folder / f"{self.run}.jsonl")
        self.made: list[Image] = []
        self._archive: Archive = replace(site.ground.archive, within=STORE_WITHIN)
        self._web: Callable[[], Web] = lambda: site.ground.web
        self._number = 0
        self._known = Image(f"{self.run}-known", 0)
        self._asked: list[Asked] = []
        self._lock = threading.Lock()
        self._stop = threading.Event()
        self._threads: list[threading.Thread] = []

    def __enter__(self) -> Self:
        self.made.append(self._known)
        if send(self._archive, self._known, self.history).outcome is not Outcome.OK:
            raise Unreachable("the archive takes no image before the fault")
        for act, every in ((self._store, STORE_EVERY), (self._ask, ASK_EVERY)):
            thread = threading.Thread(target=self._tick, args=(act, every), daemon=True)
            thread.start()
            self._threads.append(thread)
        self.began = time.monotonic()
        self.works(5, since=self.began, within=STARTS_WITHIN)
        return self

    def __exit__(self, *_: object) -> None:
        self._stop.set()
        for thread in self._threads:
            thread.join(ENDS_WITHIN)
        lines = [json.dumps(asdict(a)) for a in self.asked()]
        self.history.path.with_suffix(".qido.jsonl").write_text("\n".join(lines) + "\n", encoding="utf-8")

    def _tick(self, act: Callable[[], None], every: float) -> None:
        free = threading.Semaphore(AT_ONCE)

        def one() -> None:
            try:
                act()
            finally:
                free.release()

        with ThreadPoolExecutor(AT_ONCE) as pool:
            while not self._stop.wait(every):
                if free.acquire(blocking=False):
                    pool.submit(one)

    def _store(self) -> None:
        with self._lock:
            image = Image(self.run, self._number)
            self._number += 1
            self.made.append(image)
        send(self._archive, image, self.history)

    def _ask(self) -> None:
        begin, why = time.monotonic(), ""
        try:
            found = dicomweb.qido(self._web(), self._known.study)
            ok = found == {self._known.uid}
            why = "" if ok else f"answered without the image: {sorted(found)}"
        except HactlError as error:
            ok, why = False, error.message
        with self._lock:
            self._asked.append(Asked(begin, time.monotonic(), ok, why))

    def acknowledged(self, image: Image, begin: float) -> None:
        """Another sender of the same test was answered 0x0000 for this one."""
        with self._lock:
            self.made.append(image)
        self.history.add(Store(image.uid, image.digest, begin, time.monotonic(), Outcome.OK))

    def asked(self) -> tuple[Asked, ...]:
        with self._lock:
            return tuple(self._asked)

    def stores(self) -> tuple[Store, ...]:
        return tuple(e for e in self.history.snapshot() if isinstance(e, Store))

    def works(self, count: int, *, since: float, within: float) -> float:
        """Waits for that many successes of each kind begun after `since`; seconds since then."""
        deadline = time.monotonic() + within
        while True:
            stored = sorted(s.end for s in self.stores() if s.begin >= since and s.outcome is Outcome.OK)
            asked = sorted(a.end for a in self.asked() if a.begin >= since and a.ok)
            if len(stored) >= count and len(asked) >= count:
                return max(stored[0], asked[0]) - since
            assert time.monotonic() < deadline, (
                f"the archive does not work within {within:g} s: {len(stored)} stored, {len(asked)} asked; "
                f"{self.failures(since)[-3:]}"
            )
            time.sleep(0.05)

    def silence(self, since: float, until: float | None = None) -> Silence:
        """Between `since` and `until` (now)."""
        end = time.monotonic() if until is None else until
        stored = [s.end for s in self.stores() if s.outcome is Outcome.OK]
        asked = [a.end for a in self.asked() if a.ok]
        return Silence(*(_longest(times, since, end) for times in (stored, asked)))

    def failures(self, since: float = 0.0) -> list[str]:
        """What went wrong with calls begun after `since`."""
        bad: list[Store | Asked] = [s for s in self.stores() if s.outcome is not Outcome.OK]
        bad += [a for a in self.asked() if not a.ok]
        return [f"{e.begin:.2f} +{e.end - e.begin:.2f} {e.why}" for e in bad if e.begin >= since]

    def whole(self, site: Site, *, within: float = 60) -> int:
        """How many images were acknowledged; all of them came back with their pixels. Raises Violation."""
        acknowledged = {s.uid: s.digest for s in self.stores() if s.outcome is Outcome.OK}
        wanted = [i for i in self.made if i.uid in acknowledged]
        deadline = time.monotonic() + within
        while True:
            try:
                found = read_back(site.ground.web, wanted)
                break
            except Unreachable:
                if time.monotonic() >= deadline:
                    raise
        wrong = {u: found.get(u, "not there") for u, digest in acknowledged.items() if found.get(u) != digest}
        if wrong:
            raise Violation(f"{len(wrong)} of {len(acknowledged)} acknowledged images are not whole: {wrong}")
        return len(acknowledged)


def _longest(successes: list[float], since: float, until: float) -> float:
    return longest_gap([since, *sorted(t for t in successes if since < t < until), until])


@contextmanager
def loaded(site: Site, name: str) -> Iterator[ArchiveLoad]:
    """The load runs inside the block, and works again before its end; then every image is compared."""
    with ArchiveLoad(site, name) as load:
        yield load
        load.works(3, since=time.monotonic(), within=STARTS_WITHIN)
    count = load.whole(site)
    print(f"{name}: {count} of {len(load.made)} images acknowledged, all whole")  # noqa: T201


def told(what: str, **figures: object) -> None:
    """What was measured, on one line, for docs/benchmarks.md."""
    print(f"MEASURED {what}: " + ", ".join(f"{k} {v}" for k, v in figures.items()))  # noqa: T201


def acts(site: Site, load: ArchiveLoad) -> list[str]:
    """What hactl has done since the load began, as its journal has it: kind, node, verb, unit.

    Without the reconcile that follows each failover, also one of the test before, and without care of etcd.
    """
    rows = control.hactl(site.lab, "history", "-n", "200")["events"]
    since = time.strftime("%Y-%m-%dT%H:%M:%S", time.gmtime(load.wall))
    done = [f"{row['what']} {row['subject']}".strip() for row in rows if row["at"] >= since]
    return [act for act in done if not act.endswith(" reconcile") and not act.startswith("move-etcd-leader")]
