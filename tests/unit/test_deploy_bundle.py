from __future__ import annotations

import base64
import gzip
import json
from typing import Any

from hactl.deploy.bundle import COMPONENTS, bundles
from hactl.render.targets import RenderedFile
from tests.support.specs import sample

SPEC = sample()
FILES = (
    RenderedFile("db1", "/etc/etcd/x", "a", "etcd"),
    RenderedFile("db2", "/etc/etcd/x", "b", "etcd"),
    RenderedFile(
        "db1",
        "/etc/p",
        "pw",
        "postgres",
        mode="0640",
        group="postgres",
        secret=True,
        validate=("/bin/true", "%s"),
    ),
    RenderedFile("db1", "/etc/hactl/manifest.json", "{}", "hactl"),
)


def unpacked(node: str, component: str) -> dict[str, Any]:
    text = bundles(SPEC, node, FILES, ["pw"])[component]
    found: dict[str, Any] = json.loads(gzip.decompress(base64.b64decode(text)))
    return found


def test_a_node_gets_its_own_files_only() -> None:
    assert [f["content"] for f in unpacked("db2", "etcd")["files"]] == ["b"]


def test_every_component_has_a_bundle_on_every_node() -> None:
    for node in SPEC.nodes:
        assert tuple(bundles(SPEC, node, FILES, [])) == COMPONENTS


def test_the_manifest_comes_last_and_alone() -> None:
    assert unpacked("db1", "hactl")["files"] == []
    final = unpacked("db1", "final")
    assert [f["path"] for f in final["files"]] == ["/etc/hactl/manifest.json"]
    assert final["manifest"] == "/etc/hactl/manifest.json"


def test_folders_belong_to_nodes_that_have_the_role() -> None:
    assert unpacked("db1", "etcd")["folders"]
    assert unpacked("arc1", "etcd")["folders"] == []


def test_the_mask_travels_only_where_something_is_to_be_masked() -> None:
    assert unpacked("db1", "postgres")["mask"] == ["pw"]
    assert unpacked("db1", "etcd")["mask"] == []


def test_equal_content_gives_an_equal_bundle() -> None:
    assert bundles(SPEC, "db1", FILES, ["pw"]) == bundles(SPEC, "db1", FILES, ["pw"])
