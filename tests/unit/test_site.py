from __future__ import annotations

import os
from pathlib import Path

import pytest

from hactl import layout, site
from hactl.site import ROOT_STATE, find


@pytest.fixture
def node(tmp_path: Path) -> Path:
    """A node's /etc/hactl after a deployment."""
    etc = tmp_path / "etc"
    (etc / "pki").mkdir(parents=True)
    (etc / "pki" / "hactl.key").touch()
    (etc / "cluster.yaml").touch()
    return etc


@pytest.fixture
def lab(tmp_path: Path) -> Path:
    folder = tmp_path / "demo"
    folder.mkdir()
    (folder / "lab.json").write_text("{}", encoding="utf-8")
    return folder


def test_an_operators_site(tmp_path: Path) -> None:
    found = find(tmp_path / "cluster.yaml", "demo", environ={"HACTL_STATE": str(tmp_path / "state")})
    state = tmp_path / "state"
    assert found == site.Site(
        state=state,
        ca=state / "ca/ca.crt",
        cert=state / "certs/ops/ops.crt",
        key=state / "certs/ops/ops.key",
        pgpass=state / "pgpass",
        known_hosts=state / "known_hosts",
        ssh_key=state / "ssh/id_ed25519",
        on_node=False,
        lab=None,
    )


def test_a_nodes_site(node: Path) -> None:
    found = find(node / "cluster.yaml", "demo", environ={}, node_etc=node)
    assert found == site.Site(
        state=node,
        ca=node / "pki/ca.crt",
        cert=node / "pki/hactl.crt",
        key=node / "pki/hactl.key",
        pgpass=node / "pgpass",
        known_hosts=node / "known_hosts",
        ssh_key=None,
        on_node=True,
        lab=None,
        spare=(node / "pki/hactl-spare.crt", node / "pki/hactl-spare.key"),
    )


def test_a_spec_in_etc_does_not_make_a_node(node: Path) -> None:
    (node / "pki" / "hactl.key").unlink()
    assert not find(node / "cluster.yaml", "demo", environ={"HOME": "/h"}, node_etc=node).on_node


def test_another_spec_on_a_node_is_an_operators(node: Path, tmp_path: Path) -> None:
    assert not find(tmp_path / "cluster.yaml", "demo", environ={}, node_etc=node).on_node


def test_a_labs_site(lab: Path) -> None:
    found = find(lab / "cluster.yaml", "demo", environ={})
    assert (found.state, found.lab, found.on_node) == (lab / "state", lab, False)


def test_the_environment_chooses_the_state_of_a_lab_too(lab: Path) -> None:
    found = find(lab / "cluster.yaml", "demo", environ={"HACTL_STATE": "/elsewhere"})
    assert (found.state, found.lab) == (Path("/elsewhere"), lab)


def test_a_strangers_lab_file_is_no_lab(lab: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    owner = (lab / "lab.json").stat().st_uid
    monkeypatch.setattr(os, "geteuid", lambda: owner + 1)
    found = find(lab / "cluster.yaml", "demo", environ={"XDG_STATE_HOME": "/x"})
    assert found.lab == (lab if owner == 0 else None)


@pytest.mark.parametrize(
    ("uid", "environ", "state"),
    [
        (0, {}, ROOT_STATE / "demo"),
        (1000, {"XDG_STATE_HOME": "/x"}, Path("/x/hactl/demo")),
        (1000, {}, Path.home() / ".local/state/hactl/demo"),
    ],
)
def test_the_users_own_state(
    uid: int, environ: dict[str, str], state: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(os, "geteuid", lambda: uid)
    assert find(tmp_path / "cluster.yaml", "demo", environ=environ).state == state


def test_relative_paths_become_absolute() -> None:
    assert find(Path("cluster.yaml"), "demo", environ={"HACTL_STATE": "s"}).state == Path.cwd() / "s"


def test_layout_and_site_agree_about_a_node() -> None:
    assert str(layout.ETC) == str(site.NODE_ETC)
    found = site._nodes(site.NODE_ETC)
    assert str(layout.PGPASS) == str(found.pgpass)
    assert str(layout.PKI) == str(found.ca.parent)
