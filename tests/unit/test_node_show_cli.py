"""`hactl node list · show · logs` and `hactl vip list`: a look from memory, a dispatcher that stands in."""

from __future__ import annotations

import json
import threading
from collections.abc import Callable
from typing import Any

import pytest

import hactl.wiring
from hactl.cli import node_show
from hactl.cli import operator as by_hand
from hactl.cli.app import main
from hactl.decide.vip_shown import against
from hactl.units import Bytes
from hactl.view.archive import ArchiveMark, ArchiveState, Drain, DrainBy
from hactl.view.control import Order, OrderDone
from hactl.view.model import Disk, NodeFacts, Unknown
from hactl.view.mute import Mute
from tests.support.snapshots import fence
from tests.support.views import SAMPLE, after, agent, demo_spec, etcd_without_quorum, host_lost, keys, look

Out = pytest.CaptureFixture[str]
MACHINE = NodeFacts(
    ("127.0.0.1", "192.0.2.11"), {"etcd.service": "active", "patroni.service": "failed"},
    (Disk("/", Bytes.mib(100), Bytes.mib(1000)),), -0.25, {"debian": "12.5"},
)  # fmt: skip


class Eyes:
    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.view: Any = after()
        self.machine: NodeFacts | Unknown = MACHINE
        self.asked: list[str] = []
        monkeypatch.setattr(by_hand, "look", lambda *_: self.view)
        monkeypatch.setattr(node_show, "_machine", lambda *_: self.machine)
        monkeypatch.setattr(hactl.wiring, "dispatchers", lambda *_: {"db1": self})

    def ask(self, sentence: str, *, within: float) -> bytes:
        assert within > 0
        self.asked.append(sentence)
        return b"a line\n"

    def follow(self, sentence: str, say: Callable[[str], None], stop: threading.Event) -> None:
        self.asked.append(sentence)
        say("a line\n")
        assert not stop.is_set()
        raise KeyboardInterrupt


@pytest.fixture
def eyes(monkeypatch: pytest.MonkeyPatch) -> Eyes:
    return Eyes(monkeypatch)


def call(*words: str) -> int:
    with pytest.raises(SystemExit) as caught:
        main(["--spec", str(SAMPLE), *words])
    return int(caught.value.code or 0)


def data(capsys: Out, *words: str) -> Any:
    assert call(*words, "-o", "json") == 0
    return json.loads(capsys.readouterr().out)


def test_all_nodes_in_a_table(eyes: Eyes, capsys: Out) -> None:
    eyes.view = after(keys(fences={"db2": fence("db2")}), host_lost("arc2"))
    assert call("node", "list") == 0
    lines = {line.split()[0]: line for line in capsys.readouterr().out.splitlines()}
    assert "primary" in lines["db1"]
    assert "database" in lines["db1"]
    assert "FENCED" in lines["db2"]
    assert "leads etcd, controls" in lines["wit1"]
    assert "no " in lines["arc2"]
    rows = {row["name"]: row for row in data(capsys, "node", "list")["nodes"]}
    assert rows["db1"]["vips"] == ["database"]
    assert rows["arc1"]["doing"] == ["archive healthy"]
    assert (rows["arc2"]["reachable"], rows["db2"]["fenced"]) == (False, True)


def test_all_that_is_known_of_one_node(eyes: Eyes, capsys: Out) -> None:
    eyes.view = after(
        keys(
            fences={"db1": fence("db1")},
            orders={"db1": Order("db1", "7", "restart", "etcd.service")},
            done={"db1": OrderDone("db1", "7", ok=False, said="masked")},
            budget={("db1", "rejoin"): 2, ("db2", "rejoin"): 1},
            mutes=(Mute("FENCED", "db1", "anna", "", "error", 1),),
        )
    )
    assert call("node", "show", "db1") == 0
    said = capsys.readouterr().out
    for part in (
        "db1: primary", "192.0.2.11", "FENCED      incident", "restart etcd.service: failed (masked)",
        "rejoin 2", "muted       FENCED", "lease       leased 2.4 s", "failed: patroni", "12.5",
        "-0.250 s against this machine", "100.0 MiB free of 1000.0 MiB",
    ):  # fmt: skip
        assert part in said
    found = data(capsys, "node", "show", "db1")
    assert found["budget"] == {"rejoin": 2}
    assert found["archive"] is None
    assert found["machine"]["units"]["patroni.service"] == "failed"


