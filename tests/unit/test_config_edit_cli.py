"""`hactl config edit · rollback · history` as an operator types them, on an installation from memory."""

from __future__ import annotations

import json
import os
from pathlib import Path

import pytest

from hactl.cli.app import main
from hactl.errors import StepFailed
from tests.support.config_world import KEYS, World, world
from tests.support.settings import setting

Out = pytest.CaptureFixture[str]


@pytest.fixture
def site(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> World:
    return world(tmp_path, monkeypatch)


def call(site: World, *words: str) -> int:
    with pytest.raises(SystemExit) as caught:
        main(["--spec", str(site.source), "config", *words])
    return int(caught.value.code or 0)


def test_a_value_is_recorded_written_deployed_and_in_the_journal(site: World, capsys: Out) -> None:
    before = site.source.read_text()
    assert call(site, "edit", "--set", "work_mem=64MB", "--reason", "slow lists", "--yes") == 0
    said = capsys.readouterr().out
    assert "work_mem: (default) -> 64MB, by a reload" in said
    assert (
        "+database: {version: 15, name: orthanc, parameters: {max_connections: 200, work_mem: 64MB}}" in said
    )
    after = site.source.read_text()
    assert after == before.replace("{max_connections: 200}", "{max_connections: 200, work_mem: 64MB}")
    assert site.versions == [(1, "deploy", True), (2, "edit", True)]
    (request,) = site.requests
    assert (request.restarts, request.limit, request.check) == (False, None, False)
    record = site.journal()[0]
    assert (record.action, record.data["reason"]) == ("config-change", "slow lists")
    assert record.data["changes"] == {"work_mem": ["", "64MB"]}


def test_a_restart_is_named_and_not_done(site: World, capsys: Out) -> None:
    assert call(site, "edit", "--set", "max_connections=300", "--yes") == 0
    said = capsys.readouterr().out
    assert (
        "max_connections: taken over by a restart of PostgreSQL on db1, db2: hactl node restart --all" in said
    )


def test_what_else_starts_anew_is_said(site: World, capsys: Out) -> None:
    assert call(site, "edit", "--set", "max_connections=40", "--dry-run") == 0
    said = capsys.readouterr().out
    assert "warning: orthanc.service is restarted on arc1, arc2" in said, "their pools are made smaller"
    assert "outage of seconds" in said


def test_a_dry_run_and_a_no_change_nothing(site: World, capsys: Out) -> None:
    before = (site.source.read_text(), site.versions, site.etcd.keys())
    assert call(site, "edit", "--set", "work_mem=64MB", "--dry-run") == 0
    assert "work_mem: (default) -> 64MB" in capsys.readouterr().out
    assert call(site, "edit", "--set", "work_mem=64MB") == 3, "nobody is there to be asked"
    assert (site.source.read_text(), site.versions, site.etcd.keys()) == before
    assert site.requests == []


def test_nothing_to_change(site: World, capsys: Out) -> None:
    assert call(site, "edit", "--set", "database.parameters.max_connections=200", "--yes") == 0
    assert "nothing to change" in capsys.readouterr().err
    assert site.versions == [(1, "deploy", True)]


@pytest.mark.parametrize(
    ("words", "code", "said"),
    [
        (("--set", "work_mem=1kB", "--set", "max_connections=10"), 3, "Patroni takes its own 100"),
        (("--set", "work_mem=1kB", "--set", "max_connections=10"), 3, "work_mem must lie between 64kB"),
        (("--set", "ttl=30"), 3, "fencing.lease"),
        (("--set", "fsync=off"), 3, "acknowledged image survives"),
        (("--set", "fencing.lease=2s"), 3, "hactl spec check && hactl deploy"),
        (("--set", "wrk_mem=4MB"), 2, "did you mean work_mem?"),
        (("--set", "search_path=a'b"), 2, "quotes"),
        (("--set", "work_mem"), 2, "write NAME=VALUE"),
        (("--unset", "work_mem"), 2, "the spec does not set work_mem"),
    ],
)
def test_refused_before_anything_is_written(
    site: World, words: tuple[str, ...], code: int, said: str, capsys: Out
) -> None:
    before = site.source.read_text()
    assert call(site, "edit", *words, "--yes") == code
    assert said in capsys.readouterr().err
    assert (site.source.read_text(), site.versions) == (before, [(1, "deploy", True)])


def test_the_server_s_own_word_counts(site: World, capsys: Out) -> None:
    site.refuses = {"timezone": 'invalid value for parameter "TimeZone": "Mars"'}
    assert call(site, "edit", "--set", "log_timezone=Mars", "--yes") == 3
    assert "log_timezone: invalid value" in capsys.readouterr().err


def test_a_cluster_that_is_not_healthy_is_left_alone_unless_forced(site: World, capsys: Out) -> None:
    site.view["paused"] = True
    assert call(site, "edit", "--set", "work_mem=64MB", "--yes") in {0, 3}
    site.silent = {"db1", "db2"}
    assert call(site, "edit", "--set", "work_mem=8MB", "--yes") == 3
    assert "no server tells" in capsys.readouterr().err


def test_a_file_with_changes_of_somebody_is_not_deployed_along(site: World, capsys: Out) -> None:
    site.source.write_text(site.source.read_text().replace("aet: PACS", "aet: OTHER"))
    assert call(site, "edit", "--set", "work_mem=64MB", "--yes") == 3
    assert "changed after version 1" in capsys.readouterr().err
    assert site.requests == []


def test_before_the_first_deployment_that_is_recorded(
    site: World, capsys: Out, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("hactl.act.config_versions.newest", lambda _: None)
    assert call(site, "edit", "--set", "work_mem=64MB", "--yes") == 3
    assert "hactl deploy records the first" in capsys.readouterr().err


def test_what_a_hand_changed_in_patroni_is_said_to_be_put_back(site: World, capsys: Out) -> None:
    site.dcs["postgresql"]["parameters"]["log_statement"] = "all"
    assert call(site, "edit", "--set", "work_mem=64MB", "--dry-run") == 0
    assert "also put back: log_statement in Patroni, all -> (not set)" in capsys.readouterr().out


def test_an_interrupted_edit_is_shown_and_another_is_refused(site: World, capsys: Out) -> None:
    site.fails = StepFailed("db2 does not answer", last_done="etcd", hint="hactl status")
    assert call(site, "edit", "--set", "work_mem=64MB", "--yes") == 5
    said = capsys.readouterr().err
    assert "version 2 is written, and not deployed to the end: db2 does not answer" in said
    assert "hactl deploy finishes it; hactl config rollback 1 goes back" in said
    assert site.versions == [(1, "deploy", True), (2, "edit", False)]
    assert "work_mem: 64MB" in site.source.read_text()
    assert call(site, "edit", "--set", "work_mem=8MB", "--yes") == 3
    assert "was begun and not completed" in capsys.readouterr().err


def test_ctrl_c_says_where_it_stands_and_drift_does_too(
    site: World, capsys: Out, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("hactl.cli.config_drift._files", lambda _: ([], {}))
    site.fails = KeyboardInterrupt()
    assert call(site, "edit", "--set", "work_mem=64MB", "--yes") == 130
    assert "version 2 is not deployed to the end: hactl deploy finishes it" in capsys.readouterr().err
    assert site.etcd.value(KEYS.operation) is None
    assert call(site, "drift", "-o", "json") == 7
    told = json.loads(capsys.readouterr().out)
    assert [(d["kind"], d["name"]) for d in told["drift"]] == [("spec", "spec"), ("dcs", "work_mem")]


def test_back_to_an_earlier_version_is_a_new_one(site: World, capsys: Out) -> None:
    before = site.source.read_text()
    assert call(site, "edit", "--set", "work_mem=64MB", "--yes") == 0
    assert call(site, "rollback", "1", "--dry-run") == 0
    assert "work_mem: 64MB -> (default)" in capsys.readouterr().out
    assert call(site, "rollback", "1", "--yes", "--reason", "worse") == 0
    assert site.source.read_text() == before
    assert site.versions == [(1, "deploy", True), (2, "edit", True), (3, "rollback to 1", True)]
    assert call(site, "rollback", "1", "--yes") == 0
    assert "is as it was in version 1" in capsys.readouterr().err
    assert call(site, "rollback", "9", "--yes") == 2


def test_an_interrupted_edit_is_rolled_back(site: World) -> None:
    site.fails = StepFailed("no")
    assert call(site, "edit", "--set", "work_mem=64MB", "--yes") == 5
    site.fails = None
    assert call(site, "rollback", "1", "--yes") == 0
    assert site.versions[-1] == (3, "rollback to 1", True)


def test_tokens_come_back_from_today_s_file(site: World) -> None:
    text = site.source.read_text() + "notify: [{webhook: https://hooks.example.org/T0KEN}]\n"
    site.source.write_text(text)
    site.deployed()
    assert call(site, "edit", "--set", "work_mem=64MB", "--yes") == 0
    assert all("T0KEN" not in (site.etcd.value(key) or "") for key in list(site.etcd.keys()))
    assert call(site, "rollback", "2", "--yes") == 0
    assert site.source.read_text() == text


def test_the_file_keeps_its_rights_and_a_link_stays_one(site: World, tmp_path: Path) -> None:
    real = tmp_path / "git" / "demo.yaml"
    real.parent.mkdir()
    site.source.rename(real)
    real.chmod(0o640)
    site.source.symlink_to(real)
    assert call(site, "edit", "--set", "work_mem=64MB", "--yes") == 0
    assert site.source.is_symlink()
    assert real.stat().st_mode & 0o777 == 0o640
    assert "work_mem" in real.read_text()


def test_a_file_that_changes_meanwhile_stops_it(
    site: World, capsys: Out, monkeypatch: pytest.MonkeyPatch
) -> None:
    def meant(*_: object, **__: object) -> None:
        site.source.write_text(site.source.read_text() + "# me too\n")

    monkeypatch.setattr("hactl.cli.operator.meant", meant)
    assert call(site, "edit", "--set", "work_mem=64MB") == 3
    assert "has just been changed" in capsys.readouterr().err
    assert site.versions == [(1, "deploy", True)]


def editor(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, script: str) -> None:
    program = tmp_path / "editor"
    program.write_text(f"#!/bin/sh\nsleep 0.01\n{script}\n")
    program.chmod(0o755)
    monkeypatch.setenv("EDITOR", str(program))
    monkeypatch.delenv("VISUAL", raising=False)


def test_in_an_editor(site: World, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: Out) -> None:
    editor(
        tmp_path,
        monkeypatch,
        """printf 'work_mem: 8MB\\nautovacuum: off\\n' > "$1"; touch -d '1 hour' "$1" """,
    )
    assert call(site, "edit", "--yes") == 0
    assert "parameters: {work_mem: 8MB, autovacuum: false}" in site.source.read_text()
    editor(tmp_path, monkeypatch, """printf 'work_mem: [1]\\n' > "$1"; touch -d '1 hour' "$1" """)
    assert call(site, "edit", "--yes") == 3
    assert "work_mem has none, or more than one" in capsys.readouterr().err
    editor(tmp_path, monkeypatch, "true")
    assert call(site, "edit", "--yes") == 0
    assert "nothing to change" in capsys.readouterr().err


def test_json_of_an_edit(site: World, capsys: Out) -> None:
    assert call(site, "edit", "--set", "max_connections=300", "--yes", "-o", "json") == 0
    told = json.loads(capsys.readouterr().out)
    assert told["applied"] is True
    assert told["changes"] == [{"name": "max_connections", "before": "200", "after": "300", "restart": True}]
    assert {d["node"] for d in told["pending_restarts"]} == {"db1", "db2"}


def test_history(site: World, capsys: Out) -> None:
    call(site, "edit", "--set", "work_mem=64MB", "--reason", "slow lists", "--yes")
    call(site, "edit", "--set", "work_mem=8MB", "--yes")
    capsys.readouterr()
    assert call(site, "history") == 0
    lines = capsys.readouterr().out.splitlines()
    assert [line.split()[0] for line in lines] == ["VERSION", "3", "2", "1"]
    assert lines[2].endswith("slow lists")
    assert call(site, "history", "--diff", "2") == 0
    assert "+database: {version: 15, name: orthanc" in capsys.readouterr().out
    assert call(site, "history", "--diff", "3", "--against", "1") == 0
    assert "work_mem: 8MB" in capsys.readouterr().out
    assert call(site, "history", "--show", "2") == 0
    assert "work_mem: 64MB" in capsys.readouterr().out
    assert call(site, "history", "--against", "2") == 2
    assert call(site, "history", "-o", "json") == 0
    assert [v["number"] for v in json.loads(capsys.readouterr().out)["versions"]] == [1, 2, 3]


def test_drift_says_what_and_what_ends_it(site: World, capsys: Out, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("hactl.cli.config_drift._files", lambda _: ([], {}))
    assert call(site, "drift") == 0
    assert capsys.readouterr().out == ""
    site.dcs["ttl"] = 10
    site.nodes["db2"]["work_mem"] = setting("work_mem", value="1024", file="/x/postgresql.auto.conf")
    site.source.write_text(site.source.read_text() + "# later\n")
    assert call(site, "drift") == 7
    said = capsys.readouterr()
    assert "ALTER SYSTEM RESET work_mem" in said.out
    assert "changed after version 1" in said.out
    assert "CONFIG_DRIFT: 3 differences" in said.err
    assert call(site, "drift", "-o", "json") == 7
    told = json.loads(capsys.readouterr().out)
    assert [d["kind"] for d in told["drift"]] == ["spec", "clamped", "running"]


def test_drift_lists_pending_restarts_with_the_command(
    site: World, capsys: Out, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("hactl.cli.config_drift._files", lambda _: ([], {}))
    call(site, "edit", "--set", "max_connections=300", "--yes")
    capsys.readouterr()
    assert call(site, "drift") == 7
    said = capsys.readouterr()
    assert "hactl node restart --all --pending" in said.out
    assert "2 pending restarts" in said.err


def test_what_cannot_be_asked_is_no_agreement(
    site: World, capsys: Out, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("hactl.cli.config_drift._files", lambda _: ([], {}))
    site.silent = {"db2"}
    assert call(site, "drift") == 4
    assert "not asked: db2: db2 is off" in capsys.readouterr().err


def test_show(site: World, capsys: Out, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("hactl.cli.config_show._files", lambda _: ([], {}))
    site.dcs["ttl"] = 10
    assert call(site, "show") == 0
    said = capsys.readouterr().out
    (ttl,) = [line for line in said.splitlines() if line.startswith("ttl ")]
    assert ttl.endswith("takes effect as 20")
    (row,) = [line.split() for line in said.splitlines() if line.startswith("max_connections ")]
    assert row == ["max_connections", "200", "spec", "200", "200", "200"]
    assert call(site, "show", "work_mem") == 0
    assert "work_mem on db2: from configuration file; changed by a reload" in capsys.readouterr().out
    assert call(site, "show", "work_mem", "-o", "json") == 0
    (told,) = json.loads(capsys.readouterr().out)["settings"]
    assert told["nodes"]["db1"]["change"] == "reload"


def test_on_a_node_nothing_is_edited(site: World, capsys: Out, monkeypatch: pytest.MonkeyPatch) -> None:
    import dataclasses

    from hactl import site as sites

    found = sites.find
    monkeypatch.setattr("hactl.site.find", lambda *a, **k: dataclasses.replace(found(*a, **k), on_node=True))
    assert call(site, "edit", "--set", "work_mem=64MB", "--yes") == 3
    assert call(site, "rollback", "1", "--yes") == 3
    assert "where `hactl deploy` runs" in capsys.readouterr().err
    assert os.access(site.source, os.R_OK)
