from __future__ import annotations

import dataclasses
import json
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner

from hactl import wiring
from hactl.adapters.orthanc_config import understand
from hactl.cli.app import root
from hactl.decide.lint.rules import lint
from hactl.errors import NotHealthy, StepFailed, Unreachable, UsageError
from tests.support import rendered
from tests.unit.test_archive_lint import SETTING
from tests.unit.test_render_dispatch import program

SAMPLE = Path(__file__).resolve().parents[1] / "samples" / "cluster.yaml"


def call(*words: str) -> tuple[Any, Any]:
    done = CliRunner().invoke(root, ["-o", "json", "archive", "lint", *words])
    return done.exception, json.loads(done.stdout) if done.stdout.startswith("{") else None


def laid_out(tmp_path: Path, node: str = "arc1") -> Path:
    path = tmp_path / f"{node}.json"
    path.write_text(f"// {node}\n" + rendered.content(node, "/etc/orthanc-hactl/orthanc.json"))
    path.chmod(0o640)
    return path


def test_our_own_files_pass_together(tmp_path: Path) -> None:
    openssl = tmp_path / "openssl.cnf"
    openssl.write_text(rendered.content("arc1", "/etc/orthanc-hactl/openssl.cnf"))
    files = [str(laid_out(tmp_path, n)) for n in ("arc1", "arc2")]
    error, found = call(*files, "--openssl-conf", str(openssl))
    assert (error, found["findings"], found["looked_at"]) == (None, [], files)


def test_findings_end_with_7_and_name_the_code(tmp_path: Path) -> None:
    error, found = call(str(laid_out(tmp_path)))
    assert isinstance(error, NotHealthy)
    assert [f["code"] for f in found["findings"]] == ["DICOM_TLS_OLD"]
    assert {"why", "fix", "detail", "severity", "docs"} <= found["findings"][0].keys()


def test_a_folder_is_read_as_orthanc_reads_it(tmp_path: Path) -> None:
    folder = tmp_path / "conf"
    (folder / "deeper").mkdir(parents=True)
    (folder / "a.json").write_text('{"Name": "one"}')
    (folder / "b.JSON").write_text('{"Name": "two"} // again')
    (folder / "deeper" / "c.json").write_text("not read")
    (folder / "notes.txt").write_text("not read")
    error, found = call(str(folder))
    assert isinstance(error, NotHealthy)
    assert "CONFIG_TWICE" in {f["code"] for f in found["findings"]}


@pytest.mark.parametrize("content", ["", "[]", "{'a': 1}"])
def test_what_is_no_configuration_is_a_usage_error(tmp_path: Path, content: str) -> None:
    path = tmp_path / "x.json"
    path.write_text(content)
    error, _ = call(str(path))
    assert isinstance(error, UsageError)
    assert "x.json" in error.message


def test_no_password_is_ever_shown(tmp_path: Path) -> None:
    error, found = call(str(laid_out(tmp_path)))
    assert "Secret" not in json.dumps(found) + str(error)


def on_a_node(tmp_path: Path, text: str) -> dict[str, Any]:
    """What the rendered read-files says of files that lie elsewhere."""
    names = program("read-files", "arc1")
    drop_in = "/etc/systemd/system/orthanc.service.d/hactl.conf"
    wanted = dict.fromkeys(("/etc/orthanc-hactl/orthanc.json",), True)
    wanted |= dict.fromkeys(("/etc/orthanc-hactl/openssl.cnf", drop_in), False)
    answer = {}
    for path, secret in wanted.items():
        place = tmp_path / path.lstrip("/")
        place.parent.mkdir(parents=True, exist_ok=True)
        place.write_text(text if secret else rendered.content("arc1", path))
        place.chmod(0o640)
        answer[path] = names["read"](str(place), secret)
    return answer


def test_a_nodes_own_file_is_judged_without_its_passwords(tmp_path: Path) -> None:
    text = "// by hand\n" + rendered.content("arc1", "/etc/orthanc-hactl/orthanc.json")
    answer = on_a_node(tmp_path, text)
    assert "Secret" not in json.dumps(answer)
    assert answer["/etc/orthanc-hactl/orthanc.json"]["content"] is None
    config = understand("arc1", answer)
    assert lint([config], SETTING) == ()
    assert config.values["RegisteredUsers"] == {"hactl_admin": "(masked)", "hactl_ops": "(masked)"}


