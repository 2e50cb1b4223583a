"""A failover by hand on an etcd in memory: fenced, proved, released; and as a person types it."""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Callable
from typing import Any

import pytest

from hactl.act import forced, node_fence
from hactl.act.forced_incident import Story
from hactl.act.maintenance import Operator
from hactl.cli import failover, failover_by_hand
from hactl.cli import node_fence as cli_fence
from hactl.cli import operator as by_hand
from hactl.cli.app import main
from hactl.cli.history import incident_row
from hactl.errors import Refused, StepFailed
from hactl.metrics.tally import Tally
from hactl.view.control import Dcs, FenceIntent, Leader, ProofKind
from hactl.view.history import incidents
from hactl.view.incident import Incident, Phase
from hactl.view.journal import Kind, Record, parse_record, sealed, text_of
from hactl.view.keys import Keys
from hactl.view.parse.control import parse_look
from tests.fakes.etcd import FakeClock, FakeEtcd
from tests.support.keysview import sync
from tests.support.nodes import world
from tests.support.views import SAMPLE, demo_spec, patroni_lost

Out = pytest.CaptureFixture[str]
KEYS = Keys("demo")
SWITCH = KEYS.switchover


class Time(FakeClock):
    """Goes on by being looked at: what waits comes to its end."""

    def monotonic(self) -> float:
        self.now += 0.1
        return self.now

    def boottime(self) -> float:
        return self.now


class Device:
    def __init__(self, *, works: bool = True) -> None:
        self.now, self.works, self.asked = "on", works, 0

    def power(self, *, within: float) -> str:
        del within
        return self.now

    def switch_off(self, *, within: float, may: Callable[[], bool] = lambda: True) -> str:
        del within, may
        self.asked += 1
        self.now = "off" if self.works else self.now
        return "done"

    def switch_on(self, *, within: float) -> str:
        del within
        return "done"


class Place:
    """db1 leads; what its agent and Patroni on db2 do is the test's."""

    def __init__(self) -> None:
        self.clock = Time()
        self.etcd = FakeEtcd(self.clock)
        self.etcd.put(KEYS.leader, "db1", self.etcd.grant(3600))
        self.etcd.put(KEYS.epoch, "4")
        head = sealed(Record(1, "2026-01-01T00:00:00.000+00:00", 1, "b", "wit1", "c", Kind.EVENT, "began"))
        self.etcd.put(KEYS.journal(1), text_of(head))
        self.kv = self.etcd.client()
        self.operator = Operator(self.kv, KEYS, self.clock, "operator anna", "desk")
        self.device: Device | None = None
        self.serves, self.obeys, self.promotes = False, True, True
        self.said: list[str] = []
        self.view = world(patroni_lost("db1"), dcs=(sync(),))
        self.story = Story(self.operator, Incident("by-hand-5", "failover", "db1", "db2", 5, automatic=False))

    def dcs(self) -> Dcs:
        return parse_look(KEYS, self.kv.ranges(KEYS.look(), within=1))

    def say(self, text: str) -> None:
        self.said.append(text)
        if "the fence stands" in text and self.obeys:
            self.etcd.put(KEYS.fenced("db1"), json.dumps({"epoch": 5, "postgres": "stopped", "boot": "b"}))
        if "leader key is free" in text and self.promotes:
            self.etcd.put(KEYS.leader, "db2", self.etcd.grant(3600))

    def leased(self) -> None:
        self.etcd.put(KEYS.mode("db1"), "leased")
        self.etcd.put(KEYS.alive("db1"), "{}")

    def means(self) -> forced.Means:
        return forced.Means(
            self.operator, demo_spec(), self.device, self.dcs, lambda: self.serves, self.say, self.story
        )

    def intent(self, *, led: bool = True) -> FenceIntent:
        held = self.etcd.pairs[KEYS.leader]
        leader = Leader("db1", held.lease, held.mod_revision) if led else Leader("db1", 0, 0)
        return FenceIntent("db1", 5, "by-hand-5", "anna", leader, "why")

    def go(self, intent: FenceIntent | None = None, **how: Any) -> forced.Taken:
        usual: dict[str, Any] = {"named": False, "others": ["db2"], "stands": False, **how}
        return forced.take_over(intent or self.intent(), "db2", self.means(), **usual)


