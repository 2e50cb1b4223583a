"""Where spec, Patroni and servers disagree: one row each."""

from __future__ import annotations

import dataclasses
from typing import Any

import pytest

from hactl.decide.config_drift import Kind, Origin, Wanted, deviations, of_versions, rows
from hactl.view.config_version import ConfigVersion, digest_of
from hactl.view.setting import Running, Setting
from tests.support.settings import running, setting

AUTO = "/var/lib/postgresql/15/hactl/postgresql.auto.conf"


def config(**parameters: Any) -> dict[str, Any]:
    postgresql = {"use_slots": True, "parameters": parameters}
    return {"ttl": 20, "loop_wait": 1, "retry_timeout": 5, "postgresql": postgresql}


WANTED = Wanted(config(work_mem="4MB", max_connections=200), frozenset({"work_mem"}), {"autovacuum": "on"})
SAME = config(work_mem="4MB", max_connections=200)


def found(dcs: dict[str, Any] | None, **servers: Running) -> list[tuple[str, str, str, str]]:
    servers = servers or {"db1": running(), "db2": running()}
    return [(d.kind.value, d.name, d.where, d.found) for d in deviations(WANTED, dcs, servers)]


def test_nothing_to_say() -> None:
    assert found(SAME) == []
    assert found(config(work_mem=4096, max_connections="200")) == [], "the same in other words"


def test_by_hand_in_patroni_the_servers_follow_it() -> None:
    changed = running(work_mem=setting("work_mem", value="8192", shown="8MB"))
    assert found(config(work_mem="8MB", max_connections=200), db1=changed, db2=changed) == [
        ("dcs", "work_mem", "", "8MB")
    ]


def test_a_server_that_does_not_follow_is_one_more() -> None:
    assert found(config(work_mem="8MB", max_connections=200)) == [
        ("dcs", "work_mem", "", "8MB"),
        ("running", "work_mem", "db1", "4MB"),
        ("running", "work_mem", "db2", "4MB"),
    ]


def test_missing_and_added_in_patroni() -> None:
    dcs = {**config(max_connections=200, log_statement="all"), "synchronous_node_count": 2, "pause": True}
    kinds = {(d.name, d.wanted, d.found): d.fix for d in deviations(WANTED, dcs, {})}
    assert kinds[("work_mem", "4MB", "")] == "hactl deploy"
    assert kinds[("log_statement", "", "all")] == "hactl deploy"
    assert "patronictl edit-config" in kinds[("synchronous_node_count", "", "2")]
    assert len(kinds) == 3, "a pause is a finding of its own"


def test_patroni_goes_by_another_value_than_is_written() -> None:
    dcs = {**SAME, "ttl": 10}
    (d,) = deviations(WANTED, dcs, {"db1": running()})
    assert (d.kind, d.name, d.wanted, d.found) == (Kind.CLAMPED, "ttl", "20", "10")
    assert d.detail == "Patroni goes by 20: the least is 20"
    (row,) = [r for r in rows(WANTED, dcs, {}) if r.name == "ttl"]
    assert (row.dcs, row.effective, row.origin) == ("10", "20", Origin.HACTL)


def test_one_value_that_is_replaced_because_of_another_is_named_too() -> None:
    said = {d.name: d.detail for d in deviations(WANTED, {**SAME, "retry_timeout": 12}, {})}
    assert set(said) == {"retry_timeout"}
    assert "Patroni goes by 9" in said["retry_timeout"]
    said = {d.name: d.detail for d in deviations(WANTED, {**SAME, "loop_wait": 15}, {})}
    assert "Patroni goes by 10: loop_wait + 2 * retry_timeout must not exceed ttl" in said["loop_wait"]


