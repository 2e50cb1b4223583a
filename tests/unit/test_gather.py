from __future__ import annotations

import dataclasses
import queue
import threading
import time
from collections.abc import Iterator

import pytest

from hactl.decide.health import Health, judge
from hactl.errors import StepFailed, Unreachable
from hactl.observe.gather import gather
from hactl.observe.race import Race
from hactl.ports import NodeLook, Ports
from hactl.view.model import PatroniCluster, PatroniSelf, Probe, State, Unknown
from hactl.view.preflight import NodePreflight
from tests.fakes.ports import FakeArchive, FakeNode, FakeVip, healthy_ports
from tests.support.views import demo_spec, healthy


@pytest.fixture
def never() -> Iterator[threading.Event]:
    """An event that comes only when the test is over, so that no thread of it lives on."""
    event = threading.Event()
    yield event
    event.set()


class SlowVip(FakeVip):
    def __init__(self, never: threading.Event) -> None:
        super().__init__("192.0.2.100", "db1")
        self.never = never

    def holder(self) -> str | None:
        self.never.wait(30)
        return super().holder()


class RaisingVip(FakeVip):
    def __init__(self, error: Exception) -> None:
        super().__init__("192.0.2.100", "db1")
        self.error = error

    def holder(self) -> str | None:
        raise self.error


def with_vip(vip: FakeVip) -> Ports:
    ports = healthy_ports()
    return dataclasses.replace(ports, vips={**ports.vips, "database": vip})


def test_a_healthy_installation_is_seen_as_healthy() -> None:
    assert judge(demo_spec(), gather(healthy_ports())).health is Health.HEALTHY


def test_levels_that_only_an_agent_can_measure_are_unknown() -> None:
    archive = gather(healthy_ports()).archives["arc1"]
    assert [archive.level(n).state for n in ("L2", "L3", "L4")] == [State.OK, State.UNKNOWN, State.UNKNOWN]


def test_a_slow_source_is_unknown_and_delays_nobody(never: threading.Event) -> None:
    start = time.monotonic()
    view = gather(with_vip(SlowVip(never)), within=0.2)
    assert time.monotonic() - start < 1
    assert view.vips["database"].holder == Unknown("no answer in time")
    assert isinstance(view.patroni["db1"].itself, PatroniSelf)


def test_an_answer_that_comes_too_late_changes_nothing(never: threading.Event) -> None:
    race = Race(healthy_ports().clock, 0.0)
    pending = race.ask("late", lambda: never.wait(5))
    race.finish()
    never.set()
    assert pending._done.wait(5)
    assert pending.value == Unknown("no answer in time")


@pytest.mark.parametrize("error", [Unreachable("no route to host"), StepFailed("refused")])
def test_a_source_that_fails_is_unknown_with_its_reason(error: Exception) -> None:
    assert gather(with_vip(RaisingVip(error))).vips["database"].holder == Unknown(str(error))


def test_a_bug_in_one_source_leaves_the_others(monkeypatch: pytest.MonkeyPatch) -> None:
    tracebacks: queue.Queue[type[BaseException]] = queue.Queue()
    monkeypatch.setattr(threading, "excepthook", lambda args: tracebacks.put(args.exc_type))
    view = gather(with_vip(RaisingVip(KeyError("oops"))))
    assert tracebacks.get(timeout=5) is KeyError
    assert isinstance(view.vips["database"].holder, Unknown)
    assert "hactl itself failed" in view.vips["database"].holder.why
    assert isinstance(view.patroni["db2"].cluster, PatroniCluster)


def test_a_late_probe_is_unknown_and_not_failed(never: threading.Event) -> None:
    class Hanging(FakeArchive):
        def index(self) -> Probe:
            never.wait(30)
            return Probe(State.OK)

    ports = healthy_ports()
    view = gather(dataclasses.replace(ports, archives={"arc1": Hanging()}), within=0.1)
    assert view.archives["arc1"].level("L2") == Probe(State.UNKNOWN, "no answer in time")


def test_the_dynamic_configuration_is_asked_for_by_the_doctor_only() -> None:
    ports = healthy_ports()
    facts, preflight = healthy().facts["db1"], NodePreflight()
    assert not isinstance(facts, Unknown)
    assert isinstance(gather(ports).patroni["db1"].config, Unknown)
    view = gather(
        dataclasses.replace(ports, config=True, examined={"db1": FakeNode(NodeLook(facts, preflight))})
    )
    assert view.patroni["db1"].config == {}
    assert (view.facts, view.preflight, view.servers, view.files) == (
        {"db1": facts},
        {"db1": preflight},
        {},
        {},
    )


def test_a_node_without_a_login_told_nothing_of_all_that_it_was_asked() -> None:
    class Locked:
        def look(self) -> NodeLook:
            raise Unreachable("hactl@192.0.2.11 refuses hactl's key")

    view = gather(dataclasses.replace(healthy_ports(), examined={"db1": Locked(), "wit1": Locked()}))
    why = Unknown("hactl@192.0.2.11 refuses hactl's key")
    assert view.facts == view.preflight == view.files == {"db1": why, "wit1": why}
    assert view.servers == {"db1": why}, "the witness has no PostgreSQL"


def test_whoever_waits_is_told_for_whom() -> None:
    told: list[list[str]] = []
    gather(healthy_ports(), waiting=told.append)

    class Slow:
        def look(self) -> NodeLook:
            threading.Event().wait(0.3)
            return NodeLook(Unknown("x"), Unknown("x"))

    told.clear()
    gather(dataclasses.replace(healthy_ports(), examined={"db1": Slow()}), waiting=told.append)
    assert told[-1] == ["look db1"]