@pytest.fixture
def place(monkeypatch: pytest.MonkeyPatch) -> Place:
    monkeypatch.setattr("time.sleep", lambda _: None)
    return Place()


def test_the_agents_word_then_the_release(place: Place) -> None:
    found = place.go()
    assert (found.kind, place.etcd.value(KEYS.leader)) == (ProofKind.SELF_FENCED, "db2")
    assert place.etcd.value(SWITCH) is None, "Patroni chooses a synchronous standby by itself"
    assert place.etcd.value(KEYS.epoch) == "5"


def test_patroni_is_told_whom_it_would_not_choose_in_the_same_transaction(place: Place) -> None:
    place.etcd.put(SWITCH, "{}")
    place.go(named=True)
    assert json.loads(place.etcd.value(SWITCH) or "") == {"member": "db2"}


def test_a_silent_node_is_proved_by_its_leases_end(place: Place) -> None:
    place.obeys = False
    place.leased()
    began = place.clock.now
    found = place.go()
    assert found.kind is ProofKind.LEASE_EXPIRED
    assert place.clock.now - began > demo_spec().fencing.lease.value + 0.3


def test_a_leases_end_proves_nothing_of_whom_still_answers(place: Place) -> None:
    place.obeys, place.serves = False, True
    place.leased()
    with pytest.raises(StepFailed, match="yet its Patroni says that it is the primary") as failed:
        place.go()
    assert place.etcd.value(KEYS.leader) == "db1", "nothing is released"
    assert "it goes on from here" in failed.value.hint


def test_without_any_proof_nothing_is_released_and_the_power_is_the_last_word(place: Place) -> None:
    place.obeys = False
    with pytest.raises(StepFailed, match="nothing proves that db1 is silent"):
        place.go()
    assert place.etcd.value(KEYS.leader) == "db1"
    place.device = Device(works=False)
    standing = place.dcs().fences["db1"]
    with pytest.raises(StepFailed, match="does not say that it is off"):
        place.go(standing, stands=True)
    assert place.etcd.value(KEYS.leader) == "db1"
    place.device = Device()
    assert place.go(standing, stands=True).kind is ProofKind.POWER_OFF


def test_where_nobody_leads(place: Place) -> None:
    intent = place.intent(led=False)
    with pytest.raises(Refused):
        place.go(intent, named=True)
    place.etcd.delete(KEYS.leader)
    place.go(intent, named=True)
    assert place.etcd.value(KEYS.leader) == "db2"


def test_a_promotion_that_does_not_come_must_not_come_later(place: Place) -> None:
    place.promotes = False
    with pytest.raises(StepFailed, match="db2 has not taken over"):
        place.go(named=True)
    assert place.etcd.value(SWITCH) is None
    assert place.etcd.value(KEYS.fence("db1")), "the fence stays"


def test_a_controller_that_was_faster_wins(place: Place) -> None:
    intent = place.intent()
    place.etcd.put(KEYS.incident, "{}")
    with pytest.raises(Refused):
        place.go(intent)
    assert place.etcd.value(KEYS.fence("db1")) is None


def test_a_fence_that_somebody_takes_back_ends_it(place: Place) -> None:
    place.obeys = False
    place.leased()
    looks = iter(range(3))
    dcs = place.dcs

    def taken_back() -> Dcs:
        if next(looks, None) is None:
            place.etcd.delete(KEYS.fence("db1"))
        return dcs()

    place.dcs = taken_back  # type: ignore[method-assign]
    with pytest.raises(StepFailed, match="not ours any more"):
        place.go()
    assert place.etcd.value(KEYS.leader) == "db1"


# as typed


@pytest.fixture
def desk(place: Place, monkeypatch: pytest.MonkeyPatch) -> Place:
    held = place.etcd.pairs[KEYS.leader]
    set_leader(place, Leader("db1", held.lease, held.mod_revision))
    monkeypatch.setattr(by_hand, "look", lambda *_: place.view)
    monkeypatch.setattr(by_hand, "operator", lambda _: place.operator)
    monkeypatch.setattr(failover_by_hand, "means_of", lambda _, who, __, story: dataclasses.replace(
        place.means(), operator=who, story=story))  # fmt: skip
    monkeypatch.setattr(failover_by_hand, "_commit", lambda *_: True)
    monkeypatch.setattr(cli_fence, "device_of", lambda *_: None)
    return place


