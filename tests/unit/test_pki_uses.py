from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hactl.pki.uses import DICOM_CA, OPS, USE_NAMES, USES, certificates, modality
from hactl.spec.model import Role
from tests.support.pki import sample_spec

LOOPBACK = {"127.0.0.1", "localhost"}
DB1 = LOOPBACK | {"db1", "192.0.2.11", "192.0.2.100"}
WIT1 = LOOPBACK | {"wit1", "192.0.2.13"}
ARC2 = LOOPBACK | {"arc2", "192.0.2.22", "192.0.2.101"}


@pytest.mark.parametrize(
    ("node", "use", "cn", "sans", "server", "client", "owner"),
    [
        ("db1", "etcd-peer", "db1", DB1, True, True, "etcd"),
        ("db1", "etcd-server", "db1", DB1, True, True, "etcd"),
        ("db1", "patroni", "db1", DB1, True, True, "postgres"),
        ("db1", "postgres", "db1", DB1, True, False, "postgres"),
        ("db1", "replicator", "replicator", set(), False, True, "postgres"),
        ("db1", "rewind", "rewind", set(), False, True, "postgres"),
        ("db1", "hactl", "hactl-db1", set(), False, True, "hactl"),
        ("wit1", "hactl-spare", "hactl-wit1", set(), False, True, "hactl"),
        ("db1", "metrics", "db1", DB1, True, False, "hactl"),
        ("wit1", "dicom", "hactl-wit1", WIT1, True, True, "hactl"),
        ("wit1", "metrics", "wit1", WIT1, True, False, "hactl"),
        ("wit1", "etcd-peer", "wit1", WIT1, True, True, "etcd"),
        ("wit1", "prometheus", "prometheus", set(), False, True, "prometheus"),
        ("arc2", "orthanc", "arc2", ARC2, True, True, "orthanc"),
        ("wit1", "prometheus-web", "wit1", WIT1, True, False, "prometheus"),
        ("arc2", "nginx", "arc2", ARC2, True, False, "root"),
        ("ops", "ops", "ops", set(), False, True, "root"),
        ("ops", "ops-dicom", "ops", set(), True, True, "root"),
    ],
)
def test_row(  # noqa: PLR0913, PLR0917 - the columns of the table
    node: str,
    use: str,
    cn: str,
    sans: set[str],
    server: bool,  # noqa: FBT001
    client: bool,  # noqa: FBT001
    owner: str,
) -> None:
    [found] = [c for c in certificates(sample_spec()) if (c.node, c.use) == (node, use)]
    assert (found.cn, set(found.sans), found.server, found.client) == (cn, sans, server, client)
    assert (found.owner, found.group, found.mode) == (owner, owner, "0600")


def test_which_node_has_which() -> None:
    by_node: dict[str, set[str]] = {}
    for c in certificates(sample_spec()):
        by_node.setdefault(c.node, set()).add(c.use)
    voter = {"etcd-peer", "etcd-server", "hactl", "hactl-spare", "dicom", "metrics"}
    database = {*voter, "patroni", "postgres", "replicator", "rewind"}
    assert by_node == {
        "db1": database,
        "db2": database,
        "wit1": {*voter, "prometheus", "prometheus-web"},
        "arc1": {"orthanc", "nginx", "hactl", "dicom"},
        "arc2": {"orthanc", "nginx", "hactl", "dicom"},
        "ops": {"ops", "ops-dicom"},
    }


def test_a_node_with_two_roles_has_both_vips_and_one_certificate_a_use() -> None:
    both = {"all1": {"address": "192.0.2.9", "roles": ["database", "archive", "witness"]}}
    found = certificates(sample_spec(nodes=both))
    assert len({(c.node, c.use) for c in found}) == len(found) == len(USE_NAMES)
    assert {"192.0.2.100", "192.0.2.101"} <= set(next(c.sans for c in found if c.use == "nginx"))


NAMES = st.from_regex(r"[a-z][a-z0-9-]{0,31}", fullmatch=True)
ADDRESSES = st.ip_addresses(network="10.0.0.0/8")
ROLES = st.lists(st.sampled_from(["database", "witness", "archive"]), min_size=1, max_size=3)


@given(nodes=st.dictionaries(NAMES, st.tuples(ADDRESSES, ROLES), min_size=1, max_size=6))
def test_every_server_can_be_called_by_name_and_address(nodes: dict[str, tuple[object, list[str]]]) -> None:
    spec = sample_spec(nodes={n: {"address": str(a), "roles": r} for n, (a, r) in nodes.items()})
    for c in certificates(spec):
        if c.server and c.node in nodes and c.node != OPS:
            assert {c.node, str(nodes[c.node][0])} | LOOPBACK <= set(c.sans)
        else:
            assert c.sans == ()
        assert c.server or c.client
        assert len(c.cn) <= 64  # RFC 5280, ub-common-name


def test_only_the_dicom_port_has_an_rsa_key() -> None:
    assert {c.use for c in certificates(sample_spec()) if c.rsa} == {"orthanc"}


def test_only_what_speaks_dicom_is_signed_by_the_dicom_ca() -> None:
    """What one of the two CAs signs is refused where only the other is trusted."""
    found = certificates(sample_spec())
    assert {(c.node, c.use) for c in found if c.ca is DICOM_CA} == {
        ("arc1", "orthanc"), ("arc2", "orthanc"), ("ops", "ops-dicom"),
        *((node, "dicom") for node in ("db1", "db2", "wit1", "arc1", "arc2")),
    }  # fmt: skip


def test_a_modality_is_known_by_its_ae_title_and_address() -> None:
    found = modality(sample_spec(), "ops")
    assert (found.node, found.use, found.cn, found.sans) == ("ops", "modality", "HACTL", ("192.0.2.2",))
    assert (found.server, found.client, found.rsa, found.ca) == (True, True, True, DICOM_CA)
    with pytest.raises(KeyError):
        modality(sample_spec(), "ct1")


def test_the_documentation_has_the_same_table() -> None:
    lines = (Path(__file__).parents[2] / "docs" / "pki.md").read_text().splitlines()
    rows = {
        cells[0]: cells
        for line in lines
        if len(cells := [c.strip() for c in line.strip("|").split("|")]) == 6
    }
    for use in USES:
        nodes = "all" if use.roles == frozenset(Role) else ", ".join(r for r in Role if r in use.roles)
        cn = {"{node}": "the node", "hactl-{node}": "hactl-NODE"}.get(use.cn, use.cn)
        may = ", ".join(word for word, is_so in (("server", use.server), ("client", use.client)) if is_so)
        assert rows[use.name] == [use.name, nodes, cn, may, "RSA" if use.rsa else "EC", use.owner]
    assert set(rows) - {"use", "---"} == set(USE_NAMES)
