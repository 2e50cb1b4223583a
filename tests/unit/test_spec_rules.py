from __future__ import annotations

import json
from typing import Any

import pytest

from hactl.spec import facts, rules
from hactl.spec.model import ClusterSpec
from hactl.spec.rules_database import REFUSED_PARAMETERS, refused
from tests.support.specs import GONE, edited, found_in, found_in_text, sample


def node(address: str, *roles: str) -> dict[str, Any]:
    return {"address": address, "roles": list(roles)}


BMC = {"agent": "fence_ipmilan", "options": {"ip": "198.51.100.11", "password_file": "/etc/hactl/bmc"}}
THIRD = node("192.0.2.14", "database")
WIT2 = node("192.0.2.14", "witness")
VIP = "192.0.2.100/24"


@pytest.mark.parametrize(
    ("changes", "path", "reason"),
    [
        # nodes and roles
        ({"nodes.wit1": GONE}, "nodes", "no witness: one of two voters is no majority"),
        ({"nodes.db2": GONE}, "nodes", "one database node: nothing could take over"),
        ({"nodes.db2": GONE, "nodes.wit1": GONE}, "nodes", "no witness"),
        ({"nodes.db1": GONE, "nodes.db2": GONE}, "nodes", "no database node"),
        ({"nodes.db3": THIRD}, "nodes", "3 database nodes"),
        (
            {"nodes.db3": THIRD, "nodes.wit1": GONE},
            "nodes",
            "no witness: the database pair needs a third vote",
        ),
        ({"nodes.wit2": WIT2}, "nodes", "4 etcd votes, an even number"),
        ({f"nodes.w{n}": node(f"192.0.2.{n}", "witness") for n in range(30, 36)}, "nodes", "at most 7 votes"),
        ({"nodes.arc2": GONE}, "nodes", "only one archive node (arc1)"),
        ({"nodes.arc1": GONE, "nodes.arc2": GONE}, "nodes", "no archive node"),
        ({"nodes.db1.roles": ["database", "witness"]}, "nodes.db1.roles", "votes already"),
        ({"nodes.db1.roles": ["database", "archive"]}, "nodes.db1.roles", "a virtual IP of its own"),
        ({"nodes.arc1.roles": ["archive", "witness"]}, "nodes.arc1.roles", "disk traffic"),
        ({"nodes.db1.roles": ["database", "database"]}, "nodes.db1.roles", "a role twice"),
        ({"nodes.localhost": node("192.0.2.30", "archive")}, "nodes.localhost", "taken"),
        ({"nodes.ops": node("192.0.2.30", "archive")}, "nodes.ops", "taken by hactl"),
        ({"nodes.prometheus": node("192.0.2.30", "archive")}, "nodes.prometheus", "taken by hactl"),
        ({"nodes.hactl-db1": node("192.0.2.30", "archive")}, "nodes.hactl-db1", "taken by hactl"),
        ({"nodes.arc-": node("192.0.2.30", "archive")}, "nodes.arc-", "does not end with a hyphen"),
        # addresses
        ({"nodes.db2.address": "192.0.2.11"}, "nodes.db2.address", "db1 has this address already"),
        ({"vips.database.address": "192.0.2.21/24"}, "vips.database.address", "own address of arc1"),
        ({"vips.archive.address": VIP}, "vips.archive.address", "the same address"),
        ({"vips.database.address": "192.0.2.0/24"}, "vips.database.address", "network address"),
        ({"vips.archive.address": "192.0.2.255/24"}, "vips.archive.address", "broadcast address"),
        ({"vips.database.address": "192.0.2.100/32"}, "vips.database.address", "prefix length of 32"),
        ({"vips.database.address": "192.0.2.100"}, "vips.database.address", "prefix length of 32"),
        ({"vips.database.address": "192.0.2.100/0"}, "vips.database.address", "prefix length of 0"),
        (
            {"vips.database.address": "10.0.0.100/24"},
            "vips.database.address",
            "none of the nodes that may hold it",
        ),
        (
            {"nodes.db2.address": "10.0.0.1"},
            "nodes.db2.address",
            "not in 192.0.2.0/24, the network of the database",
        ),
        ({"nodes.arc1.address": "10.0.0.1"}, "nodes.arc1.address", "the network of the archive virtual IP"),
        ({"nodes.db2.address": "192.0.2.255"}, "nodes.db2.address", "broadcast address of 192.0.2.0/24"),
        ({"vips.archive.router_id": 51}, "vips.archive.router_id", "same VRRP router id"),
        ({"vips.database.router_id": 52}, "vips.archive.router_id", "same VRRP router id"),
        # database
        ({"database.name": "postgres"}, "database.name", "meaning of its own"),
        ({"database.name": "pg_images"}, "database.name", "meaning of its own"),
        ({"database.name": "replication"}, "database.name", "meaning of its own"),
        (
            {"database.parameters.max_conections": 9},
            "database.parameters.max_conections",
            "no such parameter",
        ),
        # fencing
        ({"fencing.lease": "1s"}, "fencing.lease", "from 2s to 30s"),
        ({"fencing.lease": "1999ms"}, "fencing.lease", "from 2s to 30s"),
        ({"fencing.lease": "31s"}, "fencing.lease", "from 2s to 30s"),
        ({"fencing.agents.db3": BMC}, "fencing.agents.db3", "no node of this name"),
        (
            {"fencing.agents.db1": BMC, "fencing.agents.db2": BMC},
            "fencing.agents.db2",
            "same device and outlet",
        ),
        ({"fencing.agents.db1.options.password": "x"}, "fencing.agents.db1.options.password", "a secret"),
        ({"fencing.agents.db1.options.passwd": "x"}, "fencing.agents.db1.options.passwd", "a secret"),
        (
            {"fencing.agents.db1.options.snmp_priv_passwd": 1},
            "fencing.agents.db1.options.snmp_priv_passwd",
            "a secret",
        ),
        (
            {"fencing.agents.db1.options.password_script": "/x"},
            "fencing.agents.db1.options.password_script",
            "program",
        ),
        (
            {"fencing.agents.db1.options.ipmitool_path": "/x"},
            "fencing.agents.db1.options.ipmitool_path",
            "program",
        ),
        (
            {"fencing.agents.db1.options.action": "on"},
            "fencing.agents.db1.options.action",
            "hactl sets this itself",
        ),
        (
            {"fencing.agents.db1.options.password_file": "bmc"},
            "fencing.agents.db1.options.password_file",
            "absolute",
        ),
        (
            {"fencing.agents.db1.options.password_file": "/a/../b"},
            "fencing.agents.db1.options.password_file",
            "absolute",
        ),
        # archive
        ({"archive.modalities.ops.aet": "PACS"}, "archive.modalities.ops.aet", "the archive's own AE title"),
        (
            {"archive.modalities.ct1": {"aet": "HACTL", "address": "192.0.2.51"}},
            "archive.modalities.ct1.aet",
            "ops has this AE title already",
        ),
        ({"archive.storage": "/etc"}, "archive.storage", "/etc belongs to the system"),
        ({"archive.storage": "/var/lib/postgresql/x"}, "archive.storage", "belongs to the system"),
        # ssh
        ({"ssh.user": "root"}, "ssh.user", "has other work"),
        ({"ssh.user": "postgres"}, "ssh.user", "has other work"),
        ({"ssh.deploy_user": "hactl"}, "ssh.deploy_user", "is the account for operations too"),
        ({"ssh.port": 5432}, "ssh.port", "PostgreSQL listens there"),
    ],
)
def test_broken_rule(changes: dict[str, Any], path: str, reason: str) -> None:
    assert [p for p in found_in(changes) if p.path == path and reason in p.reason], found_in(changes)


