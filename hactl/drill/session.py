"""One drill from its first write to its verdict: clients write, a fault happens, all is read back."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field

from hactl.drill.checker import Judgment, judged
from hactl.drill.ground import Ground
from hactl.drill.history import Asked, History, Mark, Outcome, Pictures, Row, Store, Table, Write
from hactl.drill.imageload import read_back
from hactl.drill.images import Image
from hactl.drill.keywatch import KeyWatch
from hactl.drill.outage import served
from hactl.drill.vipwatch import ArpWatch, VipWatch
from hactl.drill.workload import Load, Workload, prepare
from hactl.drill.writer import Target
from hactl.drill.writewatch import WriteWatch
from hactl.errors import HactlError, Unreachable

Watch = WriteWatch | VipWatch | ArpWatch | KeyWatch
POLL = 0.1
SETTLE = 30.0  # seconds for the standby to show what the primary shows
INSIDE_WITHIN = 10.0  # seconds; it takes half of one
WARM = 10  # acknowledged writes before a fault counts as one under load


@dataclass
class Session:
    """`run` names the drill's rows and images."""

    ground: Ground
    history: History
    run: str
    load: Load = field(default_factory=Load)
    workload: Workload | None = None  # while it runs

    @contextmanager
    def running(self, *, within: float = 30) -> Iterator[None]:
        """Inside, clients write, and who has the VIPs and who is writable is watched.

        Raises Unreachable when nothing gets through.
        """
        prepare(self.ground.database, within=within)
        target = Target(self.ground.database, self.run)
        workload = self.workload = Workload(target, self.history, self.load, self.ground.clients)
        watches = self._watches()
        for watch in watches:
            watch.start()
        workload.start()
        try:
            self.acknowledged(WARM, within=within)
            self._inside()
            yield
        finally:
            with ExitStack() as ending:  # each is stopped whatever the others raise
                for stop in (*(w.stop for w in watches), workload.stop):
                    ending.callback(stop)
            self.workload = None

    def _inside(self) -> None:
        """Waits for those on the nodes as well. Who does not get through is found when it is judged."""
        wanted = {(node, fresh) for node in self.ground.clients for fresh in (False, True)}
        deadline = time.monotonic() + INSIDE_WITHIN
        while wanted and time.monotonic() < deadline:
            writes = (e for e in self.history.snapshot() if isinstance(e, Write))
            wanted -= {(w.inside, w.fresh) for w in writes if w.outcome is Outcome.OK}
            time.sleep(POLL)

    def _watches(self) -> list[Watch]:
        """Of who has the VIPs, who is writable, and what stands in etcd, as far as one can look there."""
        found: list[Watch] = []
        on = self.ground
        if on.direct is not None:
            found.append(WriteWatch(on.databases, on.direct, self.history))
        if on.addresses is not None:
            found.append(VipWatch(on.nodes, on.vips, on.addresses, self.history))
        if on.arp is not None:
            found.append(ArpWatch(on.arp(), self.history))
        if on.keyed is not None:
            found.append(KeyWatch(on.keyed, self.history))
        return found

    def fault(self, node: str, act: Callable[[], object], detail: str = "") -> Mark:
        """From here to the heal, new connections are tried more often. `detail`: the fault's name."""
        self._press(on=True)
        return self.history.doing("fault", node, act, detail)

    def heal(self, node: str, act: Callable[[], object], detail: str = "") -> Mark:
        self._press(on=False)
        return self.history.doing("heal", node, act, detail)

    def _press(self, *, on: bool) -> None:
        if self.workload:
            self.workload.press(on=on)

    def acknowledged(
        self, count: int, *, within: float, since: float = 0.0, still: Callable[[], None] = lambda: None
    ) -> None:
        """Waits for that many acknowledged writes by connections opened after `since`.

        Raises Unreachable; and whatever `still` raises, which is called again and again.
        """
        deadline = time.monotonic() + within
        while True:
            still()
            seen = [w for w in served(self.history.snapshot()) if w.outcome is Outcome.OK]
            if sum(w.begin >= since and (w.fresh or since == 0) for w in seen) >= count:
                return
            if time.monotonic() >= deadline:
                raise Unreachable(
                    f"no client could commit through the database VIP within {within:g} s",
                    hint="hactl status",
                )
            time.sleep(POLL)

    def tables(self, *, within: float = SETTLE) -> dict[str, list[Row]]:
        """The run's rows on every database node, once they agree; after `within` as they are."""
        deadline = time.monotonic() + within
        while True:
            found = {node: self.ground.stored(node, self.run) for node in self.ground.databases}
            if len({tuple(r) for r in found.values()}) == 1 or time.monotonic() >= deadline:
                return found
            time.sleep(POLL)

    def images(self, made: Sequence[Image], done: Callable[[], object] = lambda: None) -> dict[str, str]:
        """What came back of the acknowledged ones."""
        acked = {e.uid for e in self.history.snapshot() if isinstance(e, Store) and e.outcome is Outcome.OK}
        return read_back(self.ground.web, [i for i in made if i.uid in acked], done)

    def keep(self, images: Mapping[str, str] | None = None) -> None:
        """Writes what stands there now into the history, so that it can be judged without the cluster."""
        for node, rows in self.tables().items():
            self.history.add(Table(node, tuple(rows)))
        if images is not None:
            self.history.add(Pictures(images))

    def look_through(self, primary: Callable[[], str]) -> None:
        """The data files of each database node, the primary's first, where that can be done.

        What could not be looked at is a note, and a finding when it is judged.
        """
        if self.ground.sound is None:
            return
        try:
            first = primary()
            for node in sorted(self.ground.databases, key=lambda node: node != first):
                self.history.add(self.ground.sound(node))
        except HactlError as error:
            self.history.note(f"data files not looked through: {error.message}")

    def ordered(self) -> None:
        """What BMCs were told since the first event."""
        begin = min((e.begin for e in self.history.snapshot() if isinstance(e, Write)), default=0.0)
        for order in self.ground.orders() if self.ground.orders else ():
            if order.at >= begin:
                self.history.add(order)

    def verdict(self, images: Mapping[str, str] | None = None, *, limit: float | None = None) -> Judgment:
        """Of what is kept with the history from now on."""
        if not any(isinstance(e, Asked) for e in self.history.snapshot()):
            must = ("I5",) if self.load.readers else ()
            self.history.add(Asked(limit=limit, must=must, inside=tuple(self.ground.clients)))
        self.ordered()
        self.keep(images)
        return judged(self.history.snapshot())
