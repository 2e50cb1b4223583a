"""A scheduled switchover as Patroni understands it: a pair hands over, and says no without a candidate."""

from __future__ import annotations

import contextlib
import time
from collections.abc import Iterator
from dataclasses import dataclass

import pytest

from hactl.act import scheduled
from hactl.act.hands import Hands
from hactl.act.hour import HourLeases
from hactl.adapters.clock import SystemClock
from hactl.adapters.etcd_kv import EtcdKvClient
from hactl.adapters.http import HttpsClient
from hactl.controller.handover import WITHIN, Handover
from hactl.decide.plan import Outcome, SwitchOver
from hactl.errors import Unreachable
from hactl.view.keys import Keys
from hactl.view.kv import Put
from hactl.view.parse.by_hand import scheduled_text
from hactl.view.parse.control import parse_look
from hactl.view.scheduled import Scheduled
from tests.support.acting import Book
from tests.support.servers import PatroniPair, etcd_cluster, loopback, patroni_pair, wait_until

TOKEN = '{"id":"me","node":"wit1"}'


@dataclass
class Site:
    pair: PatroniPair
    hands: Hands
    keys: Keys
    book: Book

    def order(self, primary: str, target: str) -> tuple[Handover, float]:
        """As the active controller does it, up to where Patroni is asked."""
        order = Scheduled("a1", time.time(), target, "operator anna", "new RAM")
        self.hands.kv.txn((), (Put(self.keys.scheduled, scheduled_text(order)),), within=2)
        action, handover = SwitchOver(order, primary, target), Handover(self.book)
        scheduled.switch_over(action, self.hands)
        now = time.monotonic()
        handover.asked((Outcome(action, True, "", now, now),), now)
        return handover, now

    def done(self) -> bool:
        """Patroni empties its key, and leaves it."""
        found = self.hands.kv.range(self.keys.switchover, within=10).first
        return found is None or found.value == "{}"

    def told(self, handover: Handover, now: float) -> list[bool]:
        with contextlib.suppress(Unreachable):  # a busy machine
            handover.look(parse_look(self.keys, self.hands.kv.ranges(self.keys.look(), within=5)), now)
        return [line[4]["ok"] for line in self.book.lines if line[1] == "switchover-ended"]


@pytest.fixture
def site() -> Iterator[Site]:
    with loopback() as net, etcd_cluster(net) as cluster, patroni_pair(net) as pair:
        kv = EtcdKvClient(cluster.endpoints, HttpsClient(net.ca.crt, net.cert.cert, net.cert.key))
        keys, book, nobody = Keys(net.spec().cluster), Book(), None
        kv.txn((), (Put(keys.controller, TOKEN),), within=2)
        hands = Hands(
            me="wit1", kv=kv, keys=keys, journal=book, clock=SystemClock(), claim=lambda: TOKEN,
            fences=nobody, yield_control=lambda _: None, new_id=lambda: "id", addresses={},
            hours=HourLeases(kv, SystemClock()),
        )  # type: ignore[arg-type]  # fmt: skip
        yield Site(pair, hands, keys, book)
        kv.close()


def test_patroni_hands_over_to_the_node_that_was_named(site: Site) -> None:
    primary = site.pair.wait_streaming()
    target = "db2" if primary == "db1" else "db1"
    handover, began = site.order(primary, target)
    wait_until(f"{target} leads", lambda: site.told(handover, began + 1) == [True], 60)
    assert site.pair.wait_streaming() == target
    assert site.done()
    site.book.lines.clear()
    handover, began = site.order(target, primary)  # and back: what Patroni left there is in nobody's way
    wait_until(f"{primary} leads", lambda: site.told(handover, began + 1) == [True], 60)


def test_without_a_candidate_patroni_stays_and_that_is_told(site: Site) -> None:
    primary = site.pair.wait_streaming()
    target = "db2" if primary == "db1" else "db1"
    site.pair.kill(target)
    handover, began = site.order(primary, target)
    wait_until("Patroni has dropped it", site.done, 30)
    assert site.pair.leader() == primary
    assert site.told(handover, began + WITHIN + 1) == [False]