@pytest.mark.parametrize(
    "changes",
    [
        pytest.param({}, id="the sample"),
        pytest.param({"nodes.wit1.address": "10.9.8.7"}, id="a witness at another site"),
        pytest.param({"nodes.wit2": WIT2, "nodes.wit3": node("192.0.2.15", "witness")}, id="five votes"),
        pytest.param({"nodes.arc3": node("192.0.2.23", "archive")}, id="three archive nodes"),
        pytest.param(
            {"vips.archive.address": "192.0.2.101/23"}, id="virtual IPs with different prefix lengths"
        ),
        pytest.param({"fencing.lease": "2s"}, id="shortest lease"),
        pytest.param({"fencing.lease": "30s"}, id="longest lease"),
        pytest.param({"fencing": GONE}, id="no fencing section"),
        pytest.param(
            {"database": GONE, "archive": GONE, "ssh": GONE, "access": GONE}, id="only what is required"
        ),
        pytest.param({"archive.storage": "/var/lib/orthanc"}, id="storage beside the system's folders"),
        pytest.param(
            {
                f"fencing.agents.{n}": {"agent": "fence_apc", "options": {"ip": "h", "plug": i}}
                for i, n in ((1, "db1"), (2, "db2"))
            },
            id="two outlets of one device",
        ),
    ],
)
def test_allowed(changes: dict[str, Any]) -> None:
    assert found_in(changes) == ()


