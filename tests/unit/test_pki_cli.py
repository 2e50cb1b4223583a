from __future__ import annotations

import json
from collections.abc import Callable
from datetime import timedelta
from pathlib import Path

import pytest
import yaml
from click.testing import CliRunner, Result

from hactl import site as sites
from hactl.adapters import hostkey
from hactl.cli.app import root
from hactl.errors import NotHealthy, Refused, Unreachable, UsageError
from hactl.pki import ca
from hactl.pki.store import Store, utc_now
from tests.support.pki import Clock, age, ready, small_spec
from tests.support.specs import edited

KIND, BLOB = "ssh-ed25519", "AAAAC3NzaC1lZDI1NTE5AAAAIOMqqnkVzrm0SdG6UOoqKLsabgH5C9okWi0dh2l9GKJl"
PRINT = "SHA256:+DiY3wvvV6TuJJhbpZisF/zLDA0zPMSvHdkr4UvCOqU"
TODAY = utc_now()  # one time for all tests: then keys are made once
Run = Callable[..., Result]


@pytest.fixture
def run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Run:
    """`hactl -o ... pki ...` on a copy of the sample spec with one node and a state folder of its own."""
    spec = tmp_path / "cluster.yaml"
    content = {**edited({}), "nodes": small_spec().model_dump(mode="json")["nodes"]}
    spec.write_text(yaml.safe_dump(content))
    spec.chmod(0o600)
    monkeypatch.setenv("HACTL_STATE", str(tmp_path / "state"))
    # What the spec's rules say about a cluster of one node is not the matter here.
    monkeypatch.setattr("hactl.cli.context.load", lambda _text, _source: small_spec())

    def call(*argv: str, answer: str = "", output: str = "json") -> Result:
        return CliRunner().invoke(root, ["--spec", str(spec), "-o", output, "pki", *argv], input=answer)

    return call


@pytest.fixture(autouse=True)
def _initialised(request: pytest.FixtureRequest, tmp_path: Path) -> None:
    if "init" not in request.node.name.split("_"):
        ready(tmp_path, Clock(TODAY))


@pytest.fixture
def state(tmp_path: Path) -> Path:
    return tmp_path / "state"


def shown_key(monkeypatch: pytest.MonkeyPatch, blob: str = BLOB) -> None:
    monkeypatch.setattr(hostkey, "fetch", lambda _a, _p, *, within: (KIND, blob))  # noqa: ARG005


def test_init_says_what_it_made_then_that_there_is_nothing_to_do(run: Run, state: Path) -> None:
    made = json.loads(run("init").stdout)
    assert made["cluster"] == "demo"
    assert str(state / "ca/ca.crt") in {m["path"] for m in made["made"]}
    assert json.loads(run("init").stdout)["made"] == []
    assert "nothing to do" in run("init", output="table").stdout


def test_init_prints_no_secret(run: Run, state: Path) -> None:
    printed = "".join(run(*argv, output=o).output for o in ("table", "yaml") for argv in (["init"], ["show"]))
    passwords = json.loads((state / "secrets.json").read_text())["passwords"]
    assert len(passwords) == 9
    assert not any(p in printed for p in passwords.values())


def test_show_in_three_forms(run: Run) -> None:
    as_json = json.loads(run("show").stdout)
    assert yaml.safe_load(run("show", output="yaml").stdout) == as_json
    row = next(c for c in as_json["certificates"] if c["use"] == "etcd-server")
    assert row["state"] == "ok"
    assert row["days_left"] in {396, 397}
    assert row["sans"] == ["127.0.0.1", "192.0.2.13", "localhost", "wit1"]
    table = run("show", output="table")
    assert table.exit_code == 0
    assert "etcd-server" in table.stdout


def test_show_ends_with_7_when_something_ends_soon(run: Run) -> None:
    result = run("show", "--within", "400d")
    assert isinstance(result.exception, NotHealthy)
    assert result.exception.exit_code == 7
    assert "hactl pki renew" in result.exception.hint
    assert json.loads(result.stdout)["certificates"][0]["state"] == "expiring"


