"""A rolling restart and a rejoin by hand: one step at a time, each recorded, the last one named."""

from __future__ import annotations

import dataclasses

import pytest

from hactl.act import node_recover, node_restart
from hactl.act.node_recover import Progress
from hactl.decide.restart import RestartArchive, RestartEtcd, RestartPostgres, RestartUnit, SwitchOver
from hactl.errors import StepFailed, Unreachable
from hactl.view.cluster import ClusterView
from tests.support.nodes import world
from tests.support.passing import Time
from tests.support.views import archive_lost, demo_spec, patroni_says, primary, standby

SPEC = demo_spec()


@pytest.fixture(autouse=True)
def at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("time.sleep", lambda _: None)


@pytest.fixture
def clock() -> Time:
    return Time()


class Hands:
    """What was done, in order; `views` are what each look sees, the last one for good."""

    def __init__(self, clock: Time, *views: ClusterView) -> None:
        self.views, self.clock = list(views) or [world()], clock
        self.done: list[str] = []
        self.records: list[tuple[str, str]] = []
        self.fails = ""

    def look(self) -> ClusterView:
        return self.views.pop(0) if len(self.views) > 1 else self.views[0]

    def _do(self, what: str) -> None:
        if what == self.fails:
            raise Unreachable("gone")
        self.done.append(what)

    def means(self) -> node_restart.Means:
        return node_restart.Means(
            look=self.look,
            postgres=lambda step: self._do(f"postgres {step.node}"),
            switch=lambda step: self._do(f"switch {step.to}"),
            archive=lambda node: self._do(f"archive {node}"),
            etcd=lambda node: self._do(f"etcd {node}"),
            unit=lambda _, unit: self._do(unit),
            begun=lambda step: self.records.append((str(step), "begun")),
            ended=lambda step, said: self.records.append((str(step), said)),
            clock=self.clock,
            say=lambda _: None,
        )


STEPS = (
    RestartPostgres("db2"),
    RestartArchive("arc1"),
    RestartUnit("wit1", "x.service"),
    RestartEtcd("wit1"),
)


def test_each_step_follows_the_other_and_is_recorded(clock: Time) -> None:
    hands = Hands(clock)
    node_restart.run(SPEC, STEPS, hands.means())
    assert hands.done == ["postgres db2", "archive arc1", "x.service", "etcd wit1"]
    assert [said for _, said in hands.records] == ["begun", ""] * 4


def test_it_stops_at_the_first_surprise_and_says_the_last_step(clock: Time) -> None:
    hands = Hands(clock)
    hands.fails = "x.service"
    with pytest.raises(StepFailed, match="gone") as failed:
        node_restart.run(SPEC, STEPS, hands.means())
    assert failed.value.last_done == str(RestartArchive("arc1"))
    assert hands.done == ["postgres db2", "archive arc1"]
    assert hands.records[-1][1] == "gone"


def test_whoever_interrupts_it_hears_the_last_step(clock: Time) -> None:
    hands, said = Hands(clock), list[str]()

    def interrupted(_: str) -> None:
        raise KeyboardInterrupt

    means = dataclasses.replace(hands.means(), archive=interrupted, say=said.append)
    with pytest.raises(KeyboardInterrupt):
        node_restart.run(SPEC, STEPS, means)
    assert said[-1].endswith(f"last step done: {STEPS[0]}")


def test_what_is_not_well_in_between_is_waited_for_and_then_ends_it(clock: Time) -> None:
    ill = world(archive_lost("arc2"))
    hands = Hands(clock, world(), world(), ill, ill, world())
    node_restart.run(SPEC, STEPS[:2], hands.means())
    assert hands.done == ["postgres db2", "archive arc1"]
    hands = Hands(clock, world(), world(), ill)
    with pytest.raises(StepFailed, match="NO_OTHER_ARCHIVE") as failed:
        node_restart.run(SPEC, STEPS[:2], hands.means())
    assert failed.value.last_done == str(RestartPostgres("db2"))


def test_the_first_steps_own_error_is_kept(clock: Time) -> None:
    hands = Hands(clock)
    hands.fails = "postgres db2"
    with pytest.raises(Unreachable):
        node_restart.run(SPEC, STEPS, hands.means())


def test_a_standby_that_does_not_come_back_ends_it(clock: Time) -> None:
    lost = world(patroni_says("db2", standby("db2", replication_state="", sync=False)))
    with pytest.raises(StepFailed, match="streams as before"):
        node_restart.run(SPEC, STEPS[:1], Hands(clock, world(), lost).means())
    node_restart.run(SPEC, STEPS[:1], Hands(clock, lost).means())


def test_a_switchover_starts_postgres_anew_or_it_is_done_after(clock: Time) -> None:
    step = (SwitchOver("db1", "db2"),)
    old, new = (world(patroni_says("db1", primary("db1", started=at))) for at in ("1", "2"))
    hands = Hands(clock, old, new)
    node_restart.run(SPEC, step, hands.means())
    assert hands.done == ["switch db2"]
    hands = Hands(clock, old)
    node_restart.run(SPEC, step, hands.means())
    assert hands.done == ["switch db2", "postgres db1"]


# rejoin, reinit


BEFORE = Progress("running", "1", streams=False)
BACK = Progress("running", "2", streams=True)


def following(clock: Time, *looks: Progress | Unreachable) -> node_recover.Means:
    left = list(looks)

    def look() -> Progress:
        found = left.pop(0) if len(left) > 1 else left[0]
        if isinstance(found, Unreachable):
            raise found
        return found

    return node_recover.Means(clock, look, BEFORE, lambda: "50 %", lambda _: None)


def test_it_follows_when_a_new_postgres_streams(clock: Time) -> None:
    old = dataclasses.replace(BACK, started="1")
    looks = (old, Unreachable("an election"), Progress("starting", "", streams=False), BACK)
    assert node_recover.follow("db2", following(clock, *looks), 300, 3600) > 0


def test_what_is_at_work_is_waited_for_longer(clock: Time) -> None:
    copying = Progress("creating replica", "", streams=False, joining="clone")
    looks = [copying] * 300 + [BACK]
    assert node_recover.follow("db2", following(clock, *looks), 60, 3600) > 100
    with pytest.raises(StepFailed, match="creating replica"):
        node_recover.follow("db2", following(clock, copying), 60, 600)


def test_nothing_at_work_is_not_waited_for_for_ever(clock: Time) -> None:
    with pytest.raises(StepFailed, match="start failed") as failed:
        node_recover.follow("db2", following(clock, Progress("start failed", "", streams=False)), 60, 3600)
    assert "controller" in failed.value.last_done
