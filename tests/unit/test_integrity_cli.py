"""`hactl archive scrub | reconcile | manifest` from the operator's seat, with nodes that only answer."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from hactl import wiring
from hactl.cli import integrity_source as source
from hactl.cli import integrity_view as view
from hactl.cli.app import main
from hactl.errors import StepFailed, Unreachable
from tests.support import specs

SCRUB = {
    "run": "r1", "state": "running", "done": 5, "objects": 10, "done_bytes": 5_000_000, "bytes": 10_000_000,
    "active_s": 0.5, "mended": 0, "marks": {"content": 0, "orphan": 1},
}  # fmt: skip
STATE = {
    "manifest": {"objects": 10, "segment": 2, "behind": 0, "at": 0, "chain": "ab" * 32, "why": ""},
    "scrub": SCRUB, "reconcile": {"state": "done"}, "units": {"hactl-scrub.service": "active"},
}  # fmt: skip
REPORT = {"run": {**SCRUB, "ended": "later", "known": 3, "manifest": []}, "marks": []}
RECONCILE = {
    "run": "r1", "dry": False, "timeline": 4, "rows": 3, "files": 4, "restored": 1, "missing": 0,
    "items": [{"what": "lost", "path": "aa/bb/u", "why": "its row", "did": "stored again"}],
}  # fmt: skip


class Node:
    def __init__(self, **answers: Any) -> None:
        self.asked: list[str] = []
        self.answers: dict[str, Any] = {
            "integrity": STATE, "scrub-report": REPORT, "reconcile-report": RECONCILE, **answers,
        }  # fmt: skip

    def ask(self, sentence: str, *, within: float) -> bytes:
        assert within > 0
        self.asked.append(sentence)
        answer = self.answers.get(sentence)
        if isinstance(answer, Exception):
            raise answer
        return json.dumps(answer).encode() if answer is not None else b""


Run = Callable[..., tuple[int, str, str]]


@pytest.fixture
def nodes(monkeypatch: pytest.MonkeyPatch) -> dict[str, Node]:
    found = {name: Node() for name in specs.sample().nodes}
    monkeypatch.setattr(wiring, "dispatchers", lambda *_: found)
    return found


@pytest.fixture
def run(
    nodes: dict[str, Node],
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> Run:
    assert nodes
    spec = tmp_path / "cluster.yaml"
    spec.write_text(specs.SAMPLE.read_text())
    monkeypatch.setenv("HACTL_STATE", str(tmp_path / "state"))

    def called(*words: str) -> tuple[int, str, str]:
        monkeypatch.setattr("sys.argv", ["hactl", "--spec", str(spec), *words])
        with pytest.raises(SystemExit) as ended:
            main()
        said = capsys.readouterr()
        return int(ended.value.code or 0), said.out, said.err

    return called


def test_a_scrub_is_started_on_one_node_unless_told_otherwise(nodes: dict[str, Node], run: Run) -> None:
    assert run("archive", "scrub", "start")[0] == 0
    assert (nodes["arc1"].asked, nodes["arc2"].asked) == (["scrub-start"], [])
    run("archive", "scrub", "start", "--node", "arc2")
    assert nodes["arc2"].asked == ["scrub-start"]


def test_only_archive_nodes_are_asked(run: Run) -> None:
    code, _, err = run("archive", "scrub", "stop", "--node", "db1")
    assert code == 2
    assert "no archive node" in err


def test_status_shows_each_node_and_its_code_says_whether_images_are_damaged(
    nodes: dict[str, Node], run: Run
) -> None:
    nodes["arc2"].answers["integrity"] = Unreachable("it is off")
    code, out, _ = run("archive", "scrub", "status")
    assert code == 0
    assert "5 of 10" in out
    assert "10.0" in out
    nodes["arc1"].answers["integrity"] = {**STATE, "scrub": {**SCRUB, "marks": {"content": 2}}}
    code, out, err = run("-o", "json", "archive", "scrub", "status")
    assert code == 7
    assert json.loads(out)["arc2"] == {"unknown": "it is off"}
    assert "arc1" in err


def test_reports(nodes: dict[str, Node], run: Run) -> None:
    nodes["arc2"].answers |= {"scrub-report": None, "reconcile-report": None}
    assert "nothing found" in run("archive", "scrub", "report")[1]
    _, out, _ = run("archive", "reconcile", "report")
    assert "arc1: lost       aa/bb/u: its row -> stored again" in out
    assert "arc2: no reconcile has ended here yet" in out
    assert json.loads(run("-o", "json", "archive", "reconcile", "report")[1])["arc1"]["report"] == RECONCILE


def test_a_dry_reconcile_is_another_word(nodes: dict[str, Node], run: Run) -> None:
    run("archive", "reconcile", "start", "--dry-run")
    run("archive", "reconcile", "start")
    assert nodes["arc1"].asked == ["reconcile-dry", "reconcile-start"]


def test_a_manifest_that_cannot_follow_says_why(nodes: dict[str, Node], run: Run) -> None:
    manifest = {**STATE["manifest"], "why": "the index is away"}  # type: ignore[dict-item]
    nodes["arc1"].answers["integrity"] = {**STATE, "manifest": manifest}
    nodes["arc2"].answers["integrity"] = {}
    out = run("archive", "manifest", "status")[1]
    assert "it cannot follow: the index is away" in out
    assert "arc2: no manifest yet" in out


def test_a_node_that_refuses_is_an_error(nodes: dict[str, Node], run: Run) -> None:
    nodes["arc1"].answers["scrub-start"] = StepFailed("no such unit")
    assert run("archive", "scrub", "start")[0] == 5


def test_the_bars_end_with_the_scrub() -> None:
    looks = iter([STATE, {**STATE, "units": {"hactl-scrub.service": "inactive"}}])
    last = view.watch_scrub(lambda: {"arc1": next(looks)}, every=0.0)
    assert last["arc1"]["units"] == {"hactl-scrub.service": "inactive"}


def test_what_runs_is_what_systemd_says() -> None:
    assert source.running(STATE, ["hactl-scrub.service"])
    assert not view.scrubbing({**STATE, "units": {"hactl-scrub.service": "failed"}})
    assert view.scrubbing({"scrub": SCRUB})
    assert not view.scrubbing({"scrub": {**SCRUB, "state": "done"}})
