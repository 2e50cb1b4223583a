"""The doctor's preflight: of each check a node that is fit, one that is not, one that could not be asked."""

from __future__ import annotations

import dataclasses
from typing import Any

import pytest

from hactl.decide.codes import Finding, Severity
from hactl.decide.preconditions import examine
from hactl.render.patroni import dynamic
from hactl.units import Bytes
from hactl.view.drill import LastDrill
from hactl.view.model import Disk, EtcdMember, Unknown
from hactl.view.preflight import ArpLook, Reach, Reached, Slot, Upgrades
from tests.support.nodes import maintained, world
from tests.support.snapshots import fence
from tests.support.views import (
    Change,
    after,
    archive_lost,
    backed_up,
    config,
    demo_spec,
    etcd_lost,
    facts,
    files_of,
    host_lost,
    keys,
    patroni_lost,
    preflight,
    server,
    untold,
    vip,
)

SPEC = backed_up(demo_spec())
WANTED = dynamic(SPEC)
DB1, DB2, STRANGER = "02:00:00:00:00:01", "02:00:00:00:00:02", "02:00:00:00:00:99"
DATA = "/var/lib/postgresql"
GIB = 1024**3


def found(*changes: Change) -> list[Finding]:
    return list(examine(SPEC, after(*changes), WANTED).findings)


def codes(*changes: Change) -> set[str]:
    return {f.code.name for f in found(*changes)}


def reach(to: str, port: int, came: str, what: str = "etcd", *, by: str = "wit1") -> Change:
    return preflight(by, reach=(Reach(to, port, what, Reached(came), vip=to == "database"),))


REACHED = [
    pytest.param([reach("db2", 2379, "ok")], set(), id="reached"),
    pytest.param([reach("db2", 2379, "silent")], {"PORT_UNREACHABLE"}, id="filtered"),
    pytest.param([reach("db2", 2379, "refused")], {"PORT_UNREACHABLE"}, id="refused though etcd is well"),
    pytest.param([reach("db2", 2379, "unknown")], {"SOURCE_UNKNOWN"}, id="nobody tried in time"),
    pytest.param([untold("preflight", "wit1")], {"FACTS_UNKNOWN"}, id="could not look"),
    pytest.param(
        [etcd_lost("db2"), reach("db2", 2379, "refused")], {"ETCD_MEMBER_DOWN"}, id="a dead etcd explains it"
    ),
    pytest.param(
        [etcd_lost("db2"), reach("db2", 2379, "silent")],
        {"ETCD_MEMBER_DOWN", "PORT_UNREACHABLE"},
        id="but not that packets are dropped",
    ),
    pytest.param(
        [patroni_lost("db2"), reach("db2", 8008, "refused"), reach("db2", 5432, "refused", by="db1")],
        {"PATRONI_DOWN", "STANDBY_LOST"},
        id="a dead Patroni explains both",
    ),
    pytest.param(
        [archive_lost("arc2"), reach("arc2", 443, "refused")],
        {"ARCHIVE_NODE_DOWN"},
        id="a dead archive explains it",
    ),
    pytest.param(
        [facts("db2", units={"hactl-controller.service": "failed"}), reach("db2", 9465, "refused")],
        {"UNIT_NOT_RUNNING"},
        id="a dead controller explains it",
    ),
    pytest.param(
        [vip("database", None), reach("database", 5432, "silent")],
        {"VIP_NOT_HELD"},
        id="an address that nobody holds",
    ),
    pytest.param([reach("database", 5432, "silent")], {"PORT_UNREACHABLE"}, id="one that somebody holds"),
    pytest.param(
        [keys(fences={"db2": fence("db2")}), reach("db2", 5432, "silent")],
        {"FENCED"},
        id="a fence explains it",
    ),
]


@pytest.mark.parametrize(("changes", "want"), REACHED)
def test_ports(changes: list[Change], want: set[str]) -> None:
    assert codes(*changes) == want


def test_a_port_is_one_finding_however_many_miss_it() -> None:
    silent, refused = Reached.SILENT.value, Reached.REFUSED.value
    by = {"wit1": silent, "arc1": silent, "db1": refused}
    (one,) = found(*(reach("db2", 2379, came, by=node) for node, came in by.items()))
    assert (one.code.name, one.subject) == ("PORT_UNREACHABLE", "db2")
    assert "etcd, port 2379" in one.detail
    assert "no answer for wit1, arc1" in one.detail
    assert "refused to db1" in one.detail


