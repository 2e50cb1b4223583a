from __future__ import annotations

import dataclasses
import json
import time
from collections.abc import Callable
from typing import Any

import pytest
import yaml

from hactl.cli import doctor, status
from hactl.cli.app import main
from hactl.cli.status_data import document
from hactl.decide.health import judge
from hactl.view.cluster import ClusterView
from hactl.view.mute import Mute
from tests.support.views import SAMPLE, after, demo_spec, healthy, host_lost, look, vip

LOST = after(host_lost("db1"), vip("database", None))


def data(view: ClusterView) -> dict[str, Any]:
    return document(demo_spec(), view, judge(demo_spec(), view))


def call(*argv: str) -> int:
    with pytest.raises(SystemExit) as ended:
        main(["--spec", str(SAMPLE), *argv])
    return int(ended.value.code or 0)


@pytest.fixture
def sees(monkeypatch: pytest.MonkeyPatch) -> Callable[..., None]:
    """Makes `status` see these views one after the other; when they are used up, Ctrl-C is pressed."""

    def install(*views: ClusterView) -> None:
        left = [data(v) for v in views]

        def look() -> dict[str, Any]:
            if not left:
                raise KeyboardInterrupt
            return left.pop(0)

        monkeypatch.setattr(status, "looker", lambda _: look)
        monkeypatch.setattr(time, "sleep", lambda _: None)

    return install


Sees = Callable[..., None]
Out = pytest.CaptureFixture[str]


def test_the_table_has_the_verdict_first(sees: Sees, capsys: Out) -> None:
    sees(LOST)
    assert call("status") == 0
    lines = capsys.readouterr().out.splitlines()
    assert lines[0].startswith("demo: failed")
    assert "PRIMARY_UNREACHABLE db1" in lines[1]
    text = "\n".join(lines)
    for word in ("192.0.2.21", "standby", "L2", "wit1", "no known node", "etcd: 2 of 3 members"):
        assert word in text


def test_the_table_of_a_healthy_installation(sees: Sees, capsys: Out) -> None:
    sees(healthy())
    assert call("status") == 0
    text = capsys.readouterr().out
    assert "demo: healthy" in text
    assert "primary db1, virtual IP 192.0.2.100 on db1" in text
    assert "next:" not in text


def test_json_and_yaml_are_the_same_document(sees: Sees, capsys: Out) -> None:
    sees(healthy(), healthy())
    call("status", "-o", "json")
    first = json.loads(capsys.readouterr().out)
    call("status", "-o", "yaml")
    assert yaml.safe_load(capsys.readouterr().out) == first
    assert (first["version"], first["verdict"]) == (1, "healthy")


@pytest.mark.parametrize(("view", "code"), [(healthy(), 0), (LOST, 7), (after(host_lost("wit1")), 7)])
def test_check_is_an_exit_code(view: ClusterView, code: int, sees: Sees, capsys: Out) -> None:
    sees(view)
    assert call("status", "--check") == code
    assert "demo" in capsys.readouterr().out


def test_watch_without_a_terminal_prints_blocks_until_it_is_interrupted(sees: Sees, capsys: Out) -> None:
    sees(healthy(), LOST)
    assert call("status", "--watch") == 0
    heads = [line for line in capsys.readouterr().out.splitlines() if line.startswith("demo: ")]
    assert [head.split()[1] for head in heads] == ["healthy", "failed"]


def test_watch_as_json_is_one_line_per_look(sees: Sees, capsys: Out) -> None:
    sees(healthy(), LOST)
    assert call("status", "--watch", "0.5", "-o", "json") == 0
    verdicts = [json.loads(line)["verdict"] for line in capsys.readouterr().out.splitlines()]
    assert verdicts == ["healthy", "failed"]


def test_watch_as_yaml_is_one_document_per_look(sees: Sees, capsys: Out) -> None:
    sees(healthy(), LOST)
    assert call("status", "--watch", "-o", "yaml") == 0
    documents = list(yaml.safe_load_all(capsys.readouterr().out))
    assert [d["verdict"] for d in documents] == ["healthy", "failed"]


def test_check_and_watch_exclude_each_other(sees: Sees, capsys: Out) -> None:
    sees()
    assert call("status", "--watch", "--check") == 2
    assert "--watch never ends" in capsys.readouterr().err


FINDING = {
    "code": "CLOCK_SKEW", "severity": "warning", "subject": "db1", "summary": "a node's clock differs",
    "detail": "2.5 s behind this machine", "why": "Certificates depend on it.", "fix": "timedatectl, on db1",
    "docs": "docs/codes/CLOCK_SKEW.md",
}  # fmt: skip


def test_the_doctor_names_reason_and_next_command(monkeypatch: pytest.MonkeyPatch, capsys: Out) -> None:
    monkeypatch.setattr(doctor, "examine", lambda _: ([FINDING], [], 1.0))
    assert call("doctor") == 7
    out, err = capsys.readouterr()
    for part in ("CLOCK_SKEW db1", "2.5 s behind", "Certificates depend", "next: timedatectl"):
        assert part in out
    assert "1 of 1 findings" in err


def test_information_alone_leaves_the_doctor_content(monkeypatch: pytest.MonkeyPatch, capsys: Out) -> None:
    monkeypatch.setattr(doctor, "examine", lambda _: ([{**FINDING, "severity": "info"}], [], 1.0))
    assert call("doctor", "-o", "json") == 0
    assert json.loads(capsys.readouterr().out)["findings"][0]["code"] == "CLOCK_SKEW"


def test_a_doctor_without_findings_says_so(monkeypatch: pytest.MonkeyPatch, capsys: Out) -> None:
    monkeypatch.setattr(doctor, "examine", lambda _: ([], [], 1.0))
    assert call("doctor") == 0
    assert "nothing found" in capsys.readouterr().out


def test_what_is_muted_does_not_count_for_the_doctor(monkeypatch: pytest.MonkeyPatch, capsys: Out) -> None:
    mute = {"muted_by": "operator anna", "muted_until": "2026-11-22T18:30:00+00:00", "muted_why": "known"}
    monkeypatch.setattr(doctor, "examine", lambda _: ([], [{**FINDING, **mute}], 1.0))
    assert call("doctor") == 0
    assert "muted: CLOCK_SKEW db1 until 2026-11-22T18:30Z, by operator anna: known" in capsys.readouterr().out


def test_what_is_muted_does_not_count_for_status(sees: Sees, capsys: Out) -> None:
    codes = {f.code.name for f in judge(demo_spec(), LOST).findings}
    mutes = [Mute(code, "", "operator anna", "", "error", 9, 0.0, 1_800_003_600.0) for code in codes]
    lost = dataclasses.replace(LOST, control=look(mutes=tuple(mutes)))
    sees(lost)
    assert call("status", "--check") == 0
    out = capsys.readouterr().out
    assert "demo: healthy" in out
    assert "VIP_NOT_HELD database until 09:00Z" in out
