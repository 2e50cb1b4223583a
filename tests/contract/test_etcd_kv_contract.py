"""One suite for the etcd in memory and a real cluster of three with mutual TLS, through hactl's client."""

from __future__ import annotations

import contextlib
import signal
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from hactl.adapters.etcd_kv import EtcdKvClient
from hactl.adapters.http import HttpsClient
from hactl.errors import Unreachable
from hactl.ports import EtcdKv, MaybeDone, NoSuchLease
from hactl.view.kv import (
    Compare,
    Delete,
    Get,
    Is,
    Put,
    Target,
    absent,
    lease_is,
    present,
    revision_is,
    value_is,
    version_is,
)
from tests.fakes.etcd import FakeClock, FakeEtcd
from tests.support.servers import VOTERS, EtcdCluster, etcd_cluster, loopback, wait_until

W = 2.0


@dataclass
class World:
    """`real`: time passes by itself, faults are signals."""

    kv: EtcdKv
    real: bool
    wait: Callable[[float], None]
    kill: Callable[[str], None]
    freeze: Callable[[str], None]
    put: Callable[[str, str], None]

    def leader(self) -> str:
        members = {m.member_id: m.name for m in self.kv.members(within=W)}
        for name in VOTERS:
            with contextlib.suppress(Unreachable):
                if status := self.kv.status(name, within=W):
                    return members.get(status.leader_id, "")
        return ""

    def member_id(self, name: str) -> str:
        return next(m.member_id for m in self.kv.members(within=W) if m.name == name)

    def follower(self) -> str:
        leader = self.leader()
        return next(n for n in VOTERS if n != leader)


def fake() -> Iterator[World]:
    clock = FakeClock()
    etcd = FakeEtcd(clock)
    yield World(etcd.client(), False, clock.forward, etcd.kill, etcd.freeze, etcd.put)


def real() -> Iterator[World]:
    with loopback() as net, etcd_cluster(net) as cluster:
        site = net.site()
        client = EtcdKvClient(cluster.endpoints, HttpsClient(site.ca, site.cert, site.key))

        def put(key: str, value: str) -> None:
            client.txn((), [Put(key, value)], within=W)

        yield World(client, True, time.sleep, lambda n: cluster.members[n].kill(), _freezer(cluster), put)
        client.close()


def _freezer(cluster: EtcdCluster) -> Callable[[str], None]:
    def freeze(name: str) -> None:
        process = cluster.members[name].process
        assert process is not None
        process.send_signal(signal.SIGSTOP)
        status = Path(f"/proc/{process.pid}/stat")  # a signal is not obeyed at once
        stopped = lambda: status.read_text(encoding="ascii").rpartition(")")[2].split()[0] == "T"  # noqa: E731
        wait_until(f"{name} stands still", stopped, 5)

    return freeze


@pytest.fixture(params=[fake, real])
def world(request: pytest.FixtureRequest) -> Iterator[World]:
    yield from request.param()


@pytest.fixture(scope="module", params=[fake, real])
def calm(request: pytest.FixtureRequest) -> Iterator[World]:
    """Shared by all tests that break nothing; each uses keys of its own."""
    yield from request.param()


def test_what_is_put_is_read_with_all_that_makes_it_unlike_any_other(calm: World) -> None:
    kv = calm.kv
    assert kv.range("/a/x", within=W).first is None
    made = kv.txn([absent("/a/x")], [Put("/a/x", "é1"), Put("/a/y", "2")], within=W)
    assert made.succeeded
    first = kv.range("/a/x", within=W).first
    assert first is not None
    assert (first.value, first.version, first.lease) == ("é1", 1, 0)
    assert first.mod_revision == first.create_revision == made.revision
    again = kv.txn([present("/a/x")], [Put("/a/x", "3")], within=W)
    second = kv.range("/a/x", within=W).first
    assert second is not None
    assert (second.value, second.version, second.mod_revision) == ("3", 2, again.revision)
    assert second.create_revision == made.revision


def test_ranges_end_where_they_should(calm: World) -> None:
    for key in ("/r/a", "/r/b", "/r/j/1", "/r/j/2", "/r/j/3", "/r/z", "/r0", "/r"):
        calm.put(key, key)

    def read(*gets: Get) -> list[list[str]]:
        return [[p.key for p in found] for found in calm.kv.ranges(gets, within=W).ranges]

    assert read(Get("/r/", prefix=True)) == [["/r/a", "/r/b", "/r/j/1", "/r/j/2", "/r/j/3", "/r/z"]]
    assert read(Get("/r/", until="/r/j/"), Get("/r/j0", until="/r0")) == [["/r/a", "/r/b"], ["/r/z"]]
    assert read(Get("/r/j/", prefix=True, last=True, limit=2)) == [["/r/j/3", "/r/j/2"]]
    assert read(Get("/r/j/", prefix=True, limit=1)) == [["/r/j/1"]]
    assert [p.key for p in calm.kv.range("/r/j/", prefix=True, within=W).pairs] == [
        "/r/j/1",
        "/r/j/2",
        "/r/j/3",
    ]
    assert len(calm.kv.range("/r/j/", prefix=True, serializable=True, within=W).pairs) == 3