def test_a_lost_host_is_not_said_again_for_each_port() -> None:
    lost = codes(host_lost("db2"))
    assert codes(host_lost("db2"), reach("db2", 2379, "silent")) == lost


def arp(by: str, *, held: bool = False, mine: str = "", **changes: Any) -> Change:
    own = mine or {"db1": DB1, "db2": DB2}.get(by, "02:00:00:00:00:0a")
    rules = {"arp_ignore": 0, "arp_announce": 0, "drop_gratuitous_arp": 0}
    look = ArpLook(
        "database",
        "192.0.2.100",
        "host0",
        own,
        held,
        macs=(own,),
        claimed=() if held else (DB1,),
        rules=rules,
    )
    return preflight(by, arp=(dataclasses.replace(look, **changes),))


HOLDER = arp("db1", held=True)
NEIGHBOURS = [
    pytest.param([HOLDER, arp("db2"), arp("wit1")], set(), id="the holder answers"),
    pytest.param([HOLDER], set(), id="nobody else could be asked"),
    pytest.param([arp("db2"), arp("wit1")], set(), id="the holder could not be asked, and one answers"),
    pytest.param(
        [arp("wit1", claimed=(DB1, STRANGER))],
        {"VIP_STRANGER"},
        id="two answer, and the holder was not asked",
    ),
    pytest.param([HOLDER, arp("wit1", claimed=(DB1, STRANGER))], {"VIP_STRANGER"}, id="a stranger too"),
    pytest.param(
        [arp("db1", held=True, claimed=(STRANGER,))], {"VIP_STRANGER"}, id="the holder hears another"
    ),
    pytest.param(
        [HOLDER, arp("db2"), arp("wit1", claimed=(DB1, DB2))], {"VIP_STRANGER"}, id="the standby answers"
    ),
    pytest.param([HOLDER, arp("wit1", claimed=())], {"VIP_ARP"}, id="nobody answers"),
    pytest.param([arp("wit1", claimed=())], set(), id="nobody answers, and nobody holds it"),
    pytest.param([HOLDER, arp("wit1", cached=DB2)], {"VIP_ARP"}, id="an old address in the cache"),
    pytest.param([HOLDER, arp("wit1", cached=DB1)], set(), id="the right one in the cache"),
    pytest.param(
        [HOLDER, arp("wit1", rules={"drop_gratuitous_arp": 1})], {"VIP_ARP"}, id="announcements are not heard"
    ),
    pytest.param([HOLDER, arp("db2", rules={"arp_ignore": 8})], {"VIP_ARP"}, id="the next holder is mute"),
    pytest.param([HOLDER, arp("wit1", rules={"arp_ignore": 8})], set(), id="who never holds it may be"),
    pytest.param([HOLDER, arp("db2", also=("eth1",))], {"VIP_ARP"}, id="two interfaces, and either answers"),
    pytest.param(
        [HOLDER, arp("db2", also=("eth1",), rules={"arp_ignore": 1, "arp_announce": 2})],
        set(),
        id="two interfaces, and the right one answers",
    ),
    pytest.param([HOLDER, arp("db2", rules={})], set(), id="settings that nobody read are not wrong"),
    pytest.param(
        [HOLDER, arp("wit1", claimed=(), problem="ARP probe: Operation not permitted")],
        {"SOURCE_UNKNOWN"},
        id="could not look",
    ),
]


@pytest.mark.parametrize(("changes", "want"), NEIGHBOURS)
def test_addresses(changes: list[Change], want: set[str]) -> None:
    assert codes(*changes) == want


def test_a_stranger_is_named_by_its_hardware_address_and_a_node_by_its_name() -> None:
    (one,) = found(HOLDER, arp("wit1", claimed=(STRANGER,)))
    assert one.severity is Severity.ERROR
    assert (one.subject, STRANGER in one.detail, "seen by wit1" in one.detail) == ("", True, True)
    (other,) = found(HOLDER, arp("db2"), arp("wit1", claimed=(DB2,)))
    assert other.subject == "db2"


