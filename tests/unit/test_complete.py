"""What a shell is offered, by the protocol that click's scripts speak."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import click
import pytest
from click.shell_completion import BashComplete

from hactl.cli import app, specfile
from hactl.cli.complete import completing
from hactl.decide.codes import CODES

Offered = Callable[..., list[str]]
SPEC = "nodes: {db1: {}, db2: {}, arc1: {}}\narchive: {servers: {pacs1: {}}}\n"


@pytest.fixture
def offered(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Offered:
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("HACTL_SPEC", raising=False)
    monkeypatch.setattr(specfile, "LABS", tmp_path / "labs")
    monkeypatch.setattr(specfile, "NODE_SPEC", tmp_path / "none")

    def ask(*words: str) -> list[str]:
        shell = BashComplete(app.root, {}, "hactl", "_HACTL_COMPLETE")
        return [item.value for item in shell.get_completions(list(words[:-1]), words[-1])]

    return ask


def test_commands_come_from_the_table_and_import_nothing(
    offered: Offered, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(app.importlib, "import_module", None)
    assert offered("") == sorted(app.COMMANDS)
    assert offered("sw") == ["switchover"]
    assert "--spec" in offered("-")


def test_nodes_are_those_of_the_spec(offered: Offered, tmp_path: Path) -> None:
    (tmp_path / "cluster.yaml").write_text(SPEC)
    (tmp_path / "cluster.yaml").chmod(0o600)
    assert offered("node", "ok-to-stop", "") == ["db1", "db2", "arc1", "pacs1"]
    assert offered("switchover", "--to", "db") == ["db1", "db2"]
    assert offered("deploy", "--limit", "a") == ["arc1"]
    assert offered("pki", "renew", "--node", "db1", "--node", "db") == ["db2"]


def test_the_spec_is_the_one_that_the_command_would_use(offered: Offered, tmp_path: Path) -> None:
    other = tmp_path / "other.yaml"
    other.write_text("nodes: {n9: {}}\n")
    other.chmod(0o600)
    assert offered("--spec", str(other), "node", "ok-to-stop", "") == ["n9"]


@pytest.mark.parametrize("text", [None, "nodes: [", "nodes: 3", "just words", "nodes: {}", "\x00"])
def test_without_a_spec_that_can_be_read_nothing_is_offered_and_nothing_said(
    offered: Offered, tmp_path: Path, capsys: pytest.CaptureFixture[str], text: str | None
) -> None:
    if text is not None:
        (tmp_path / "cluster.yaml").write_text(text)
        (tmp_path / "cluster.yaml").chmod(0o600)
    assert offered("node", "ok-to-stop", "") == []
    assert capsys.readouterr() == ("", "")


def test_behind_lab_nodes_are_the_lab_s(offered: Offered, tmp_path: Path) -> None:
    for name, node in (("one", "db1"), ("two", "x1")):
        folder = tmp_path / "labs" / name
        folder.mkdir(parents=True)
        (folder / "lab.json").write_text("{}")
        (folder / "cluster.yaml").write_text(f"nodes: {{{node}: {{}}}}\n")
        (folder / "cluster.yaml").chmod(0o600)
    assert offered("lab", "fault", "--name", "two", "power-off", "") == ["x1"]
    assert offered("lab", "fault", "power-off", "") == []
    assert offered("lab", "status", "--name", "") == ["one", "two"]


def test_codes_faults_and_uses(offered: Offered) -> None:
    assert set(offered("mute", "")) == set(CODES)
    assert offered("mute", "PATRONI_D") == ["PATRONI_DOWN"]
    assert "power-off" in offered("lab", "fault", "power")
    assert "hactl-spare" in offered("pki", "renew", "--use", "hactl")
    assert "primary/power-off" in offered("drill", "run", "primary/p")
    assert offered("-o", "") == ["table", "json", "yaml"]


def test_a_type_of_its_own_is_left_alone() -> None:
    number = click.Option(["--node"], type=click.INT)
    assert completing(click.Command("x", params=[number])).params[0].type is click.INT