def test_several_ranges_are_read_at_one_revision(calm: World) -> None:
    """Two keys that always change together never differ in one look."""
    stop, differ = threading.Event(), []

    def change() -> None:
        n = 0
        while not stop.is_set():
            n += 1
            calm.kv.txn((), [Put("/one/x", str(n)), Put("/two/x", str(n))], within=W)

    writer = threading.Thread(target=change)
    writer.start()
    for _ in range(50):
        one, two = calm.kv.ranges([Get("/one/", prefix=True), Get("/two/", prefix=True)], within=W).ranges
        differ += [(a, b) for a, b in zip(one, two, strict=True) if a.value != b.value]
    stop.set()
    writer.join(5)
    assert differ == []


@pytest.mark.parametrize(
    ("compare", "holds"),
    [
        pytest.param(value_is("/c/x", "1"), True, id="the value is what it was"),
        pytest.param(value_is("/c/x", "2"), False, id="the value has changed"),
        pytest.param(value_is("/c/none", ""), False, id="a missing key has no value, not an empty one"),
        pytest.param(Compare("/c/none", Target.VALUE, "1", Is.NOT_EQUAL), False, id="nor another one"),
        pytest.param(version_is("/c/x", 1), True, id="it was put once"),
        pytest.param(absent("/c/x"), False, id="it is there"),
        pytest.param(absent("/c/none"), True, id="it is not there"),
        pytest.param(present("/c/none"), False, id="it should be there"),
        pytest.param(revision_is("/c/x", 1), False, id="somebody changed it meanwhile"),
        pytest.param(revision_is("/c/none", 0), True, id="a missing key's revision is 0"),
        pytest.param(lease_is("/c/x", 0), True, id="it has no lease"),
        pytest.param(lease_is("/c/x", 5), False, id="it has another lease"),
        pytest.param(Compare("/c/x", Target.CREATE, 1, Is.GREATER), True, id="made after the first revision"),
    ],
)
def test_a_comparison_decides_which_branch_runs(calm: World, compare: Compare, *, holds: bool) -> None:
    calm.kv.txn([absent("/c/x")], [Put("/c/x", "1")], within=W)
    reply = calm.kv.txn([compare], [Get("/c/x")], [Get("/c/none"), Get("/c/x")], within=W)
    assert reply.succeeded is holds
    assert [len(r) for r in reply.results] == ([1] if holds else [0, 1])


def test_one_comparison_that_fails_is_enough(calm: World) -> None:
    calm.put("/all/x", "1")
    reply = calm.kv.txn([value_is("/all/x", "1"), absent("/all/x")], [Delete("/all/x")], within=W)
    assert not reply.succeeded
    assert calm.kv.range("/all/x", within=W).first


def test_a_deletion_says_what_it_removed(calm: World) -> None:
    for key in ("/d/1", "/d/2", "/d/3"):
        calm.put(key, "v")
    reply = calm.kv.txn((), [Delete("/d/", until="/d/3"), Delete("/d/none")], within=W)
    assert [[p.key for p in removed] for removed in reply.results] == [["/d/1", "/d/2"], []]
    assert [p.key for p in calm.kv.range("/d/", prefix=True, within=W).pairs] == ["/d/3"]


def test_what_etcd_refuses_is_not_asked_elsewhere_and_changed_nothing(calm: World) -> None:
    with pytest.raises(Unreachable, match="duplicate key") as refused:
        calm.kv.txn((), [Put("/dup", "1"), Put("/dup", "2")], within=W)
    assert not isinstance(refused.value, MaybeDone)
    assert calm.kv.range("/dup", within=W).first is None


