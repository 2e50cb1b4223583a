from __future__ import annotations

import json
import os
from pathlib import Path

import pytest
import yaml

from hactl.cli.app import main
from hactl.spec import reference
from hactl.spec.example import EXAMPLE
from hactl.spec.load import load
from hactl.spec.model import ClusterSpec
from tests.support.specs import SAMPLE

ROOT = Path(__file__).parent.parent.parent


@pytest.fixture(autouse=True)
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("HACTL_SPEC", raising=False)
    return tmp_path


def call(*argv: str) -> int:
    with pytest.raises(SystemExit) as ended:
        main(list(argv))
    return int(ended.value.code or 0)


def test_init_writes_what_check_accepts(here: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert call("spec", "init") == 0
    assert call("spec", "check") == 0
    assert "cluster.yaml is good: cluster demo, 5 nodes" in capsys.readouterr().out
    assert [file.name for file in here.iterdir()] == ["cluster.yaml"]


def test_init_names_every_key_of_the_spec() -> None:
    whole = load(EXAMPLE, "example").model_dump(mode="json")
    assert set(yaml.safe_load(EXAMPLE)) == set(whole) == set(ClusterSpec.model_fields)
    for section in ("database", "archive", "fencing", "ssh", "access"):
        assert set(yaml.safe_load(EXAMPLE)[section]) == set(whole[section])


def test_init_does_not_overwrite_without_force(here: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (here / "my.yaml").write_text("mine", encoding="utf-8")
    assert call("spec", "init", "my.yaml") == 3
    assert (here / "my.yaml").read_text(encoding="utf-8") == "mine"
    assert "my.yaml is there already" in capsys.readouterr().err
    assert call("spec", "init", "my.yaml", "--force") == 0
    assert (here / "my.yaml").read_text(encoding="utf-8") == EXAMPLE
    assert [file.name for file in here.iterdir()] == ["my.yaml"]


def test_init_makes_a_file_that_is_accepted_under_any_umask(here: Path) -> None:
    before = os.umask(0)
    try:
        assert call("spec", "init") == 0
    finally:
        os.umask(before)
    assert (here / "cluster.yaml").stat().st_mode & 0o777 == 0o644


def test_init_where_nothing_can_be_written(capsys: pytest.CaptureFixture[str]) -> None:
    assert call("spec", "init", "no/such/folder/cluster.yaml") == 2
    assert "cannot write no/such/folder/cluster.yaml: No such file" in capsys.readouterr().err


def test_init_to_standard_output(here: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert call("spec", "init", "-") == 0
    assert capsys.readouterr().out == EXAMPLE
    assert list(here.iterdir()) == []


def test_check_names_everything_that_is_wrong(here: Path, capsys: pytest.CaptureFixture[str]) -> None:
    text = (
        SAMPLE.read_text(encoding="utf-8").replace("lease: 3s", "lease: 1s").replace("aet: PACS", "aet: pacs")
    )
    (here / "cluster.yaml").write_text(text, encoding="utf-8")
    assert call("spec", "check") == 2
    assert (
        capsys.readouterr().err
        == """\
hactl: cluster.yaml: 2 problems
  line 15   archive.aet: an AE title has capital letters, digits, _ . - and at most 16 of them (found pacs)
  line 20   fencing.lease: must be from 2s to 30s (found 1s)
              -> 3s is a good value
  next: hactl spec schema
"""
    )


def test_check_for_programs(here: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (here / "bad.yaml").write_text("cluster: Demo\n", encoding="utf-8")
    assert call("-o", "json", "spec", "check", "bad.yaml") == 2
    found = json.loads(capsys.readouterr().out)
    assert (found["source"], found["valid"]) == ("bad.yaml", False)
    assert [p["path"] for p in found["problems"]] == ["cluster", "nodes", "vips"]
    assert found["problems"][0]["line"] == 1
    assert call("spec", "check", str(SAMPLE), "-o", "yaml") == 0
    assert yaml.safe_load(capsys.readouterr().out) == {"source": str(SAMPLE), "valid": True, "problems": []}


def test_a_world_writable_spec_is_refused(here: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert call("spec", "init") == 0
    (here / "cluster.yaml").chmod(0o666)
    assert call("spec", "check") == 2
    assert "everybody may write this file (found mode 0666)" in capsys.readouterr().err


@pytest.mark.parametrize("output", ["json", "yaml"])
def test_show_reads_back_as_the_same_spec(output: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert call("--spec", str(SAMPLE), "spec", "show", "-o", output) == 0
    shown = capsys.readouterr().out
    assert load(shown, "shown") == load(SAMPLE.read_text(encoding="utf-8"), "sample")
    assert yaml.safe_load(shown)["vips"]["archive"]["router_id"] == 52


def test_show_says_what_is_default(capsys: pytest.CaptureFixture[str]) -> None:
    assert call("--spec", str(SAMPLE), "spec", "show") == 0
    rows = {line.split()[0]: line.split()[1:] for line in capsys.readouterr().out.splitlines()}
    assert rows["fencing.lease"] == ["3s"]
    assert rows["vips.database.router_id"] == ["51", "default"]
    assert rows["notify"] == ["(none)", "default"]


def test_the_environment_names_the_spec(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("HACTL_SPEC", str(SAMPLE))
    assert call("spec", "check") == 0
    assert capsys.readouterr().out.startswith(f"{SAMPLE} is good")


def test_schema(capsys: pytest.CaptureFixture[str]) -> None:
    assert call("spec", "schema") == 0
    found = json.loads(capsys.readouterr().out)
    assert found["required"] == ["cluster", "nodes", "vips"]
    assert found["properties"]["nodes"]["additionalProperties"] is False
    assert found["$defs"]["Fencing"]["properties"]["lease"]["default"] == "3s"


def test_every_key_of_the_schema_is_described() -> None:
    parts = reference.schema()
    for part in [parts, *parts["$defs"].values()]:
        for key, field in part.get("properties", {}).items():
            assert field.get("description") or "$ref" in field, key


def test_the_reference_in_docs_is_the_models() -> None:
    written = (ROOT / "docs" / "spec.md").read_text(encoding="utf-8")
    assert written == reference.reference(), "run: python -m hactl.spec.reference > docs/spec.md"
