"""`hactl archive list · check · drain · undrain · restart`, `hactl node ok-to-stop`: a look from memory."""

from __future__ import annotations

import json
from typing import Any

import pytest

from hactl.act import archive_turn
from hactl.act.maintenance import Operator
from hactl.cli import archive_drain, archive_restart
from hactl.cli import operator as by_hand
from hactl.cli.app import main
from hactl.view.archive import ArchiveFacts, Drain, DrainBy
from hactl.view.journal import Kind, Record, sealed, text_of
from hactl.view.keys import Keys
from hactl.view.model import Probe, State
from hactl.view.parse.agent_facts import facts_text
from tests.fakes.etcd import FakeClock, FakeEtcd
from tests.support.views import SAMPLE, after, agent, archive, keys

Out = pytest.CaptureFixture[str]
WELL = Probe(State.OK)
KEYS = Keys("demo")
VIP = "192.0.2.101"


def reported(node: str, **changes: Any) -> Any:
    facts = {"storage": WELL, "archive": ArchiveFacts(room=WELL, write=WELL), "vips": ()}
    return agent(node, **{**facts, **changes})


class Site:
    """etcd, and what a look at the installation shows. arc1's agent obeys when the clock is asked."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.etcd = FakeEtcd(FakeClock())
        self.kv = self.etcd.client()
        self.facts = {n: agent(n) for n in ("db1", "db2", "wit1")}
        self.facts["arc2"] = reported("arc2")
        self.facts["arc1"] = reported("arc1", vips=(VIP,))
        self.dcs: dict[str, Any] = {}
        self.levels: dict[str, Probe] = {}
        wall = "2026-01-01T00:00:00.000+00:00"
        head = sealed(Record(1, wall, 1, "b", "wit1", "controller", Kind.EVENT, "began"))
        self.etcd.put(KEYS.journal(1), text_of(head))
        self.orders: list[str] = []
        self.at_work: set[str] = set()  # orders that its agent has not answered, or has before
        monkeypatch.setattr(by_hand, "look", lambda *_: self.look())
        asks = Operator(self.kv, KEYS, self, "operator anna", "desk")
        monkeypatch.setattr(by_hand, "operator", lambda _: asks)
        monkeypatch.setattr(archive_restart, "reaches_its_index", lambda *_: True)

    def look(self) -> Any:
        view = after(keys(facts=self.facts, **self.dcs))
        return archive("arc2", **self.levels)(view)

    def wall(self) -> float:
        return 1_700_000_000.0

    def monotonic(self) -> float:
        self.etcd.clock.forward(0.5)  # type: ignore[attr-defined]
        drained = KEYS.archive_drain("arc1") in self.etcd.pairs
        own = ArchiveFacts(room=WELL, write=WELL, out=drained)
        facts = reported("arc1", archive=own, vips=() if drained else (VIP,))
        self.etcd.put(KEYS.facts("arc1"), facts_text(facts))
        order = self.etcd.pairs.get(KEYS.order("arc1"))
        found = json.loads(order.value) if order else {}
        if found and found["id"] not in self.at_work:
            self.orders.append(f"{found['verb']} {found['unit']}")
            self.etcd.put(KEYS.done("arc1"), json.dumps({"id": found["id"], "ok": True, "said": "done"}))
        return self.etcd.clock()

    def journal(self) -> list[str]:
        ours = sorted(key for key in self.etcd.pairs if key.startswith(KEYS.journal_prefix))
        records = [json.loads(self.etcd.pairs[key].value) for key in ours]
        return [r["action"] for r in records[1:]]


@pytest.fixture
def site(monkeypatch: pytest.MonkeyPatch) -> Site:
    return Site(monkeypatch)


def call(*argv: str) -> int:
    with pytest.raises(SystemExit) as ended:
        main(["--spec", str(SAMPLE), *argv])
    return int(ended.value.code or 0)


def test_the_list_says_who_holds_what_and_why(site: Site, capsys: Out) -> None:
    site.dcs = {"drains": {"arc2": Drain("arc2", DrainBy.OPERATOR, "new disk")}}
    assert call("archive", "list") == 0
    said = capsys.readouterr().out
    assert f"archive VIP {VIP}: arc1" in said
    assert "drained by operator: new disk" in said
    assert call("-o", "json", "archive", "list") == 0
    data = json.loads(capsys.readouterr().out)
    assert [n["name"] for n in data["nodes"]] == ["arc1", "arc2"]
    assert data["nodes"][0]["holds_vip"] is True
    assert data["nodes"][0]["levels"]["L2"] == "ok"


def test_a_check_fails_with_a_level(site: Site, capsys: Out) -> None:
    assert call("archive", "check", "arc1") == 0
    site.levels = {"L2": Probe(State.FAILED, "no answer within 2 s")}
    assert call("archive", "check") == 7
    assert "no answer within 2 s" in capsys.readouterr().out
    assert call("archive", "check", "arc1") == 0
    assert call("archive", "check", "db1") == 2


def test_a_drain_is_asked_for_noted_and_waited_for(site: Site, capsys: Out) -> None:
    assert call("archive", "drain", "arc1", "--yes", "--reason", "new disk", "--within", "5") == 0
    assert "arc1 is drained" in capsys.readouterr().out
    assert json.loads(site.etcd.pairs[KEYS.archive_drain("arc1")].value)["why"] == "new disk"
    assert site.journal() == ["archive-drain", "archive-drain-done"]
    assert call("archive", "undrain", "arc1") == 0
    assert "may hold the archive VIP again" in capsys.readouterr().out
    assert KEYS.archive_drain("arc1") not in site.etcd.pairs
    assert site.journal()[2:] == ["archive-undrain", "archive-undrain-done"]


def test_what_stands_against_it_is_said_and_nothing_is_done(site: Site, capsys: Out) -> None:
    site.levels = {"L0": Probe(State.FAILED, "no connection")}
    assert call("archive", "drain", "arc1", "--yes") == 3
    assert (
        "NO_OTHER_ARCHIVE: no other archive node can take over [arc2: L0 is failed" in capsys.readouterr().err
    )
    assert call("archive", "drain", "arc1", "--dry-run") == 0
    assert "would not be drained" in capsys.readouterr().out
    assert site.journal() == []
    assert call("archive", "drain", "arc1", "--yes", "--force") == 0


def test_nobody_to_ask_means_no(site: Site, capsys: Out) -> None:
    assert call("archive", "drain", "arc1") == 3
    assert "--yes" in capsys.readouterr().err
    assert site.journal() == []


@pytest.mark.usefixtures("site")
def test_an_agent_that_does_not_obey_is_told(monkeypatch: pytest.MonkeyPatch, capsys: Out) -> None:
    monkeypatch.setattr(archive_turn, "is_out", lambda *_: False)
    monkeypatch.setattr(archive_drain, "SLACK", 0.0)
    assert call("archive", "drain", "arc1", "--yes", "--within", "1") == 5
    assert "the drain stands in etcd" in capsys.readouterr().err


def test_a_restart_drains_before_and_lets_in_after(site: Site, capsys: Out) -> None:
    assert call("archive", "restart", "arc1", "--dry-run") == 0
    assert capsys.readouterr().out == "arc1: drain arc1, restart orthanc.service, undrain arc1\n"
    assert call("archive", "restart", "arc1", "--yes") == 0
    assert set(site.orders) == {"restart orthanc.service"}
    restarted = ["archive-restart", "archive-restart-ended"]
    assert site.journal() == ["archive-drain", "archive-drain-done", *restarted]
    assert KEYS.archive_drain("arc1") not in site.etcd.pairs


def test_a_drained_node_is_restarted_and_stays_drained(site: Site, capsys: Out) -> None:
    site.dcs = {"drains": {"arc1": Drain("arc1", DrainBy.OPERATOR, "x")}}
    assert call("archive", "restart", "arc1", "--yes") == 0
    assert capsys.readouterr().out == "arc1: restart orthanc.service\n"
    assert site.journal() == ["archive-restart", "archive-restart-ended"]


def test_a_restart_that_cannot_begin_leaves_nothing_drained(site: Site, capsys: Out) -> None:
    """Its agent is at a reconcile, say."""
    site.at_work.add("x")
    site.etcd.put(KEYS.order("arc1"), json.dumps({"id": "x", "verb": "reconcile", "unit": ""}))
    assert call("archive", "restart", "arc1", "--yes") == 3
    assert "has an order to do already" in capsys.readouterr().err
    assert KEYS.archive_drain("arc1") not in site.etcd.pairs


def test_an_order_that_was_answered_holds_nobody_up(site: Site) -> None:
    """A controller's stays until its lease ends, a minute after the answer."""
    site.at_work.add("x")
    site.etcd.put(KEYS.order("arc1"), json.dumps({"id": "x", "verb": "reconcile", "unit": ""}))
    site.etcd.put(KEYS.done("arc1"), json.dumps({"id": "x", "ok": True, "said": "nothing to do"}))
    assert call("archive", "restart", "arc1", "--yes") == 0
    assert set(site.orders) == {"restart orthanc.service"}


@pytest.mark.usefixtures("site")
def test_may_a_node_be_stopped(capsys: Out) -> None:
    assert call("node", "ok-to-stop", "arc2") == 0
    assert call("node", "ok-to-stop", "arc1") == 3
    assert "HOLDS_VIP" in capsys.readouterr().err
    assert call("-o", "json", "node", "ok-to-stop", "db1") == 3
    data = json.loads(capsys.readouterr().out)
    assert (data["ok"], [v["code"] for v in data["vetoes"]]) == (False, ["IS_PRIMARY"])
    assert call("node", "ok-to-stop", "nobody") == 2