INSTALLED = facts("db2", versions={"hactl": "0.1.0", "etcd-server": "3.4", "keepalived": "2.2"})
MACHINES = [
    pytest.param([preflight("db1", kernel={"sets with timeouts in nftables": ""})], set(), id="a fit kernel"),
    pytest.param(
        [preflight("db1", kernel={"sets with timeouts in nftables": "Operation not supported"})],
        {"KERNEL_UNFIT"},
        id="no sets with timeouts",
    ),
    pytest.param(
        [preflight("arc1", kernel={"sets with timeouts in nftables": "Operation not supported"})],
        set(),
        id="which only a lease needs",
    ),
    pytest.param(
        [
            preflight(
                "arc1", kernel={"control groups of version 2": "there is no /sys/fs/cgroup/system.slice"}
            )
        ],
        {"KERNEL_UNFIT"},
        id="old control groups",
    ),
    pytest.param([preflight("db1", watchdog=True)], set(), id="a watchdog"),
    pytest.param([preflight("db1", watchdog=False)], {"WATCHDOG_NONE"}, id="no watchdog"),
    pytest.param([preflight("arc1", watchdog=None)], set(), id="none is asked for there"),
    pytest.param(
        [INSTALLED, preflight("db2", upgrades=Upgrades(unattended=True))],
        {"UPGRADES_UNATTENDED"},
        id="upgrades by themselves",
    ),
    pytest.param(
        [INSTALLED, preflight("db2", upgrades=Upgrades(unattended=True, kept=("etcd-", "keepalived$")))],
        set(),
        id="that leave ours alone",
    ),
    pytest.param(
        [INSTALLED, preflight("db2", upgrades=Upgrades(unattended=True, kept=("etcd-", "(")))],
        {"UPGRADES_UNATTENDED"},
        id="a pattern that nobody can read spares nothing",
    ),
    pytest.param(
        [preflight("db2", upgrades=Upgrades(unattended=True))], set(), id="nothing of ours is installed there"
    ),
    pytest.param(
        [preflight("db2", upgrades=Upgrades(reboots=True))],
        {"UPGRADES_UNATTENDED"},
        id="that restart machines",
    ),
    pytest.param(
        [preflight("db2", upgrades=Upgrades(restarts=True))], {"UPGRADES_UNATTENDED"}, id="needrestart"
    ),
    pytest.param(
        [preflight("db2", upgrades=Upgrades(restarts=True, spared=("^etcd",)))], set(), id="that spares ours"
    ),
    pytest.param(
        [preflight("db2", upgrades=Unknown("apt's configuration could not be read"))],
        {"SOURCE_UNKNOWN"},
        id="could not look",
    ),
    pytest.param([facts("db1", synchronized=True)], set(), id="a clock that is kept right"),
    pytest.param([facts("db1", synchronized=False)], {"CLOCK_FREE"}, id="a clock that nobody keeps right"),
    pytest.param([facts("db1", synchronized=None)], set(), id="nobody knows"),
    pytest.param([files_of("db1")], set(), id="files as rendered"),
    pytest.param([files_of("db1", "/etc/etcd/hactl.yml differs")], {"FILES_DIFFER"}, id="a file by hand"),
    pytest.param([untold("files", "db1")], {"FACTS_UNKNOWN"}, id="files that could not be read"),
]


@pytest.mark.parametrize(("changes", "want"), MACHINES)
def test_machines(changes: list[Change], want: set[str]) -> None:
    assert codes(*changes) == want


def test_what_upgrades_touch_is_named() -> None:
    changes = Upgrades(unattended=True, kept=("etcd",), reboots=True, restarts=True)
    (one,) = found(INSTALLED, preflight("db2", upgrades=changes))
    assert "may restart keepalived" in one.detail
    assert "restart the machine" in one.detail
    assert "needrestart restarts etcd.service without asking" in one.detail


def on_disk(free: int, total: int = 100 * GIB) -> Change:
    return facts("db1", disks=(Disk("/", Bytes(GIB), Bytes(4 * GIB)), Disk(DATA, Bytes(free), Bytes(total))))


