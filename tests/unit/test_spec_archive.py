"""Which kind of archive may have what: each row is a spec that is refused, and where it says so."""

from __future__ import annotations

from typing import Any

import pytest

from hactl.spec import rules
from tests.support.foreign import SERVERS, changes_of, foreign
from tests.support.specs import GONE, found_in, sample

OWN_NODE = {"address": "192.0.2.21", "roles": ["archive"]}
FOREIGN = [
    pytest.param({"archive.servers": {}}, "archive.servers", "names no archive", id="nothing to watch"),
    pytest.param({"nodes.arc1": OWN_NODE}, "nodes.arc1.roles", "hactl deploys nothing", id="an own node"),
    pytest.param(
        {"vips.archive": {"address": "192.0.2.101/24", "interface": "eth0"}},
        "vips.archive", "nobody could move it", id="a virtual IP",
    ),
    pytest.param({"archive.storage": "/srv/other"}, "archive.storage", "has its own", id="its storage"),
    pytest.param({"archive.scrub": {"every": "day"}}, "archive.scrub", "has its own", id="a scrub"),
    pytest.param(
        {"archive.modalities": {"ct1": {"aet": "CT1", "address": "192.0.2.51"}}},
        "archive.modalities", "has its own", id="its allow-list",
    ),
    pytest.param(
        {"archive.signing": {"key": "/k", "certificate": "/c", "trusted": "/t"}},
        "archive.signing", "has its own", id="signing",
    ),
    pytest.param(
        {"archive.servers": {"db1": SERVERS["pacs1"]}},
        "archive.servers.db1", "a node has this name", id="a node's name",
    ),
    pytest.param(
        {"archive.servers": {"a": SERVERS["pacs1"], "b": SERVERS["pacs1"]}},
        "archive.servers.b.address", "a has this address and port", id="one server twice",
    ),
    pytest.param(
        {"archive.servers.pacs1.dicomweb": "https://pacs/dicom-web/"},
        "archive.servers.pacs1.dicomweb", "without / at its end", id="a base that ends with a slash",
    ),
    pytest.param(
        {"archive.servers.pacs1.dicomweb": "https://u:p@pacs/dicom-web"},
        "archive.servers.pacs1.dicomweb", "a DICOMweb address is", id="a password in it",
    ),
    pytest.param({"archive.servers": []}, "archive.servers", "must be a mapping", id="a list of servers"),
    pytest.param(
        {"archive.servers.pacs1.port": 0}, "archive.servers.pacs1.port", "must be at least 1", id="no port"
    ),
    pytest.param(
        {"archive.servers.pacs1.address": "127.0.0.1"},
        "archive.servers.pacs1.address", "a loopback address", id="this machine",
    ),
    pytest.param(
        {"archive.kind": "dcm"}, "archive.kind", "must be 'orthanc' or 'dicom'", id="a kind that is none"
    ),
]  # fmt: skip


@pytest.mark.parametrize(("changes", "path", "reason"), FOREIGN)
def test_what_a_foreign_archive_cannot_have(changes: dict[str, Any], path: str, reason: str) -> None:
    found = found_in(changes_of(**changes))
    assert [(p.path, reason in p.reason) for p in found] == [(path, True)]


def test_what_an_archive_of_our_own_needs() -> None:
    (problem,) = found_in({"vips.archive": GONE})
    assert (problem.path, problem.reason) == ("vips.archive", "is missing")
    assert [p.path for p in found_in({"vips.archive": None})] == ["vips.archive"]
    (problem,) = found_in({"archive.servers": SERVERS})
    assert (problem.path, problem.value) == ("archive.servers", "pacs1, pacs2")
    assert "kind: dicom" in problem.hint


def test_a_misspelt_key_below_the_archives_virtual_ip_has_a_hint() -> None:
    (problem,) = found_in({"vips.archive.interfaces": "eth0"})
    assert (problem.path, problem.hint) == ("vips.archive.interfaces", "did you mean interface?")


def test_archives_by_name_whoever_they_belong_to() -> None:
    assert {n: str(a) for n, a in foreign().archive_addresses.items()} == {
        "pacs1": "192.0.2.31", "pacs2": "192.0.2.32",
    }  # fmt: skip
    assert set(sample().archive_addresses) == {"arc1", "arc2"}
    assert not foreign().archives
    assert list(foreign().vips.by_name) == ["database"]


def test_a_foreign_spec_that_was_made_and_not_read_passes_too() -> None:
    assert rules.check(foreign()) == []