def test_a_lease_takes_its_keys_along_unless_it_is_kept_alive(calm: World) -> None:
    short, kept = calm.kv.grant(2, within=W), calm.kv.grant(2, within=W)
    calm.kv.txn((), [Put("/l/short", "1", short), Put("/l/kept", "1", kept)], within=W)
    found = calm.kv.range("/l/short", within=W).first
    assert found is not None
    assert found.lease == short
    for _ in range(8):
        calm.wait(0.5)
        assert calm.kv.keepalive(kept, within=W) == 2
    assert calm.kv.range("/l/short", within=W).first is None
    assert calm.kv.range("/l/kept", within=W).first
    with pytest.raises(NoSuchLease):
        calm.kv.keepalive(short, within=W)
    with pytest.raises(NoSuchLease):
        calm.kv.txn((), [Put("/l/late", "1", short)], within=W)
    calm.kv.revoke(kept, within=W)
    assert calm.kv.range("/l/kept", within=W).first is None


def test_how_long_a_lease_still_lives_and_of_how_much(calm: World) -> None:
    lease = calm.kv.grant(60, within=W)
    calm.wait(2.2)
    left = calm.kv.time_left(lease, within=W)
    assert left.granted == 60
    assert 55 <= left.left <= 58
    calm.kv.revoke(lease, within=W)
    with pytest.raises(NoSuchLease):
        calm.kv.time_left(lease, within=W)


def test_a_watch_wakes_for_its_prefixes_and_ends_within_a_second(calm: World) -> None:
    woke, stop = threading.Semaphore(0), threading.Event()
    watching = threading.Thread(target=calm.kv.watch, args=(["/w/", "/v/x"], woke.release, stop))
    watching.start()
    assert woke.acquire(timeout=5), "it calls once when it stands: something may have come before"
    time.sleep(0.3)
    while woke.acquire(blocking=False):
        pass
    for key in ("/w/1", "/v/x/2"):
        calm.put(key, "1")
        assert woke.acquire(timeout=2), key
    calm.put("/other", "1")
    assert not woke.acquire(timeout=0.5), "what is elsewhere wakes nobody"
    start = time.monotonic()
    stop.set()
    watching.join(5)
    assert time.monotonic() - start < 1


def test_the_leader_can_be_moved_to_any_member(calm: World) -> None:
    for name in VOTERS:
        calm.kv.move_leader(calm.member_id(name), within=5)
        wait_until(f"{name} leads", lambda name=name: calm.leader() == name, 5)  # type: ignore[misc]


def test_members_fall_one_by_one(world: World) -> None:
    """Two of three go on, also when the leader died; one alone changes nothing and says so in time."""
    world.put("/f/x", "1")
    lost = world.leader()
    world.kill(lost)
    wait_until("two of three go on", lambda: _can_write(world, "2"), 10)
    start = time.monotonic()
    assert world.kv.range("/f/x", within=W).first
    world.kill(next(n for n in VOTERS if n != lost))
    start = time.monotonic()
    with pytest.raises(Unreachable):
        world.kv.range("/f/x", within=1)
    with pytest.raises(Unreachable):
        world.kv.txn([version_is("/f/x", 2)], [Put("/f/x", "3")], within=1)
    assert time.monotonic() - start < 2.5


def _can_write(world: World, value: str) -> bool:
    try:
        return world.kv.txn((), [Put("/f/x", value)], within=1, again=True).succeeded
    except Unreachable:
        return False


def test_a_frozen_member_costs_its_share_once_and_then_nothing(world: World) -> None:
    """The first endpoint hangs: a read goes to the next one, and the calls after it go there at once."""
    world.put("/z/x", "1")
    first = VOTERS[0]
    if world.leader() == first:
        world.kv.move_leader(world.member_id(VOTERS[1]), within=5)
    world.freeze(first)
    start = time.monotonic()
    assert world.kv.range("/z/x", within=1.5).first
    assert time.monotonic() - start < 1
    start = time.monotonic()
    for _ in range(5):
        assert world.kv.txn([present("/z/x")], [Put("/z/x", "2")], within=1.5).succeeded
    assert time.monotonic() - start < 0.5


def test_the_frozen_leader_is_left_behind(world: World) -> None:
    world.put("/f/x", "1")
    world.freeze(world.leader())
    wait_until("two of three go on", lambda: _can_write(world, "2"), 10)
    found = world.kv.range("/f/x", within=W).first
    assert found is not None
    assert found.value == "2"
    world.kv.grant(5, within=W)


def test_a_majority_frozen_is_told_in_time_and_a_change_may_have_been_made(world: World) -> None:
    world.put("/m/x", "1")
    for name in VOTERS[:2]:
        world.freeze(name)
    start = time.monotonic()
    for again in (False, True):
        with pytest.raises(MaybeDone):
            world.kv.txn((), [Put("/m/x", "2")], within=1, again=again)
    with pytest.raises(Unreachable) as failed:
        world.kv.range("/m/x", within=1)
    assert not isinstance(failed.value, MaybeDone)
    assert time.monotonic() - start < 3.5
