from __future__ import annotations

from collections.abc import Mapping
from ipaddress import IPv4Address
from pathlib import Path
from typing import Any

import pytest

from hactl import resources
from hactl.errors import Refused
from hactl.lab import network
from hactl.lab.folder import LabFolder, facts, hosts_text
from hactl.lab.topology import MANAGEMENT, Topology, plan, prefix
from hactl.spec.load import load
from hactl.spec.model import ClusterSpec
from tests.support.specs import SAMPLE, edited


def demo(changes: Mapping[str, Any] | None = None) -> Topology:
    """The lab of the sample with dotted paths set; past the spec's rules, which refuse some of it."""
    return plan("demo", ClusterSpec.model_validate(edited(changes or {})))


def test_every_node_is_a_machine_with_its_own_address() -> None:
    lab = demo()
    assert [m.name for m in lab.machines] == ["db1", "db2", "wit1", "arc1", "arc2"]
    assert [str(m.cables[0].address) for m in lab.machines] == [
        "192.0.2.11",
        "192.0.2.12",
        "192.0.2.13",
        "192.0.2.21",
        "192.0.2.22",
    ]
    assert {m.cables[0].device for m in lab.machines} == {"host0"}


def test_bmcs_are_where_the_spec_says() -> None:
    assert {m.name: str(m.bmc.cable.address) for m in demo().machines if m.bmc} == {
        "db1": "198.51.100.11",
        "db2": "198.51.100.12",
    }


def test_a_node_without_an_ipmi_agent_has_no_bmc() -> None:
    lab = demo({"fencing.agents": {"db1": {"agent": "fence_apc", "options": {"ip": "198.51.100.11"}}}})
    assert all(m.bmc is None for m in lab.machines)


def test_archive_nodes_have_no_leg_in_the_management_network() -> None:
    legs = {m.name: len(m.cables) for m in demo().machines}
    assert legs == {"db1": 2, "db2": 2, "wit1": 2, "arc1": 1, "arc2": 1}


def test_no_two_cables_share_an_address_or_a_port() -> None:
    lab = demo()
    cables = [*lab.fixed_cables, *(c for m in lab.machines for c in m.cables)]
    assert len({c.address for c in cables}) == len(cables)
    assert len({c.port for c in cables}) == len(cables)
    assert all(len(c.port) <= 15 and len(c.device) <= 15 for c in cables)


def test_the_operator_sits_where_the_spec_lets_operators_come_from() -> None:
    assert demo({"access.operators": ["10.9.8.0/24", "192.0.2.7/32"]}).ops == IPv4Address("192.0.2.7")
    assert demo({"access.operators": []}).ops == IPv4Address("192.0.2.2")


@pytest.mark.parametrize(
    ("changes", "word"),
    [
        ({"nodes.db1.address": "192.0.3.11"}, "192.0.3.11 is not in"),
        ({"nodes.ops": {"address": "192.0.2.30", "roles": ["archive"]}}, "node ops"),
        ({"nodes.bmc-x": {"address": "192.0.2.30", "roles": ["archive"]}}, "node bmc-x"),
        ({"nodes.a-much-too-long-name": {"address": "192.0.2.30", "roles": ["archive"]}}, "longer than"),
        ({"nodes.arc3": {"address": "192.0.2.148", "roles": ["archive"]}}, "differ by a multiple of 127"),
        ({"nodes.arc3": {"address": "192.0.2.2", "roles": ["archive"]}}, "is the lab's operator"),
        ({"vips.archive.interface": "eth1"}, "different interfaces"),
        ({"fencing.agents.db1.options.ip": "192.0.2.50"}, "a lab's BMC is between"),
        ({"fencing.agents.db1.options.ip": "198.51.100.200"}, "a lab's BMC is between"),
        ({"fencing.agents.db1.options.ip": "bmc.example.org"}, "ip is not an address"),
        ({"fencing.agents.db2.options.ip": "198.51.100.11"}, "two BMCs"),
        ({"ssh.deploy_user": "admin"}, "deploy_user"),
    ],
)
def test_a_spec_that_one_machine_cannot_show_is_refused(changes: dict[str, Any], word: str) -> None:
    with pytest.raises(Refused) as refused:
        demo(changes)
    assert any(word in veto for veto in refused.value.vetoes), refused.value.vetoes


def test_all_vetoes_are_told_at_once() -> None:
    with pytest.raises(Refused) as refused:
        demo(
            {"vips.archive.interface": "eth1", "nodes.db1.address": "192.0.5.11", "ssh.deploy_user": "admin"}
        )
    assert len(refused.value.vetoes) == 3


def test_an_unknown_node_is_refused_by_name() -> None:
    with pytest.raises(Refused, match="no node db3"):
        demo().machine("db3")


def test_one_labs_names_never_begin_like_anothers() -> None:
    assert not prefix("demo-2").startswith(prefix("demo"))
    assert not demo().machine("db1").scope.startswith(prefix("dem"))


def test_hosts_names_every_node_and_bmc() -> None:
    text = hosts_text(demo())
    assert "192.0.2.11 db1\n" in text
    assert "198.51.100.12 bmc-db2\n" in text


def test_lab_json_says_what_others_read() -> None:
    found = facts(demo(), LabFolder(Path("/lab/demo")), Path("/cache/x"))
    assert found["ops_netns"] == "hactl-lab.demo.ops"
    assert found["spec"] == "/lab/demo/cluster.yaml"
    assert found["nodes"]["db1"] == {
        "netns": "hactl-lab.demo.db1",
        "scope": "hactl-lab.demo.db1",
        "address": "192.0.2.11",
    }


def test_the_labs_own_spec_is_the_documented_installation() -> None:
    own = resources.folder("templates") / "lab" / "cluster.yaml"
    assert load(own.read_text(encoding="utf-8"), "own") == load(SAMPLE.read_text(encoding="utf-8"), "sample")


def test_a_veth_is_made_with_both_ends_in_the_lab() -> None:
    cable = demo().machine("db1").cables[0]
    line = network.veth_line(cable, "hactl-lab.demo.switch")
    assert line.startswith(
        "link add name c-db1 netns hactl-lab.demo.switch type veth peer name host0 address 02:"
    )
    assert line.endswith(" netns hactl-lab.demo.db1")


def test_a_machine_keeps_its_hardware_address() -> None:
    assert network.mac("hactl-lab.demo.db1", "host0") == network.mac("hactl-lab.demo.db1", "host0")
    assert network.mac("hactl-lab.demo.db1", "host0") != network.mac("hactl-lab.demo.db2", "host0")


def test_plans_of_ip_commands() -> None:
    cables = demo().machine("wit1").cables
    assert network.device_lines(cables) == [
        "link set lo up",
        "addr replace 192.0.2.13/24 brd + dev host0",
        "link set host0 up",
        f"addr replace {cables[1].address}/24 brd + dev mgmt0",
        "link set mgmt0 up",
    ]
    assert network.plug_lines(cables) == ["link set c-wit1 master lan up", "link set m-wit1 master mgmt up"]
    assert network.unplug_lines(cables) == ["link set c-wit1 nomaster", "link set m-wit1 nomaster"]
    assert cables[1].address in MANAGEMENT


def test_nothing_in_a_plan_gives_a_default_route() -> None:
    lab = demo()
    lines = network.bridge_lines() + network.device_lines(lab.fixed_cables)
    for machine in lab.machines:
        lines += network.device_lines(machine.cables)
    assert not any("route" in line or "default" in line for line in lines)