ROOMY = [facts(node, disks=(Disk("/", Bytes(20 * GIB), Bytes(30 * GIB)),)) for node in ("db1", "db2")]
DATABASES = [
    pytest.param([server("db1")], set(), id="a fit server"),
    pytest.param([untold("servers", "db1")], {"SOURCE_UNKNOWN"}, id="could not look"),
    pytest.param(
        [patroni_lost("db2"), untold("servers", "db2")],
        {"PATRONI_DOWN", "STANDBY_LOST"},
        id="one that does not run is not asked",
    ),
    pytest.param([server("db1", wal_log_hints="off")], set(), id="checksums are enough for a rewind"),
    pytest.param(
        [server("db1", wal_log_hints="off", data_checksums="off")], {"REWIND_IMPOSSIBLE"}, id="neither"
    ),
    pytest.param([server("db1", full_page_writes="off")], {"REWIND_IMPOSSIBLE"}, id="no full pages"),
    pytest.param(
        [server("db2", rewind="there is no role rewind")], {"REWIND_IMPOSSIBLE"}, id="nobody rewinds"
    ),
    pytest.param([server("db2", rewind=Unknown("older"))], {"FACTS_UNKNOWN"}, id="nobody knows who rewinds"),
    pytest.param([server("db1"), on_disk(20 * GIB)], set(), id="room for WAL"),
    pytest.param([server("db1"), on_disk(20 * GIB, 30 * GIB)], set(), id="of a small disk too"),
    pytest.param([server("db1"), on_disk(7 * GIB, 40 * GIB)], {"WAL_HEADROOM"}, id="too little"),
    pytest.param([server("db1", wal=2 * GIB), on_disk(7 * GIB, 40 * GIB)], set(), id="some is there already"),
    pytest.param([server("db1", max_slot_wal_keep_size="-1")], {"WAL_HEADROOM"}, id="kept without an end"),
    pytest.param(
        [server("db1", Slot("db2", active=False, retained=5 * GIB))], {"WAL_HEADROOM"}, id="a slot left over"
    ),
    pytest.param([server("db1", Slot("db2", active=True, retained=5 * GIB))], set(), id="one that is used"),
    pytest.param([server("db1", Slot("x", active=False))], set(), id="one that keeps nothing"),
    pytest.param([preflight("db1", backup_age=3600.0)], set(), id="a young backup"),
    pytest.param(
        [preflight("db1", backup_age=Unknown("No such file")), preflight("db2", backup_age=7200.0)],
        set(),
        id="one node's is enough",
    ),
    pytest.param([preflight("db1", backup_age=30 * 3600.0)], {"BACKUP_OLD"}, id="an old one"),
    pytest.param([preflight("db1", backup_age=Unknown("No such file"))], {"BACKUP_OLD"}, id="never one"),
    pytest.param([keys(drill=None)], {"DRILL_NONE"}, id="never drilled"),
    pytest.param([keys(drill=LastDrill(1_790_000_000.0, "x", clean=True))], {"DRILL_OVERDUE"}, id="long ago"),
]


@pytest.mark.parametrize(("changes", "want"), DATABASES)
def test_databases(changes: list[Change], want: set[str]) -> None:
    assert codes(*ROOMY, *changes) == want


def test_without_a_stamp_nobody_knows_of_a_backup_and_that_is_no_warning() -> None:
    (one,) = examine(demo_spec(), after(), WANTED).findings
    assert (one.code.name, one.severity) == ("BACKUP_UNKNOWN", Severity.INFO)


def test_a_weekly_backup_has_its_week() -> None:
    weekly = SPEC.database.model_copy(
        update={"backup": SPEC.database.backup.model_copy(update={"every": "week"})}
    )  # type: ignore[union-attr]
    spec = SPEC.model_copy(update={"database": weekly})
    assert examine(spec, after(preflight("db1", backup_age=6 * 86400.0)), WANTED).findings == ()
    assert examine(spec, after(preflight("db1", backup_age=8 * 86400.0)), WANTED).findings != ()


def test_what_a_server_runs_with_is_compared_too() -> None:
    (one,) = found(*ROOMY, config(WANTED), server("db2", max_slot_wal_keep_size="9216"))
    said = "db2: max_slot_wal_keep_size is 9216MB, wanted 8GB (from configuration file)"
    assert (one.code.name, one.detail) == ("CONFIG_DRIFT", said)
    assert found(*ROOMY, config(WANTED), server("db2")) == []


def test_a_learner_is_no_voter() -> None:
    view = after()
    members = tuple(EtcdMember(str(n), name, learner=name == "db2") for n, name in enumerate(SPEC.voters))
    etcd = {n: dataclasses.replace(e, members=members) for n, e in view.etcd.items()}
    (one,) = [
        f
        for f in examine(SPEC, dataclasses.replace(view, etcd=etcd), WANTED).findings
        if f.code.name == "ETCD_MEMBERS_DIFFER"
    ]
    assert one.detail == "takes part without a vote: db2"


def test_a_node_that_somebody_works_on_is_left_in_peace() -> None:
    filtered = reach("db2", 2379, "silent")
    found = examine(SPEC, world(filtered, dcs=(maintained("db2"),)), WANTED).findings
    assert "PORT_UNREACHABLE" in {f.code.name for f in examine(SPEC, world(filtered), WANTED).findings}
    assert "PORT_UNREACHABLE" not in {f.code.name for f in found}