def set_leader(place: Place, leader: Leader) -> None:
    view = place.view
    assert isinstance(view.control, Dcs)
    dcs = dataclasses.replace(view.control, patroni=dataclasses.replace(view.control.patroni, leader=leader))
    place.view = dataclasses.replace(
        view, control=dcs, etcd={n: dataclasses.replace(e, keys=dcs) for n, e in view.etcd.items()}
    )


def call(*words: str) -> int:
    with pytest.raises(SystemExit) as caught:
        main(["--spec", str(SAMPLE), "failover", *words])
    return int(caught.value.code or 0)


def journal(place: Place) -> list[Record]:
    found = (place.etcd.value(KEYS.journal(n)) for n in range(2, 40))
    return [parse_record(text) for text in found if text is not None]


def test_it_is_refused_with_what_can_be_overruled_and_what_cannot(desk: Place, capsys: Out) -> None:
    assert call("--to", "db2", "--yes") == 3
    said = capsys.readouterr().err
    assert "NOT_IN_SYNC" in said
    assert "--force overrules it" in said
    assert call("--to", "db2", "--yes", "--force") == 2, "without a reason"
    assert call("--to", "arc1", "--yes") == 2
    assert journal(desk) == []


def test_forced_it_says_what_was_overruled_in_the_journal(desk: Place, capsys: Out) -> None:
    assert call("--to", "db2", "--yes", "--force", "--reason", "rack burns") == 0
    said = capsys.readouterr()
    assert "db2 is the primary after" in said.out
    assert "acknowledged commits may be lost" in said.err
    first, *between, last = journal(desk)
    assert {r.incident for r in between} == {"by-hand-5"}
    assert (first.action, last.action) == ("failover-by-hand", "failover-by-hand-ended")
    assert first.data["overruled"] == ["NOT_IN_SYNC"]
    assert first.data["reason"] == "rack burns"
    assert last.data["ok"] is True
    assert last.data["readmitted"] is True
    assert desk.etcd.value(KEYS.fence("db1")) is None
    assert desk.etcd.value(KEYS.operation) is None


def test_it_is_an_incident_with_a_timeline(desk: Place, capsys: Out) -> None:
    assert call("--to", "db2", "--yes", "--force", "--reason", "rack burns") == 0
    assert "hactl incident show by-hand-5" in capsys.readouterr().out
    (found,) = incidents(journal(desk))
    assert (found.id, found.victim, found.standby, found.automatic) == ("by-hand-5", "db1", "db2", False)
    assert [s.phase for s in found.stamps] == [
        Phase.INTENT, Phase.PROOF, Phase.RELEASED, Phase.PROMOTED, Phase.FIRST_COMMIT,
    ]  # fmt: skip
    assert all(s.evidence and s.by == "desk" for s in found.stamps)
    times = [s.mono_ms for s in found.stamps]
    assert times == sorted(times)
    assert found.outcome == "db2 is primary; db1 may take part again"
    assert found.details["overruled"] == "NOT_IN_SYNC"
    assert (found.details["by"], found.details["reason"]) == ("operator anna", "rack burns")
    row = incident_row(found)
    assert (row["open"], row["took_until"], row["took_seconds"] > 0) == (False, "first-commit", True)


def test_it_counts_as_a_failover_that_was_asked_for(desk: Place) -> None:
    assert call("--to", "db2", "--yes", "--force", "--reason", "x") == 0
    tally = Tally(("db1", "db2"))
    tally.add(journal(desk))
    totals, _, last = tally.read()
    assert totals is not None
    assert (totals.failovers, totals.fences) == ({"lost": 0, "grey": 0, "asked": 1}, {"db1": 1, "db2": 0})
    assert last is not None
    assert last.reached(Phase.FIRST_COMMIT)


