"""The control plane in `hactl status`: controllers, agents, leases, fences, the open incident."""

from __future__ import annotations

import dataclasses
import io
from typing import Any

import pytest
from rich.console import Console

from hactl.cli.status_data import document
from hactl.cli.status_table import screen
from hactl.decide.health import judge
from hactl.observe.gather import gather
from hactl.view.cluster import ClusterView
from hactl.view.control import Mode
from hactl.view.control_text import incident_text
from hactl.view.drill import LastDrill
from hactl.view.model import Probe, State, Unknown
from hactl.view.operation import Holder
from hactl.view.pause import Pause
from tests.fakes.ports import FakeEtcd, healthy_ports
from tests.support.snapshots import failover, fence
from tests.support.views import after, agent, demo_spec, healthy, keys, look


def data(view: ClusterView) -> dict[str, Any]:
    return document(demo_spec(), view, judge(demo_spec(), view))


def table(view: ClusterView) -> str:
    out = io.StringIO()
    Console(file=out, width=120).print(screen(data(view)))
    return out.getvalue()


def test_a_healthy_installation() -> None:
    found = data(healthy())
    assert found["controller"] == {
        "active": "wit1", "standing_by": ["db1", "db2"], "paused": False, "why": "",
    }  # fmt: skip
    assert (found["fences"], found["incident"]) == ([], None)
    assert {n["name"]: n["agent"] for n in found["nodes"]} == dict.fromkeys(demo_spec().nodes, True)
    leases = {m["name"]: m["lease"] for m in found["database"]["members"]}
    assert leases["db1"] == {"mode": "leased", "seconds_left": 2.4}
    assert found["database"]["vip"]["on"] == ["db1"]
    text = table(healthy())
    assert "controller: wit1, standing by: db1, db2" in text
    assert "2.4 s" in text


def test_without_agents_nobody_says_where_the_addresses_are() -> None:
    found = data(after(keys(facts={}, modes={})))
    assert found["database"]["vip"]["on"] is None
    assert found["nodes"][0]["agent"] is False
    assert found["database"]["members"][0]["lease"] == {"mode": None, "seconds_left": None}


def test_a_vip_on_two_nodes_is_shown_on_both() -> None:
    both = {n: agent(n, vips=("192.0.2.100",)) for n in ("db1", "db2")}
    found = data(after(keys(facts=both)))
    assert found["database"]["vip"]["on"] == ["db1", "db2"]
    assert "VIP_ON_TWO_NODES" in {r["code"] for r in found["reasons"]}


def test_an_open_incident_and_its_fence() -> None:
    view = after(keys(fences={"db1": fence("db1")}, incident=incident_text(failover())))
    found = data(view)
    assert found["fences"] == [
        {"node": "db1", "epoch": 7, "incident": "i-7", "by": "wit1", "reason": "primary lost"}
    ]
    assert (found["incident"]["id"], found["incident"]["phase"]) == ("i-7", "first-commit")
    text = table(view)
    assert "db1 is fenced (incident i-7): primary lost" in text
    assert "incident i-7 is open: first-commit" in text


def test_an_incident_that_cannot_be_read_is_open_all_the_same() -> None:
    found = data(after(keys(incident="{}")))["incident"]
    assert found["phase"] is None
    assert "cannot be read" in found["why"]


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"active": None, "standing_by": ()}, "controller: none, failover is left to Patroni"),
        ({"modes": {"db1": Mode.OPEN}}, "open"),
        ({"paused": True}, "hactl is paused"),
        (
            {"paused": True, "pause": Pause("anna", "new switch", 0.0, 1_800_014_271.0)},
            "hactl is paused for another 3 h 57 min",
        ),
        (
            {"operation": Holder("anna", "desk", 1, "switchover from db1 to db2", "", "new RAM", "")},
            "under way: switchover from db1 to db2, by anna: new RAM",
        ),
        (
            {"drill": LastDrill(1_799_990_000.0, "primary/freeze", clean=True, outage=1.94)},
            "last drill: 2027-01-15T05:13Z primary/freeze, kept, outage 1.9 s",
        ),
        ({"drill": LastDrill(0.0, "x", clean=False)}, "last drill: 1970-01-01T00:00Z x, broken"),
        ({"drill": LastDrill(0.0, "x", clean=False, aborted=True)}, "x, aborted"),
    ],
)
def test_what_the_table_says(changes: dict[str, Any], said: str) -> None:
    assert said in table(after(keys(**changes)))


def test_an_aborted_drill_does_not_say_that_nothing_was_lost() -> None:
    found = data(after(keys(drill=LastDrill(0.0, "x", clean=False, aborted=True))))["drill"]
    assert (found["verdict"], found["lost_rows"]) == ("aborted", None)
    assert data(after(keys(drill=None)))["drill"] is None


def test_etcd_without_a_majority_leaves_it_all_unknown() -> None:
    view = dataclasses.replace(healthy(), control=Unknown("no answer in time"))
    found = data(view)
    assert found["controller"]["active"] is None
    assert found["controller"]["paused"] is None
    assert found["nodes"][0]["agent"] is None
    assert "controller: unknown: no answer in time" in table(view)


def test_the_storage_level_is_the_agent_s_word() -> None:
    ports = healthy_ports()
    etcd = ports.etcd["db1"]
    assert isinstance(etcd, FakeEtcd)
    lost = Probe(State.FAILED, "another device than before")
    etcd.world.keys = look(facts={"arc1": agent("arc1", storage=lost)})
    view = gather(ports)
    assert view.archives["arc1"].level("L3") == lost
    assert view.archives["arc2"].level("L3").state is State.UNKNOWN


def test_the_newest_of_the_reads_counts() -> None:
    view = gather(healthy_ports())
    assert view.control == look()