@pytest.mark.parametrize(
    "parameter",
    [
        *["archive_command", "restore_command", "archive_cleanup_command", "recovery_end_command"],
        *[
            "ssl_passphrase_command",
            "shared_preload_libraries",
            "session_preload_libraries",
            "archive_library",
        ],
        *[
            "ssl",
            "ssl_cert_file",
            "synchronous_commit",
            "synchronous_standby_names",
            "listen_addresses",
            "port",
        ],
        *[
            "data_directory",
            "hba_file",
            "ident_file",
            "config_file",
            "fsync",
            "full_page_writes",
            "wal_level",
        ],
        *["primary_conninfo", "password_encryption", "include_dir", "cluster_name", "tcp_user_timeout"],
        *["wal_sender_timeout", "wal_receiver_timeout", "unix_socket_directories", "hot_standby"],
    ],
)
def test_parameters_that_hactl_keeps_for_itself(parameter: str) -> None:
    (problem,) = found_in({f"database.parameters.{parameter}": "hunter2"})
    assert problem.path == f"database.parameters.{parameter}"
    assert problem.reason.startswith("cannot be set here")
    assert not problem.value


@pytest.mark.parametrize(
    "parameter",
    [
        "max_connections",
        "work_mem",
        "shared_buffers",
        "datestyle",
        "jit",
        "checkpoint_timeout",
        "effective_cache_size",
    ],
)
def test_parameters_that_are_the_users(parameter: str) -> None:
    assert refused(parameter) == ""
    assert found_in({f"database.parameters.{parameter}": 10}) == ()


def test_every_reason_for_a_refused_parameter_is_used() -> None:
    for names in REFUSED_PARAMETERS.values():
        assert refused(names[0].replace("[a-z_]+", "x")) != ""


def test_rules_run_beside_errors_of_single_values() -> None:
    document = edited({"nodes.db1.address": "nonsense", "fencing.lease": "1s", "nodes.arc2": GONE})
    found = found_in_text(json.dumps(document, indent=1))  # in the order of the text
    assert [p.path for p in found] == ["nodes", "nodes.db1.address", "fencing.lease"]


def test_counting_rules_keep_silent_when_roles_are_in_doubt() -> None:
    found = found_in({"nodes.db2.roles": ["databse"]})
    assert [(p.path, p.hint) for p in found] == [("nodes.db2.roles[0]", "did you mean database?")]


def test_rules_of_a_spec_that_was_not_loaded_from_text() -> None:
    assert rules.check(sample()) == []
    broken = ClusterSpec.model_validate(edited({"fencing.lease": "1min"}))
    assert [p.path for p in rules.check(broken)] == ["fencing.lease"]


def test_facts_know_the_models_defaults() -> None:
    spec = sample().model_validate(edited({"database": GONE, "archive": GONE, "fencing": GONE, "ssh": GONE}))
    found = spec.model_dump(mode="json")
    for path, value in facts.DEFAULTS.items():
        section, key = path.split(".")
        assert found[section][key] == value
