"""`hactl doctor` as an operator types it: what was broken on purpose is found, and how long it takes."""

from __future__ import annotations

import json
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import pytest

from hactl.lab import faults
from tests.support.labs import Site
from tests.support.terminal import terminal

QUICK = 12.0  # s; five machines on two cores, and a whole test beside it
LATEST = 25.0  # s; with a node that answers nothing
MUCH = ["/bin/sh", "-c"]


def argv(site: Site, *words: str) -> list[str]:
    return [sys.executable, "-m", "hactl", "--spec", str(site.lab.folder.spec), *words]


def doctor(site: Site, within: float = LATEST) -> dict[str, Any]:
    began = time.monotonic()
    done = subprocess.run(
        argv(site, "doctor", "-o", "json"), capture_output=True, text=True, timeout=60, check=False
    )
    assert time.monotonic() - began < within, done.stderr
    assert done.returncode in {0, 7}, done.stderr
    found: dict[str, Any] = json.loads(done.stdout)
    return found


def codes(found: dict[str, Any], *severities: str) -> set[tuple[str, str]]:
    wanted = severities or ("warning", "error")
    return {(f["code"], f["subject"]) for f in found["findings"] if f["severity"] in wanted}


@contextmanager
def undone(site: Site, node: str, do: Sequence[str], undo: Sequence[str]) -> Iterator[None]:
    site.lab.exec(node, list(do), within=20)
    try:
        yield
    finally:
        site.lab.exec(node, list(undo), within=20)


def test_a_healthy_installation_passes_within_seconds(site: Site) -> None:
    site.healthy()
    found = doctor(site, QUICK)
    assert codes(found) == set()
    # What a lab cannot have, and what nobody did in it.
    told = {code for code, _ in codes(found, "info")}
    assert told <= {
        "WATCHDOG_NONE", "BACKUP_UNKNOWN", "DRILL_NONE", "CLOCK_FREE", "ETCD_LEADER_ON_PRIMARY",
        "TLS_NOT_CHECKED",
    }  # fmt: skip


def test_a_cable_that_is_cut_between_two_nodes_is_found_and_named(site: Site) -> None:
    witness, standby = next(iter(site.lab.spec.witnesses)), site.standby
    with faults.injected(site.lab, "cut", witness, standby):
        found = doctor(site)
    missed = {s for code, s in codes(found) if code == "PORT_UNREACHABLE"}
    assert {witness, standby} <= missed
    about = ("PORT_UNREACHABLE", standby)
    said = next(f["detail"] for f in found["findings"] if (f["code"], f["subject"]) == about)
    assert f"no answer for {witness}" in said


def test_a_port_that_a_filter_rejects_is_told_from_one_that_is_dropped(site: Site) -> None:
    standby = site.standby
    chain = "type filter hook input priority -200; tcp dport 8008 reject with tcp reset;"
    add = [*MUCH, f"printf '%s\\n' 'table inet acceptance {{ chain i {{ {chain} }}; }}' | nft -f -"]
    with undone(site, standby, add, ["nft", "delete", "table", "inet", "acceptance"]):
        found = doctor(site)
    said = [f["detail"] for f in found["findings"] if f["code"] in {"PORT_UNREACHABLE", "PATRONI_DOWN"}]
    assert said, codes(found)


def test_a_second_machine_with_the_virtual_ip_is_found(site: Site) -> None:
    vip = str(site.lab.spec.vips.database.address.ip)
    witness = next(iter(site.lab.spec.witnesses))
    own = ["ip", "address", "add", f"{vip}/32", "dev", "host0"]
    with undone(site, witness, own, ["ip", "address", "del", f"{vip}/32", "dev", "host0"]):
        found = doctor(site)
    assert "VIP_ON_TWO_NODES" in {code for code, _ in codes(found)}


def test_upgrades_that_would_come_by_themselves_are_found(site: Site) -> None:
    standby = site.standby
    conf, program = "/etc/apt/apt.conf.d/99acceptance", "/usr/bin/unattended-upgrade"
    timer = "apt-daily-upgrade.timer"
    do = f"""
        echo 'APT::Periodic::Unattended-Upgrade "1";' > {conf}
        [ -e {program} ] || touch {program}
        systemctl unmask {timer}; systemctl enable {timer}
    """
    undo = f"""
        rm -f {conf}
        [ -s {program} ] || rm -f {program}
        systemctl disable {timer}; systemctl mask {timer}
    """
    with undone(site, standby, [*MUCH, do], [*MUCH, undo]):
        found = doctor(site)
    assert ("UPGRADES_UNATTENDED", standby) in codes(found)


def test_a_file_that_somebody_changed_is_found(site: Site) -> None:
    witness = next(iter(site.lab.spec.witnesses))
    path = "/etc/prometheus/hactl.yml"
    do = [*MUCH, f"cp -p {path} {path}.was; echo '# by hand' >> {path}"]
    with undone(site, witness, do, [*MUCH, f"mv {path}.was {path}"]):
        found = doctor(site)
    assert ("FILES_DIFFER", witness) in codes(found)


def test_what_somebody_set_by_alter_system_is_found(site: Site) -> None:
    standby = site.standby
    psql = ["runuser", "-u", "postgres", "--", "psql", "-XAtqc"]
    reload = "select pg_reload_conf()"
    site.lab.exec(standby, [*psql, "alter system set full_page_writes = off"], within=20)
    try:
        site.lab.exec(standby, [*psql, reload], within=20)
        time.sleep(1)
        found = codes(doctor(site))
    finally:
        site.lab.exec(standby, [*psql, "alter system reset full_page_writes"], within=20)
        site.lab.exec(standby, [*psql, reload], within=20)
    assert ("REWIND_IMPOSSIBLE", standby) in found
    assert "CONFIG_DRIFT" in {code for code, _ in found}


@pytest.mark.parametrize("kind", ["isolate", "freeze"])
def test_a_node_that_answers_nothing_delays_it_by_little(site: Site, kind: str) -> None:
    """And is not said once more for each of its ports."""
    standby = site.standby
    with faults.injected(site.lab, kind, standby):
        time.sleep(3)
        found = doctor(site)
    assert ("NODE_UNREACHABLE", standby) in codes(found)
    assert ("PORT_UNREACHABLE", standby) not in codes(found)
    site.healthy()


def test_without_a_majority_of_etcd_it_works(site: Site) -> None:
    lost = [site.standby, *site.lab.spec.witnesses]
    for node in lost:
        site.lab.exec(node, ["systemctl", "stop", "etcd.service"], within=30)
    try:
        found = doctor(site)
    finally:
        for node in lost:
            site.lab.exec(node, ["systemctl", "start", "etcd.service"], within=60)
    assert "ETCD_NO_QUORUM" in {code for code, _ in codes(found)} or any(
        f["code"] == "SOURCE_UNKNOWN" and f["subject"] == "etcd" for f in found["findings"]
    )
    site.healthy()


def test_in_a_terminal_it_says_for_whom_it_waits_and_cleans_up(site: Site) -> None:
    with terminal(argv(site, "doctor")) as screen:
        screen.until("what it waits for", lambda lines: any("waiting for " in line for line in lines), 20)
        done = screen.until("the end", lambda lines: any("BACKUP_UNKNOWN" in line for line in lines), 40)
    assert not any("waiting for " in line for line in done)