def test_one_that_does_not_get_there_says_so_and_counts_when_it_does(
    desk: Place, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(node_fence, "TAKEN", 2.0)
    desk.promotes = False
    assert call("--to", "db2", "--yes", "--force", "--reason", "x") == 5
    (found,) = incidents(journal(desk))
    assert found.outcome.startswith("not ended: db2 has not taken over")
    assert found.reached(Phase.RELEASED)
    assert found.reached(Phase.FIRST_COMMIT) is None
    tally = Tally(("db1", "db2"))
    tally.add(journal(desk))
    totals, _, _ = tally.read()
    assert totals is not None
    assert (totals.failovers["asked"], totals.fences["db1"]) == (0, 1)


def test_where_nothing_was_begun_there_is_no_incident(desk: Place) -> None:
    desk.etcd.put(KEYS.incident, "{}")
    assert call("--to", "db2", "--yes", "--force", "--reason", "x") == 3
    assert incidents(journal(desk)) == ()


def test_a_journal_that_cannot_be_written_stops_no_failover(place: Place) -> None:
    place.etcd.delete(KEYS.journal(1))
    assert place.go().kind is ProofKind.SELF_FENCED
    assert place.story.incident.reached(Phase.PROMOTED)


def test_it_may_stay_fenced(desk: Place, capsys: Out) -> None:
    assert call("--to", "db2", "--yes", "--force", "--reason", "x", "--keep-fenced", "-o", "json") == 0
    told = json.loads(capsys.readouterr().out)
    assert (told["readmitted"], told["proof_kind"], told["done"]) == (False, "self-fenced", True)
    assert desk.etcd.value(KEYS.fence("db1"))


def test_a_dry_run_shows_all_and_does_nothing(desk: Place, capsys: Out) -> None:
    assert call("--to", "db2", "--dry-run", "-o", "json") == 0
    told = json.loads(capsys.readouterr().out)
    assert told["done"] is False
    assert [(v["code"], v["kind"]) for v in told["vetoes"]] == [("NOT_IN_SYNC", "soft")]
    assert told["loss"]["nothing"] is False
    assert call("--to", "db2", "--dry-run") == 0
    assert "refused without --force:" in capsys.readouterr().out
    assert desk.etcd.value(KEYS.fence("db1")) is None


@pytest.mark.usefixtures("desk")
def test_whoever_is_asked_types_the_clusters_name(monkeypatch: pytest.MonkeyPatch, capsys: Out) -> None:
    words = ("--to", "db2", "--force", "--reason", "x")
    assert call(*words) == 3, "nobody is here to be asked"
    monkeypatch.setattr("sys.stdin.isatty", lambda: True)
    monkeypatch.setattr("click.prompt", lambda _: "yes")
    assert call(*words) == 3
    assert "that is not demo" in capsys.readouterr().err
    monkeypatch.setattr("click.prompt", lambda _: "demo")
    assert call(*words) == 0
    assert node_fence.OWN_WORD == 20


def test_what_changes_meanwhile_is_not_what_was_agreed_to(
    desk: Place, monkeypatch: pytest.MonkeyPatch
) -> None:
    def changed(*_: Any, **__: Any) -> None:
        view = desk.view
        assert isinstance(view.control, Dcs)
        leader = view.control.patroni.leader
        assert leader is not None
        set_leader(desk, dataclasses.replace(leader, mod_revision=999))

    monkeypatch.setattr(failover_by_hand, "_meant", changed)
    assert call("--to", "db2", "--force", "--reason", "x", "--yes") == 3
    assert desk.etcd.value(KEYS.fence("db1")) is None


def test_without_a_node_it_says_what_to_type(capsys: Out) -> None:
    assert call() == 2
    assert "hactl failover --to NODE --dry-run" in capsys.readouterr().err


def test_explained_for_a_node_it_prints_one_document(
    desk: Place, monkeypatch: pytest.MonkeyPatch, capsys: Out
) -> None:
    asked: list[bool] = []
    monkeypatch.setattr(failover, "_explain", lambda *_: asked.append(True))
    assert call("--to", "db2", "--explain", "-o", "json") == 0
    assert json.loads(capsys.readouterr().out)["done"] is False
    assert asked == []
    assert call("--to", "db2", "--explain") == 0
    assert asked == [True]
    assert desk.etcd.value(KEYS.fence("db1")) is None
