"""What comes back after hours, ahead of everybody, damaged or with a full disk is brought back by itself."""

from __future__ import annotations

import json
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from hactl import layout
from hactl.lab import faults
from tests.support import control
from tests.support.failovers import AUTOMATIC, fail_over
from tests.support.labs import Site

LIMIT = 14.0  # seconds, on a busy machine
AHEAD = 20  # commits
PATRONICTL = ("/opt/patroni/bin/patronictl", "-c", "/etc/patroni/hactl.yml")
WAL_KEPT = {"max_slot_wal_keep_size": "32MB", "wal_keep_size": "16MB"}
# Eight segments: more than is kept then.
WAL_AWAY = """
do $$ begin
    for n in 1..8 loop
        perform pg_logical_emit_message(false, 'lab', 'away'), pg_switch_wal();
    end loop;
end $$"""


def test_one_that_was_away_for_hours_is_copied_anew_but_not_onto_a_full_disk(site: Site) -> None:
    primary, away = site.primary, site.standby
    nearly_full_costs_the_kept_data(site, away)
    faults.fault("fill-disk", "97").inject(site.lab, away)
    site.lab.power_off(away)
    with little_wal_kept(site, primary):
        site.until("without a standby", lambda s: not s["database"]["members"][1]["sync"], within=30)
        query(site, primary, WAL_AWAY, "checkpoint")
        # After member_slots_ttl Patroni drops a slot; it makes one anew when the member is back.
        query(site, primary, f"select pg_drop_replication_slot('{away}')")
        since = time.time()
        site.power_on(away)
        refused(site, "DISK_FULL", since)
        assert acts_on(site, away, since) == [], "nothing is copied onto a full disk"
        faults.fault("fill-disk").heal(site.lab, away)  # type: ignore[misc]
        rejoined(site, away)
    assert acts_on(site, away, since) == ["reinitialize"]
    assert there(site, away, kept(site)), "the old data are set aside"


def nearly_full_costs_the_kept_data(site: Site, node: str) -> None:
    """The warning comes while there is room, and what hactl itself keeps there is given up."""
    site.lab.exec(node, ["runuser", "-u", "postgres", "--", "mkdir", "-p", kept(site)])
    with_room = site.status()
    assert "DISK_NEARLY_FULL" not in codes(with_room)
    faults.fault("fill-disk", "88").inject(site.lab, node)
    site.until("warned", lambda s: ("DISK_NEARLY_FULL", node) in found(s), within=30)
    site.lab.exec(node, ["systemctl", "start", "hactl-kept.service"])  # its timer's turn comes each 5 min
    assert not there(site, node, kept(site))


def test_one_that_ran_ahead_is_rewound_and_what_it_alone_had_is_counted(site: Site) -> None:
    since = time.time()
    query(site, site.primary, "create table if not exists ahead (n int)")
    try:
        done = fail_over(site, "ran-ahead", lambda node: run_ahead(site, node), limit=LIMIT)
        phases = [p["phase"] for p in done.incident["phases"]]
        assert [p for p in phases if p in AUTOMATIC] == list(AUTOMATIC)
        assert done.incident["lost_commits"]["commits"] >= AHEAD
        for node in site.lab.spec.databases:
            assert query(site, node, "select count(*) from ahead") == "0", "never acknowledged as safe"
        assert acts_on(site, done.victim, since) == [], "Patroni rewinds it by itself"
    finally:
        query(site, site.primary, "drop table ahead")
    control.hactl(site.lab, "journal", "verify")


def run_ahead(site: Site, node: str) -> None:
    """Commits that nobody else gets: their sessions do not wait for the standby, as no application's may."""
    other = next(n for n in site.lab.spec.databases if n != node)
    with faults.injected(site.lab, "one-way", node, other):
        query(site, node, "set synchronous_commit = local", *["insert into ahead values (1)"] * AHEAD)
        site.lab.power_off(node)


def test_damaged_data_are_set_aside_and_copied_anew_but_never_without_a_primary(site: Site) -> None:
    primary, damaged = site.primary, site.standby
    since = time.time()
    site.lab.exec(damaged, ["truncate", "--size=0", f"{data(site)}/global/pg_control"])
    site.lab.power_off(damaged)
    site.lab.power_off(primary)
    site.power_on(damaged)
    time.sleep(10)
    assert there(site, damaged, f"{data(site)}/PG_VERSION"), "it may be the last copy there is"
    site.power_on(primary)
    rejoined(site, damaged)
    assert acts_on(site, damaged, since) == ["reinitialize"]
    assert there(site, damaged, f"{kept(site)}/PG_VERSION"), "the old data are set aside"


@contextmanager
def little_wal_kept(site: Site, node: str) -> Iterator[None]:
    ours = json.loads(site.lab.exec(node, ["cat", str(layout.DCS_CONFIG)]).out)["postgresql"]["parameters"]
    try:
        edit_config(site, node, WAL_KEPT)
        yield
    finally:
        edit_config(site, node, {name: ours[name] for name in WAL_KEPT})


def edit_config(site: Site, node: str, parameters: dict[str, Any]) -> None:
    words = [w for n, v in parameters.items() for w in ("-s", f"postgresql.parameters.{n}={v}")]
    argv = [*PATRONICTL, "edit-config", site.lab.spec.cluster, "--force", "--quiet", *words]
    site.lab.exec(node, argv, within=60)


def query(site: Site, node: str, *sql: str) -> str:
    """As postgres, in one session; what the last one gave."""
    words = [word for text in sql for word in ("-c", text)]
    argv = ["runuser", "-u", "postgres", "--", "psql", "-XAtq", "-v", "ON_ERROR_STOP=1", *words]
    return site.lab.exec(node, argv, within=60).out.strip()


def data(site: Site) -> str:
    return str(layout.pg_data(site.lab.spec.database.version))


def kept(site: Site) -> str:
    return f"{data(site)}.kept"


def there(site: Site, node: str, path: str) -> bool:
    return site.lab.exec(node, ["test", "-e", path], check=False).code == 0


def found(status: dict[str, Any]) -> set[tuple[str, str]]:
    return {(r["code"], r["subject"]) for r in status["reasons"]}


def codes(status: dict[str, Any]) -> set[str]:
    return {code for code, _ in found(status)}


def rejoined(site: Site, node: str) -> None:
    """As a synchronous standby that streams."""

    def is_so(status: dict[str, Any]) -> bool:
        member = {m["name"]: m for m in status["database"]["members"]}.get(node, {})
        return (member.get("role"), member.get("state"), member.get("sync")) == ("standby", "streaming", True)

    site.until(f"back with {node}", is_so, within=150)


def refused(site: Site, code: str, since: float) -> None:
    """The active controller said that it does not do what it would, and why."""
    argv = ["journalctl", "--unit", control.CONTROLLER, f"--since=@{int(since)}", "--output=cat"]
    deadline = time.monotonic() + 90
    while time.monotonic() < deadline:
        at = control.active_controller(site.lab)
        if f'"{code}"' in site.lab.exec(at, argv).out:
            return
        time.sleep(1)
    raise AssertionError(f"no veto {code}")


def acts_on(site: Site, node: str, since: float) -> list[str]:
    """What hactl did to the node since then (wall clock)."""
    rows = control.hactl(site.lab, "history")["events"]
    mine = [
        r for r in rows if r["subject"].split()[0] == node and r["what"] in {"reinitialize", "give-order"}
    ]
    return [r["what"] for r in mine if r["at"] >= time.strftime("%Y-%m-%dT%H:%M:%S", time.gmtime(since))]
