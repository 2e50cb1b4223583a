"""`hactl config`, with a state folder of tmp_path and dispatchers that answer from a table."""

from __future__ import annotations

import base64
import hashlib
import json
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner, Result

from hactl.cli.app import root
from hactl.errors import NotHealthy, Refused, Unreachable, UsageError
from tests.support.rendered import files_of, sample, secrets
from tests.support.specs import SAMPLE


class Dispatcher:
    """A node's answer to `files`; an exception is raised."""

    def __init__(self, answer: bytes | Exception) -> None:
        self.answer = answer

    def ask(self, sentence: str, *, within: float) -> bytes:
        assert (sentence, within > 0) == ("files", True)
        if isinstance(self.answer, Exception):
            raise self.answer
        return self.answer


def answer(node: str, **changed: str) -> bytes:
    """A node that has everything as rendered, except the files named by their last part."""
    entries = {
        f.path: {
            "sha256": hashlib.sha256(content).hexdigest(), "content": base64.b64encode(content).decode(),
            "mode": f.mode, "owner": f.owner, "group": f.group,
        }
        for f in files_of(node)
        for content in [changed.get(Path(f.path).stem, f.content).encode()]
    }  # fmt: skip
    return json.dumps(entries).encode()


@pytest.fixture(autouse=True)
def state(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("HACTL_STATE", str(tmp_path / "state"))
    monkeypatch.setattr("hactl.deploy.desired.render_secrets", lambda _: secrets(sample()))
    return tmp_path / "state"


@pytest.fixture
def nodes(monkeypatch: pytest.MonkeyPatch) -> dict[str, Dispatcher]:
    answers = {node: Dispatcher(answer(node)) for node in sample().nodes}
    monkeypatch.setattr("hactl.wiring.dispatchers", lambda *_: answers)
    return answers


def call(*words: str) -> Result:
    return CliRunner().invoke(root, ["--spec", str(SAMPLE), *words])


def test_render_writes_every_node_s_folder(state: Path) -> None:
    done = call("config", "render")
    assert done.exit_code == 0
    assert sorted(p.name for p in (state / "rendered").iterdir()) == sorted(sample().nodes)
    assert (state / "rendered").stat().st_mode & 0o077 == 0


def test_render_one_node_to_a_folder_of_choice(tmp_path: Path) -> None:
    done = call("-o", "json", "config", "render", "--node", "wit1", "--out", str(tmp_path / "out"))
    listed: dict[str, Any] = json.loads(done.stdout)
    assert {f["node"] for f in listed["files"]} == {"wit1"}
    assert [p.name for p in (tmp_path / "out").iterdir()] == ["wit1"]


def test_a_node_that_is_not_in_the_spec() -> None:
    assert isinstance(call("config", "render", "--node", "db9").exception, UsageError)


def test_a_node_has_not_all_secrets(monkeypatch: pytest.MonkeyPatch) -> None:
    import dataclasses

    from hactl import site

    found = site.find

    def on_node(spec_file: Path, cluster: str) -> site.Site:
        return dataclasses.replace(found(spec_file, cluster), on_node=True)

    monkeypatch.setattr("hactl.site.find", on_node)
    assert isinstance(call("config", "render").exception, Refused)


def test_equal_is_silent(nodes: dict[str, Dispatcher]) -> None:
    done = call("config", "diff")
    assert (done.exit_code, done.stdout) == (0, "")
    assert nodes


def test_a_difference_is_shown_masked_and_is_an_answer_of_its_own(nodes: dict[str, Dispatcher]) -> None:
    nodes["db1"].answer = answer("db1", pgpass="192.0.2.100:5432:*:hactl_monitor:former\n")
    done = call("config", "diff")
    assert isinstance(done.exception, NotHealthy)
    assert "db1: /etc/hactl/pgpass: differs" in done.stdout
    assert "former" not in done.stdout
    assert "Secret" not in done.stdout


def test_a_silent_node_is_no_equal_node(nodes: dict[str, Dispatcher]) -> None:
    nodes["arc1"].answer = Unreachable("no route to host")
    nodes["arc2"].answer = b"not JSON"
    done = call("-o", "json", "config", "diff")
    assert isinstance(done.exception, Unreachable)
    assert set(json.loads(done.stdout)["unreachable"]) == {"arc1", "arc2"}


def test_only_the_chosen_node_is_asked(nodes: dict[str, Dispatcher]) -> None:
    nodes["arc1"].answer = Unreachable("no route to host")
    assert call("config", "diff", "--node", "db1").exit_code == 0
