from __future__ import annotations

import json
import shlex
from pathlib import Path

import pytest

from hactl.deploy import packages
from hactl.deploy.inventory import Facts, inventory, ssh_arguments, standby_first
from hactl.deploy.wheelhouse import Venv, Wheelhouse
from hactl.render.targets import RenderedFile
from hactl.site import Site, find
from hactl.spec.model import ClusterSpec, Role
from tests.support.specs import sample

SPEC = sample()
WHEELS = Wheelhouse(
    Path("/w/house.tar"), Venv("/opt/hactl", "aa", ("h.whl",)), Venv("/opt/patroni", "bb", ("p.whl",))
)
FILES = (
    RenderedFile("db1", "/etc/a", "secret text", "postgres", on_change="reload", unit="patroni.service"),
    RenderedFile("db1", "/etc/b", "", "postgres", on_change="restart", unit="patroni.service"),
    RenderedFile("db2", "/etc/c", "", "etcd", on_change="restart", unit="etcd.service"),
)


@pytest.fixture
def site(tmp_path: Path) -> Site:
    return find(tmp_path / "cluster.yaml", "demo", environ={"HACTL_STATE": str(tmp_path / "with space")})


def made(site: Site, facts: Facts, spec: ClusterSpec = SPEC) -> dict[str, object]:
    found: dict[str, object] = json.loads(json.dumps(inventory(spec, site, facts, FILES, WHEELS)))["all"]
    return found


@pytest.mark.parametrize(
    ("primary", "order"),
    [("db1", ["db2", "db1"]), ("db2", ["db1", "db2"]), (None, ["db1", "db2"])],
)
def test_the_primary_is_restarted_last(primary: str | None, order: list[str]) -> None:
    assert standby_first(("db1", "db2"), primary) == order


def test_the_groups_keep_that_order(site: Site) -> None:
    children = made(site, Facts(fresh=False, primary="db1"))["children"]
    assert isinstance(children, dict)
    assert list(children["database"]["hosts"]) == ["db2", "db1"]
    assert list(children["voters"]["hosts"]) == ["db2", "db1", "wit1"]
    assert list(children["archive"]["hosts"]) == ["arc1", "arc2"]


def test_units_watch_their_files_the_ca_and_their_environment(site: Site) -> None:
    hosts = made(site, Facts(fresh=True))["hosts"]
    assert isinstance(hosts, dict)
    assert hosts["db1"]["hactl_watch"] == {
        "patroni.service": {
            "/etc/a": "reload",
            "/etc/b": "restart",
            "/etc/hactl/pki/ca.crt": "reload",
            "/opt/patroni": "restart",
        }
    }
    assert hosts["db2"]["hactl_watch"]["etcd.service"]["/etc/hactl/pki/ca.crt"] == "restart"


def test_only_database_nodes_get_patronis_environment(site: Site) -> None:
    hosts = made(site, Facts(fresh=True))["hosts"]
    assert isinstance(hosts, dict)
    assert list(hosts["db1"]["hactl_links"]) == ["/opt/hactl", "/opt/patroni"]
    assert hosts["arc1"]["hactl_links"] == {"/opt/hactl": "/opt/hactl-venvs/hactl-aa"}


def test_no_content_of_a_file_is_in_it(site: Site) -> None:
    assert "secret text" not in json.dumps(made(site, Facts(fresh=True)))


def test_only_root_goes_without_sudo(site: Site) -> None:
    for user, become in (("root", False), ("admin", True)):
        spec = SPEC.model_copy(update={"ssh": SPEC.ssh.model_copy(update={"deploy_user": user})})
        variables = made(site, Facts(fresh=True), spec)["vars"]
        assert isinstance(variables, dict)
        assert (variables["ansible_user"], variables["ansible_become"]) == (user, become)


def test_host_keys_are_pinned_and_nothing_else_counts(site: Site) -> None:
    words = ssh_arguments(site)
    assert "StrictHostKeyChecking=yes" in words
    assert "GlobalKnownHostsFile=/dev/null" in words
    assert words[:2] == ["-F", "/dev/null"]


def test_a_path_with_spaces_stays_one_word_for_ansible(site: Site) -> None:
    variables = made(site, Facts(fresh=True))["vars"]
    assert isinstance(variables, dict)
    assert shlex.split(variables["ansible_ssh_common_args"]) == ssh_arguments(site)


@pytest.mark.parametrize("role", list(Role))
def test_every_role_has_its_packages_once(role: Role) -> None:
    node = next(name for name, n in SPEC.nodes.items() if role in n.roles)
    found = packages.of(SPEC, node)
    assert len(set(found)) == len(found)
    assert set(packages.BY_ROLE[role]) <= set(found)


def test_whoever_may_fence_has_the_agents_and_the_program_that_they_run() -> None:
    for node in SPEC.nodes:
        there = {"fence-agents", "ipmitool"} <= set(packages.of(SPEC, node))
        assert there == (node in SPEC.voters)
    bare = SPEC.model_copy(update={"fencing": SPEC.fencing.model_copy(update={"agents": {}})})
    assert not {"fence-agents", "ipmitool"} & set(packages.of(bare, "wit1"))


@pytest.mark.parametrize(
    ("agent", "program"),
    [("fence_ilo4", "ipmitool"), ("fence_apc_snmp", "snmp"), ("fence_virsh", "openssh-client")],
)
def test_each_agent_brings_its_own_program(agent: str, program: str) -> None:
    agents = {name: a.model_copy(update={"agent": agent}) for name, a in SPEC.fencing.agents.items()}
    spec = SPEC.model_copy(update={"fencing": SPEC.fencing.model_copy(update={"agents": agents})})
    assert set(packages.of(spec, "wit1")) & {"ipmitool", "snmp", "openssh-client"} == {program}