class Asked:
    """A node's dispatcher that answers `files`, or does not."""

    def __init__(self, answer: dict[str, Any] | None) -> None:
        self.answer = answer

    def ask(self, sentence: str, *, within: float) -> bytes:
        assert (sentence, within > 0) == ("files", True)
        if self.answer is None:
            raise Unreachable("no route to host")
        return json.dumps(self.answer).encode()


@dataclasses.dataclass
class Ports:
    archives: dict[str, Any]


class Version:
    def version(self) -> str:
        return "1.10.1"


def live(
    monkeypatch: pytest.MonkeyPatch, answers: dict[str, dict[str, Any] | None], *words: str
) -> tuple[Any, Any]:
    monkeypatch.setattr(wiring, "dispatchers", lambda *_: {n: Asked(a) for n, a in answers.items()})
    monkeypatch.setattr(wiring, "status_ports", lambda *_: Ports(dict.fromkeys(answers, Version())))
    return call("--spec", str(SAMPLE), *words)


def test_the_nodes_of_the_spec_pass(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    texts = {n: rendered.content(n, "/etc/orthanc-hactl/orthanc.json") for n in ("arc1", "arc2")}
    answers = {n: on_a_node(tmp_path / n, text) for n, text in texts.items()}
    error, found = live(monkeypatch, answers)
    assert (error, found["findings"], found["looked_at"]) == (None, [], ["arc1", "arc2"])


def test_a_node_changed_by_hand_is_found_and_a_silent_one_said(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    text = rendered.content("arc1", "/etc/orthanc-hactl/orthanc.json")
    changed = text.replace('"DicomAlwaysAllowFind": false', '"DicomAlwaysAllowFind": true')
    assert changed != text
    error, found = live(monkeypatch, {"arc1": on_a_node(tmp_path, changed), "arc2": None})
    assert isinstance(error, Unreachable)
    assert [(f["code"], f["source"]) for f in found["findings"]] == [("DICOM_OPEN_READ", "arc1")]
    assert found["unreachable"] == {"arc2": "no route to host"}
    error, found = live(monkeypatch, {"arc1": on_a_node(tmp_path, changed)}, "arc1")
    assert isinstance(error, NotHealthy)


def test_only_archive_nodes_and_files_are_linted(monkeypatch: pytest.MonkeyPatch) -> None:
    error, _ = live(monkeypatch, {}, "db1")
    assert isinstance(error, UsageError)


HIDDEN = {
    "RegisteredUsers": {"a": "a", "b": "hush1"},
    "OrthancPeers": {"x": ["http://x", "u", "hush2"], "y": {"Url": "http://y", "Password": "hush3"}},
    "DicomWeb": {"Servers": {"x": ["http://x", "u", "hush4"]}},
    "PostgreSQL": {"ConnectionUri": "postgresql://u:hush5@h/d?password=hush6&x=1", "Password": "hush7"},
    "Other": {"ConnectionUri": "host=h password='hush8 hush9' user=u", "HttpHeaders": {"Key": "hush10"}},
}


def test_masking_on_the_node(tmp_path: Path) -> None:
    masked = on_a_node(tmp_path, json.dumps(HIDDEN))["/etc/orthanc-hactl/orthanc.json"]["masked"]
    assert "hush" not in json.dumps(masked)
    assert masked["RegisteredUsers"]["a"] == "(the same as the name)"
    assert masked["PostgreSQL"]["ConnectionUri"] == "postgresql://u:(masked)@h/d?password=(masked)&x=1"


def test_a_node_that_cannot_tell_is_not_called_well(tmp_path: Path) -> None:
    place = "/etc/orthanc-hactl/orthanc.json"
    with pytest.raises(StepFailed, match="has no"):
        understand("arc1", {place: None})
    with pytest.raises(StepFailed, match="no JSON"):
        understand("arc1", on_a_node(tmp_path, "{broken"))
    with pytest.raises(Unreachable, match="does not tell"):
        understand("arc1", {place: {"content": None, "mode": "0640"}})
