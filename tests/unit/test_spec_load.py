from __future__ import annotations

from typing import Any

import pytest

from hactl.errors import SpecError
from hactl.spec.load import load
from hactl.units import Seconds
from tests.support.specs import GONE, found_in, found_in_text, sample

NAME = "a name is a small letter"
AET = "an AE title has capital letters"


def test_the_sample_is_read() -> None:
    spec = sample()
    assert list(spec.databases) == ["db1", "db2"]
    assert list(spec.voters) == ["db1", "db2", "wit1"]
    assert str(spec.vips.database.address) == "192.0.2.100/24"
    assert (spec.vips.database.router_id, spec.vips.archive.router_id) == (51, 52)
    assert spec.fencing.lease == Seconds(3)


@pytest.mark.parametrize(
    ("changes", "path", "value", "reason", "hint"),
    [
        ({"cluster": GONE}, "cluster", "", "is missing", "The installation's name"),
        ({"nodes.db1.address": GONE}, "nodes.db1.address", "", "is missing", "own address"),
        ({"cluster": "Demo"}, "cluster", "Demo", NAME, ""),
        ({"cluster": "demo-" * 7}, "cluster", "demo-" * 7, NAME, ""),
        ({"cluster": 2024}, "cluster", "2024", "must be text", "in quotes"),
        ({"cluster": "demo\n"}, "cluster", '"demo\\n"', NAME, ""),
        ({"nodes.DB1": {}}, "nodes.DB1", "DB1", NAME, ""),
        ({"nodes.db_1": {}}, "nodes.db_1", "db_1", NAME, ""),
        ({"nodes.1db": {}}, "nodes.1db", "1db", NAME, ""),
        ({"nodes.db1.adress": "x"}, "nodes.db1.adress", "", "unknown key", "did you mean address?"),
        ({"vip": {}}, "vip", "", "unknown key", "did you mean vips?"),
        ({"colour": "x"}, "colour", "", "unknown key", "known here: cluster, nodes"),
        ({"ssh.prot": 22}, "ssh.prot", "", "unknown key", "did you mean port?"),
        (
            {"fencing.agents.db1.agnet": "x"},
            "fencing.agents.db1.agnet",
            "",
            "unknown key",
            "did you mean agent?",
        ),
        (
            {"nodes.db1.address": "192.0.2.300"},
            "nodes.db1.address",
            "192.0.2.300",
            "is not an IPv4 address",
            "like",
        ),
        (
            {"nodes.db1.address": "db1.example.org"},
            "nodes.db1.address",
            "db1.example.org",
            "is not an IPv4",
            "like",
        ),
        ({"nodes.db1.address": 3221225995}, "nodes.db1.address", "3221225995", "must be text", ""),
        ({"nodes.db1.address": "127.0.0.1"}, "nodes.db1.address", "127.0.0.1", "a loopback address", ""),
        ({"nodes.db1.address": "224.0.0.18"}, "nodes.db1.address", "224.0.0.18", "a multicast address", ""),
        ({"nodes.db1.address": "0.0.0.0"}, "nodes.db1.address", "0.0.0.0", "the unspecified address", ""),  # noqa: S104
        ({"nodes.db1.roles": []}, "nodes.db1.roles", "a list", "must not be empty", ""),
        ({"nodes.db1.roles": "database"}, "nodes.db1.roles", "database", "must be a list", "[a, b]"),
        (
            {"nodes.db1.roles": ["master"]},
            "nodes.db1.roles[0]",
            "master",
            "must be 'database', 'witness'",
            "",
        ),
        (
            {"vips.database.address": "192.0.2.100/33"},
            "vips.database.address",
            "192.0.2.100/33",
            "prefix length",
            "",
        ),
        (
            {"vips.database.interface": "eth0; x"},
            "vips.database.interface",
            "eth0; x",
            "a network interface",
            "",
        ),
        ({"vips.database.router_id": 0}, "vips.database.router_id", "0", "must be at least 1", ""),
        ({"vips.database.router_id": 256}, "vips.database.router_id", "256", "must be at most 255", ""),
        ({"vips.database.router_id": True}, "vips.database.router_id", "true", "must be a whole number", ""),
        ({"database.version": 16}, "database.version", "16", "must be 15", ""),
        ({"database.name": "a b"}, "database.name", "a b", "an identifier is", ""),
        ({"database.parameters.jit": "a\nb"}, "database.parameters.jit", "(not shown)", "no line breaks", ""),
        ({"database.parameters.jit": "it's"}, "database.parameters.jit", "(not shown)", "no quotes", ""),
        ({"database.parameters.jit": "{{ x }}"}, "database.parameters.jit", "(not shown)", "braces", ""),
        (
            {"database.parameters.jit": "a\x00b"},
            "database.parameters.jit",
            "(not shown)",
            "control characters",
            "",
        ),
        (
            {"database.parameters.jit": float("nan")},
            "database.parameters.jit",
            "(not shown)",
            "a value is",
            "",
        ),
        ({"database.parameters.jit": [1]}, "database.parameters.jit", "a list", "a value is", ""),
        ({"archive.aet": "pacs"}, "archive.aet", "pacs", AET, ""),
        ({"archive.aet": "A" * 17}, "archive.aet", "A" * 17, AET, ""),
        ({"archive.aet": "PA CS"}, "archive.aet", "PA CS", AET, ""),
        ({"archive.aet": ""}, "archive.aet", '""', AET, ""),
        ({"archive.aet": "PACS\\"}, "archive.aet", "PACS\\", AET, ""),
        ({"archive.storage": "srv"}, "archive.storage", "srv", "a path begins with /", ""),
        ({"archive.storage": "/srv/../etc"}, "archive.storage", "/srv/../etc", "no '..'", ""),
        ({"archive.storage": "/" + "x" * 200}, "archive.storage", f'"/{"x" * 59}"...', "longer than 200", ""),
        ({"archive.kind": "dcm4chee"}, "archive.kind", "dcm4chee", "must be 'orthanc'", ""),
        ({"archive.modalities.ops.port": 0}, "archive.modalities.ops.port", "0", "at least 1", ""),
        (
            {"archive.modalities.ops.port": "104"},
            "archive.modalities.ops.port",
            "104",
            "whole number",
            "quotes",
        ),
        (
            {"archive.modalities.ops.tls": "no way"},
            "archive.modalities.ops.tls",
            "no way",
            "true or false",
            "",
        ),
        ({"fencing.lease": 3}, "fencing.lease", "3", "is not a duration", "3s"),
        ({"fencing.lease": "3 s"}, "fencing.lease", "3 s", "is not a duration", "3s"),
        (
            {"fencing.agents.db1.agent": "/bin/sh"},
            "fencing.agents.db1.agent",
            "/bin/sh",
            "a fence agent is",
            "",
        ),
        (
            {"fencing.agents.db1.options.ip": "a b"},
            "fencing.agents.db1.options.ip",
            "(not shown)",
            "an option is",
            "",
        ),
        ({"notify": [{"sms": "1"}]}, "notify[0]", "a mapping", "webhook: URL", ""),
        ({"notify": [{"webhook": "ftp://x"}]}, "notify[0].webhook", "(not shown)", "a webhook is", ""),
        ({"notify": [{"email": "x"}]}, "notify[0].email", "(not shown)", "an e-mail address is", ""),
        ({"notify": {}}, "notify", "a mapping", "must be a list", ""),
        ({"ssh": []}, "ssh", "a list", "must be a mapping", ""),
        ({"ssh": None}, "ssh", "nothing", "must be a mapping", ""),
        ({"ssh.user": "-oProxyCommand=x"}, "ssh.user", "-oProxyCommand=x", "an account is", ""),
        (
            {"access.clients": ["192.0.2.1/24"]},
            "access.clients[0]",
            "192.0.2.1/24",
            "IPv4 network",
            "own address",
        ),
    ],
)
def test_wrong_value(changes: dict[str, Any], path: str, value: str, reason: str, hint: str) -> None:
    matching = [p for p in found_in(changes) if p.path == path and reason in p.reason and hint in p.hint]
    assert [p.value for p in matching] == [value], found_in(changes)