@pytest.mark.parametrize(
    ("value", "detail"), [("8192", "set by ALTER SYSTEM"), ("4096", "set by ALTER SYSTEM, to the same value")]
)
def test_alter_system_is_named_with_what_ends_it(value: str, detail: str) -> None:
    changed = running(work_mem=setting("work_mem", value=value, shown="x", file=AUTO))
    (d,) = deviations(WANTED, SAME, {"db1": running(), "db2": changed})
    assert (d.kind, d.where, d.detail) == (Kind.RUNNING, "db2", detail)
    assert d.fix.startswith("ALTER SYSTEM RESET work_mem")


def test_alter_system_of_what_nobody_else_sets() -> None:
    changed = running(log_statement=setting("log_statement", value="all", shown="all", file=AUTO))
    assert found(SAME, db1=changed) == [("running", "log_statement", "db1", "all")]


def test_nothing_is_a_pinned_value_too() -> None:
    command = Setting("archive_command", "string", "(disabled)", "(disabled)", context="sighup")
    wanted = Wanted({}, pinned={"archive_command": ""})
    assert deviations(wanted, {}, {"db1": Running({"archive_command": command})}) == ()
    ill = dataclasses.replace(command, value="rm -rf /", shown="rm -rf /", source="configuration file")
    (found,) = deviations(wanted, {}, {"db1": Running({"archive_command": ill})})
    assert (found.name, found.where, found.wanted) == ("archive_command", "db1", "")


def test_what_is_pinned_on_the_nodes_counts() -> None:
    changed = running(autovacuum=setting("autovacuum", value="off", shown="off", file="/x/postgresql.conf"))
    assert found(SAME, db1=changed) == [("running", "autovacuum", "db1", "off")]


@pytest.mark.parametrize("said", [True, False])
def test_a_restart_that_is_waited_for_is_no_mystery(*, said: bool) -> None:
    waits = running()
    if said:
        waits = Running(waits.settings, {"max_connections": ("200", "300")})
    (first, second) = deviations(WANTED, config(work_mem="4MB", max_connections=300), {"db1": waits})
    assert first.kind is Kind.DCS
    assert (second.kind, second.wanted, second.found) == (Kind.PENDING, "300", "200")
    assert "restart --all" in second.fix


def test_a_value_of_the_askers_session_says_nothing() -> None:
    mine = running(work_mem=setting("work_mem", value="1", shown="1kB", source="user"))
    assert found(SAME, db1=mine) == []


def test_without_patroni_the_servers_go_by_the_spec() -> None:
    changed = running(work_mem=setting("work_mem", value="8192", shown="8MB"))
    assert found(None, db1=changed) == [("running", "work_mem", "db1", "8MB")]


def test_where_a_value_comes_from() -> None:
    table = {r.name: r for r in rows(WANTED, SAME, {"db1": running()})}
    assert (table["work_mem"].origin, table["max_connections"].origin) == (Origin.SPEC, Origin.HACTL)
    assert (table["autovacuum"].origin, table["autovacuum"].wanted) == (Origin.PINNED, "on")
    assert "timezone" not in table
    assert "timezone" in {r.name for r in rows(WANTED, SAME, {"db1": running()}, whole=True)}


def version(text: str, applied: str) -> ConfigVersion:
    return ConfigVersion(
        4, "anna", "desk", "2026-01-01T00:00:00", "edit", "", digest_of(text), text, "", applied
    )


@pytest.mark.parametrize(
    ("newest", "detail", "fix"),
    [
        (None, "", ""),
        (version("spec", "now"), "", ""),
        (version("spec", ""), "not completed", "hactl deploy"),
        (version("other", "now"), "was changed after version 4", "hactl deploy"),
        (version("other", ""), "the file does not have it", "hactl config rollback 4"),
    ],
)
def test_the_file_and_the_newest_version(newest: ConfigVersion | None, detail: str, fix: str) -> None:
    said = of_versions(newest, "spec")
    assert bool(said) == bool(detail)
    for d in said:
        assert detail in d.detail
        assert d.fix.startswith(fix)