def test_an_archive_node_and_a_witness(eyes: Eyes, capsys: Out) -> None:
    drain = Drain("arc1", DrainBy.OPERATOR, "new disk", "2026-11-22T18:00:00")
    eyes.view = after(keys(drains={"arc1": drain}))
    assert call("node", "show", "arc1") == 0
    said = capsys.readouterr().out
    assert "DRAINED     by operator since 2026-11-22T18:00:00 (new disk)" in said
    assert "L3: later" in said
    assert data(capsys, "node", "show", "wit1")["etcd"]["leader"] is True


@pytest.mark.parametrize("node", list(demo_spec().nodes))
def test_nothing_answers_and_all_of_it_is_said(eyes: Eyes, node: str, capsys: Out) -> None:
    lost = after(*(host_lost(name) for name in demo_spec().nodes), etcd_without_quorum())
    eyes.view = lost
    eyes.machine = Unknown("no connection within 1 s")
    assert call("node", "show", node) == 0
    assert "not asked over SSH: no connection within 1 s" in capsys.readouterr().out
    assert call("node", "list") == 0
    assert call("vip", "list") == 0


def test_the_virtual_ips(eyes: Eyes, capsys: Out) -> None:
    eyes.view = after(keys(drains={"arc2": Drain("arc2", DrainBy.LADDER, "hung")}))
    assert call("vip", "list") == 0
    lines = capsys.readouterr().out.splitlines()
    assert "192.0.2.100" in lines[1]
    assert "db2: it does not lead" in lines[1]
    assert "arc2: drained by ladder" in lines[2]
    found = data(capsys, "vip", "list")["vips"]
    assert [(v["name"], v["holder"], v["on"]) for v in found] == [
        ("database", "db1", ["db1"]), ("archive", "arc1", ["arc1"]),
    ]  # fmt: skip


@pytest.mark.parametrize(
    ("vip", "node", "view", "why"),
    [
        ("database", "db1", after(), ""),
        ("database", "db2", after(), "it does not lead"),
        ("database", "db1", after(keys(fences={"db1": fence("db1")})), "fenced"),
        ("archive", "arc1", after(), ""),
        ("archive", "arc2", after(host_lost("arc2")), "not reachable"),
        (
            "archive", "arc1",
            after(keys(archive_states={"arc1": ArchiveMark(ArchiveState.FAILED, "L2")})), "it is failed",
        ),
    ],
)  # fmt: skip
def test_why_a_node_must_not_have_it(vip: str, node: str, view: Any, why: str) -> None:
    assert against(demo_spec(), view, vip, node) == why


def test_logs_of_the_main_unit_and_of_another(eyes: Eyes, capsys: Out) -> None:
    assert call("node", "logs", "db1") == 0
    assert call("node", "logs", "db1", "--unit", "etcd", "--lines", "7") == 0
    assert call("node", "logs", "db1", "--unit", "hactl-agent.service", "--follow") == 0
    assert eyes.asked == ["logs patroni.service 50", "logs etcd.service 7", "follow hactl-agent.service 50"]
    assert capsys.readouterr().out == "a line\n" * 3
    assert call("node", "logs", "arc1", "--unit", "list") == 0
    assert capsys.readouterr().out.startswith("orthanc.service\n")


@pytest.mark.parametrize(
    "words",
    [("logs", "db9"), ("show", "db9"), ("logs", "db1", "--unit", "ssh"), ("logs", "db1", "--lines", "0")],
)
def test_what_there_is_not(eyes: Eyes, words: tuple[str, ...]) -> None:
    assert call("node", *words) == 2
    assert eyes.asked == []


def test_an_agent_that_says_much(eyes: Eyes, capsys: Out) -> None:
    from hactl.view.control import PeerLook, PostgresLocal

    facts = agent(
        "db2", postgres=PostgresLocal(False, "db1", 3, lost_slots=("db3",)), joining="pg-rewind",
        peers={"db1": PeerLook(3, "refused")}, boottime=90_000.0,
    )  # fmt: skip
    eyes.view = after(keys(facts={**look().facts, "db2": facts}))
    assert call("node", "show", "db2") == 0
    said = capsys.readouterr().out
    for part in (
        "up for 1 d 1 h",
        "streams from db1",
        "LOST SLOTS db3",
        "joins by pg-rewind",
        "missed 3 times (refused)",
    ):
        assert part in said