def test_show_ends_with_7_when_all_has_expired(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    late = TODAY + timedelta(days=400)
    monkeypatch.setattr(Store.__init__, "__defaults__", (lambda: late,))
    result = run("show", output="table")
    assert isinstance(result.exception, NotHealthy)
    assert "expired" in result.stdout
    assert "-3" in result.stdout


def test_renew_dry_run_and_for_real(run: Run, state: Path) -> None:
    crt = state / "certs/ops/ops.crt"
    before = crt.read_bytes()
    assert "nothing is due" in run("renew").stderr
    planned = json.loads(run("renew", "--all", "--use", "ops", "--dry-run").stdout)
    assert crt.read_bytes() == before
    done = run("renew", "--all", "--use", "ops")
    assert json.loads(done.stdout) == planned
    assert "next: hactl deploy" in done.stderr
    assert crt.read_bytes() != before


def test_renew_before_takes_a_duration(run: Run) -> None:
    assert len(json.loads(run("renew", "--before", "400d", "--dry-run").stdout)["certificates"]) == 9, (
        "all but one"
    )
    assert run("renew", "--before", "soon").exit_code == 2


@pytest.mark.parametrize(
    "argv",
    [["renew", "--node", "db9"], ["renew", "--use", "web"], ["trust", "db9"], ["trust", "wit1", "--replace"],
     ["modality", "ct9"],
     ["renew", "--ca", "start", "--all"], ["renew", "--dicom-ca", "start", "--node", "wit1"],
     ["renew", "--ca", "start", "--dicom-ca", "start"]],
)  # fmt: skip
def test_wrong_calls_are_usage_errors(run: Run, argv: list[str]) -> None:
    assert isinstance(run(*argv).exception, UsageError)


def test_before_init_the_next_command_is_named(run: Run) -> None:
    for argv in (["show"], ["renew"]):
        error = run(*argv).exception
        assert isinstance(error, Refused)
        assert error.hint == "hactl pki init"


def test_a_ca_replacement_asks_and_names_the_next_step(run: Run, state: Path) -> None:
    before = (state / "ca/ca.crt").read_bytes()
    assert run("renew", "--ca", "start", answer="n\n").exit_code == 1
    assert (state / "ca/ca.crt").read_bytes() == before
    assert "pki renew --ca switch" in run("renew", "--ca", "start", answer="y\n").stderr
    assert "8 certificates issued again" in run("renew", "--ca", "switch", "--yes").stderr
    assert run("renew", "--ca", "finish", "--yes").exit_code == 0
    assert run("show").exit_code == 0


def test_the_ca_for_dicom_is_replaced_by_its_own_option(run: Run, state: Path) -> None:
    before = (state / "ca/ca.crt").read_bytes()
    asked = run("renew", "--dicom-ca", "start", answer="y\n")
    assert "pki renew --dicom-ca switch" in asked.stderr
    assert "Do all modalities trust both" in run("renew", "--dicom-ca", "switch", answer="n\n").stderr
    assert "2 certificates issued again" in run("renew", "--dicom-ca", "switch", "--yes").stderr
    assert run("renew", "--dicom-ca", "finish", "--yes").exit_code == 0
    assert (state / "ca/ca.crt").read_bytes() == before


def test_show_of_a_state_of_before_names_the_next_command(run: Run, state: Path) -> None:
    age(Store(state, Clock(TODAY)), small_spec())
    result = run("show")
    assert isinstance(result.exception, NotHealthy)
    assert "pki init" in result.exception.hint
    assert run("init").exit_code == run("show").exit_code == 0


def test_modality_writes_three_files_and_show_knows_when_they_end(
    run: Run, state: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(ca, "RSA_BITS", 1024)
    done = run("modality", "ops", "--days", "20")
    folder = state / "modalities/ops"
    assert {m["path"] for m in json.loads(done.stdout)["made"]} == {str(p) for p in folder.iterdir()}
    assert "bring these three files to ops" in done.stderr
    result = run("show", output="table")
    assert isinstance(result.exception, NotHealthy)
    assert result.exception.hint == "hactl pki modality ops"
    assert "PRIVATE KEY" not in done.output
    assert run("modality", "ops").exit_code == 0  # it ends soon: no --force needed
    assert isinstance(run("modality", "ops").exception, Refused)
    assert run("modality", "ops", "--force").exit_code == run("show").exit_code == 0


def test_trust_pins_after_the_question(run: Run, state: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    shown_key(monkeypatch)
    refused = run("trust", "wit1", answer="n\n")
    assert PRINT in refused.stderr
    assert not (state / "known_hosts").exists()
    assert run("trust", "wit1", answer="y\n").exit_code == 0
    assert (state / "known_hosts").read_text() == f"192.0.2.13 {KIND} {BLOB}\n"
    assert (state / "known_hosts").stat().st_mode & 0o777 == 0o600
    assert "pinned already" in run("trust", "wit1").stderr


def test_trust_without_an_answer_pins_nothing(run: Run, state: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    shown_key(monkeypatch)
    assert run("trust", "wit1").exit_code != 0
    assert not (state / "known_hosts").exists()


@pytest.mark.parametrize("how", [["--yes"], ["--fingerprint", PRINT]])
def test_trust_without_a_question(
    run: Run, state: Path, monkeypatch: pytest.MonkeyPatch, how: list[str]
) -> None:
    shown_key(monkeypatch)
    assert run("trust", "wit1", *how).exit_code == 0
    assert BLOB in (state / "known_hosts").read_text()


def test_trust_refuses_another_fingerprint_than_named(
    run: Run, state: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    shown_key(monkeypatch)
    assert isinstance(run("trust", "wit1", "--yes", "--fingerprint", "SHA256:x").exception, Refused)
    assert not (state / "known_hosts").exists()


def test_a_changed_key_is_refused_even_with_yes(
    run: Run, state: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    shown_key(monkeypatch, "AAAA")
    run("trust", "wit1", "--yes")
    before = (state / "known_hosts").read_text()
    shown_key(monkeypatch)
    for how in (["--yes"], ["--fingerprint", PRINT], []):
        error = run("trust", "wit1", *how, answer="y\n").exception
        assert isinstance(error, Refused)
        assert "changed" in error.message
    assert (state / "known_hosts").read_text() == before
    assert run("trust", "wit1", "--replace", "--fingerprint", PRINT).exit_code == 0
    assert (state / "known_hosts").read_text() == f"192.0.2.13 {KIND} {BLOB}\n"


def test_an_unreachable_node_is_code_4(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    def gone(*_: object, **__: object) -> None:
        raise Unreachable("no SSH host key from 192.0.2.13 port 22: timed out")

    monkeypatch.setattr(hostkey, "fetch", gone)
    assert isinstance(run("trust", "wit1", "--yes").exception, Unreachable)


def test_on_a_node_it_says_where_to_go(run: Run, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(sites, "find", lambda *_a, **_k: sites._nodes(tmp_path))
    assert isinstance(run("show").exception, Refused)