def test_all_problems_come_at_once_in_the_order_of_the_text() -> None:
    text = """\
cluster: Demo
nodes:
  db1: {adress: 192.0.2.11, roles: [database]}
  db2: {address: 192.0.2.100, roles: [database]}
  db2: {address: 192.0.2.12, roles: [database]}
vips:
  database: {address: 192.0.2.100/24, interface: eth0}
fencing: {lease: 1s}
7: seven
"""
    assert [(p.line, p.path) for p in found_in_text(text)] == [
        (1, "cluster"),
        (2, "nodes"),  # no witness
        (2, "nodes"),  # no archive node
        (3, "nodes.db1.address"),  # missing
        (3, "nodes.db1.adress"),  # unknown
        (5, "nodes.db2"),  # a second time
        (6, "vips.archive"),  # missing
        (7, "vips.database.address"),  # db2's own
        (8, "fencing.lease"),
        (9, ""),  # a key that is no text
    ]


def test_the_error_names_its_source_and_counts() -> None:
    with pytest.raises(SpecError) as caught:
        load("cluster: Demo", "/etc/hactl/cluster.yaml")
    assert caught.value.source == "/etc/hactl/cluster.yaml"
    assert caught.value.message.startswith("/etc/hactl/cluster.yaml: ")
    assert caught.value.exit_code == 2
