"""The rendered files at work: etcd, Patroni, PostgreSQL, keepalived and nftables, without an init."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path, PurePath
from typing import Any

import pytest
import yaml

from hactl import layout
from hactl.spec.dsn import connection
from tests.support.mini import Mini, mini_installation
from tests.support.rendered import sample
from tests.support.servers import program, wait_until

pytestmark = pytest.mark.lab  # namespaces, as root

VOTERS = ("db1", "db2", "wit1")
VIP = "192.0.2.100"
SETTINGS = {
    "data_checksums": "on",
    "lc_collate": "C.UTF-8",
    "password_encryption": "scram-sha-256",
    "server_encoding": "UTF8",
    "ssl_min_protocol_version": "TLSv1.2",
    "synchronous_commit": "on",
    "wal_sender_timeout": "2000",
}
LISTEN = """
import socket
vrrp = socket.socket(socket.AF_INET, socket.SOCK_RAW, 112)
vrrp.settimeout(10)
print("listens", flush=True)
text = b""
while text != b"near":
    packet = vrrp.recv(2000)
    text = packet[20:]
    print(packet[8], text.decode() if text in (b"near", b"far") else "keepalived", flush=True)
"""
SEND = """
import socket, sys, time
time.sleep(1)  # keepalived speaks four times a second
vrrp = socket.socket(socket.AF_INET, socket.SOCK_RAW, 112)
for ttl, text in ((254, b"far"), (255, b"near")):
    vrrp.setsockopt(socket.IPPROTO_IP, socket.IP_TTL, ttl)
    vrrp.sendto(text, (sys.argv[1], 0))
"""
CURL = [
    "curl", "-q", "--silent", "--max-time", "2", "--cacert", "/etc/hactl/pki/ca.crt",
    "--cert", "/etc/hactl/pki/hactl.crt", "--key", "/etc/hactl/pki/hactl.key",
]  # fmt: skip


@dataclass(frozen=True)
class Credentials:
    ca: PurePath
    pgpass: PurePath


@pytest.fixture(scope="module")
def mini() -> Iterator[Mini]:
    etcd, keepalived = program("etcd", "etcd-server"), program("keepalived", "keepalived")
    program(str(layout.pg_bin(15) / "postgres"), "postgresql-15")
    program("curl", "curl")
    with mini_installation() as found:
        for node in VOTERS:
            found.start(node, [etcd, "--config-file", str(layout.ETCD_CONFIG)], user="etcd")
        wait_until("etcd agrees on its version", lambda: _etcd_version(found) == "3.4.0", 30)
        for node in ("db1", "db2"):
            assert found.exec(node, [program("nft", "nftables"), "-f", str(layout.NFT_RULES)]).returncode == 0
            patroni = str(Path(sys.executable).parent / "patroni")
            found.start(node, [patroni, str(layout.PATRONI_CONFIG)], user="postgres")
            found.start(node, [keepalived, "-n", "-l", "-D", "-f", str(layout.KEEPALIVED_CONFIG)])
        try:
            wait_until("a synchronous standby streams", lambda: "sync_standby" in members(found).values(), 60)
        except AssertionError as error:
            raise AssertionError(
                f"{error}\n{found.log('db1', 'patroni')}\n{found.log('db2', 'patroni')}"
            ) from error
        yield found


def _etcd_version(mini: Mini) -> str:
    said = mini.exec("wit1", [*CURL, "https://127.0.0.1:2379/version"], user="hactl").stdout
    return str(json.loads(said or "{}").get("etcdcluster", ""))


def members(mini: Mini) -> dict[str, str]:
    """Member -> role, of those that run or stream."""
    said = mini.exec("wit1", [*CURL, "https://192.0.2.11:8008/cluster"], user="hactl").stdout
    found = json.loads(said or "{}").get("members", [])
    return {m["name"]: m["role"] for m in found if m["state"] in {"running", "streaming"}}


def primary(mini: Mini) -> str:
    return next(name for name, role in members(mini).items() if role == "leader")


def standby(mini: Mini) -> str:
    return next(name for name, role in members(mini).items() if role != "leader")


def psql(mini: Mini, node: str, sql: str, *options: str) -> subprocess.CompletedProcess[str]:
    """As postgres on the local socket, where `options` name nothing else."""
    return mini.exec(node, ["psql", "-XAt", *options, "-c", sql], user="postgres")


def outside(
    mini: Mini, node: str, role: str, host: str, database: str, *more: str
) -> subprocess.CompletedProcess[str]:
    """As a role with its password, from another node, over verified TLS."""
    tls = "sslmode=verify-full sslrootcert=/etc/hactl/pki/ca.crt"
    dsn = f"host={host} dbname={database} user={role} {tls} connect_timeout=3"
    environment = ["env", "HOME=/nonexistent", "PGPASSFILE=/etc/hactl/pgpass"]
    argv = [*environment, "psql", "-XAt", " ".join((dsn, *more)), "-c", "select inet_server_addr()"]
    return mini.exec(node, argv, user="hactl")


def login(mini: Mini) -> list[str]:
    """curl's options with the password of Patroni's REST interface, from where deploy reads it."""
    config = yaml.safe_load(mini.exec("db1", ["cat", str(layout.PATRONI_CONFIG)]).stdout)
    found = config["restapi"]["authentication"]
    return ["--user", f"{found['username']}:{found['password']}"]


def test_the_roles_file_changes_what_is_missing_and_then_nothing(mini: Mini) -> None:
    argv = ["psql", "-X", "-f", str(layout.ROLES_SQL)]
    first, second = (mini.exec(primary(mini), argv, user="postgres") for _ in range(2))
    assert (first.returncode, second.returncode) == (0, 0), first.stderr + second.stderr
    assert all(line.startswith("changed: ") for line in first.stdout.splitlines())
    assert "changed: database orthanc\n" in first.stdout
    assert second.stdout == ""


def test_the_roles_file_takes_back_what_a_role_set_for_a_database(mini: Mini) -> None:
    """The application's role may set for itself what its commits wait for; only `on` survives a failover."""
    node, name, file = primary(mini), sample().database.name, str(layout.ROLES_SQL)
    for database in (name, layout.DATABASE_HACTL):
        for setting in ("synchronous_commit = off", "work_mem = '8MB'"):
            sql = f'alter role "{name}" in database "{database}" set {setting}'
            assert psql(mini, node, sql).returncode == 0
    first, second = (mini.exec(node, ["psql", "-X", "-f", file], user="postgres").stdout for _ in range(2))
    assert first == f"changed: role {name} commits synchronously in each database\n"
    assert second == ""
    left = psql(mini, node, "select setconfig from pg_db_role_setting where setdatabase > 0").stdout
    assert left == "{work_mem=8MB}\n" * 2


def test_replication_is_synchronous_and_encrypted(mini: Mini) -> None:
    sql = "select application_name, sync_state, ssl from pg_stat_replication join pg_stat_ssl using (pid)"
    assert psql(mini, primary(mini), sql).stdout == f"{standby(mini)}|sync|t\n"


def test_postgresql_runs_with_what_was_rendered(mini: Mini) -> None:
    node = primary(mini)
    assert psql(mini, node, "select count(*) from pg_hba_file_rules where error is not null").stdout == "0\n"
    assert psql(mini, node, "select count(*) from pg_settings where pending_restart").stdout == "0\n"
    shown = psql(mini, node, "select name, setting from pg_settings").stdout
    assert set(SETTINGS.items()) <= {tuple(line.split("|", 1)) for line in shown.splitlines() if "|" in line}


def test_the_dynamic_configuration_is_the_rendered_file(mini: Mini) -> None:
    said = mini.exec("db1", [*CURL, "https://127.0.0.1:8008/config"], user="hactl").stdout
    wanted: dict[str, Any] = json.loads(mini.exec("db1", ["cat", str(layout.DCS_CONFIG)]).stdout)
    assert json.loads(said) == wanted


def test_the_rest_api_wants_a_certificate_and_for_changes_a_password_and_no_archive_node(mini: Mini) -> None:
    bare = ["curl", "-q", "--silent", "--max-time", "2", "--cacert", "/etc/hactl/pki/ca.crt"]
    assert mini.exec("wit1", [*bare, "https://192.0.2.11:8008/cluster"]).returncode != 0
    patch = [
        "--request",
        "PATCH",
        "--data",
        '{"loop_wait": 1}',
        "--write-out",
        "%{http_code}",
        "--output",
        "/dev/null",
    ]
    url = "https://192.0.2.11:8008/config"
    assert mini.exec("arc1", [*CURL, *login(mini), *patch, url], user="hactl").stdout == "403"
    assert mini.exec("wit1", [*CURL, *patch, url], user="hactl").stdout == "401"
    assert mini.exec("wit1", [*CURL, *login(mini), *patch, url], user="hactl").stdout == "200"


def test_only_the_primary_may_hold_the_address(mini: Mini) -> None:
    check = "/usr/local/lib/hactl/check-primary"
    assert mini.exec(primary(mini), [check], user="hactl").returncode == 0
    assert mini.exec(standby(mini), [check], user="hactl").returncode == 1


def test_the_application_comes_in_through_the_virtual_ip_only(mini: Mini) -> None:
    mini.exec(primary(mini), ["psql", "-X", "-f", str(layout.ROLES_SQL)], user="postgres")
    name = sample().database.name
    wait_until("the virtual IP answers", lambda: outside(mini, "arc1", name, VIP, name).returncode == 0, 20)
    assert outside(mini, "arc1", name, VIP, name).stdout == f"{VIP}\n"
    direct = str(sample().nodes[primary(mini)].address)
    assert outside(mini, "arc1", name, direct, name).returncode != 0
    monitor = layout.ROLE_MONITOR
    assert outside(mini, "wit1", monitor, direct, name).returncode == 0
    assert "no encryption" in outside(mini, "wit1", monitor, direct, name, "sslmode=disable").stderr
    assert outside(mini, "arc1", layout.ROLE_PROBE, VIP, layout.DATABASE_HACTL).returncode == 0
    assert outside(mini, "arc1", layout.ROLE_PROBE, VIP, name).returncode != 0


@pytest.mark.parametrize("form", ["uri", "keyword"])
def test_what_hactl_dsn_says_connects(mini: Mini, form: str) -> None:
    mini.exec(primary(mini), ["psql", "-X", "-f", str(layout.ROLES_SQL)], user="postgres")
    wait_until(
        "the virtual IP answers", lambda: outside(mini, "arc1", "orthanc", VIP, "orthanc").stdout != "", 20
    )
    here = Credentials(ca=layout.PKI / "ca.crt", pgpass=layout.ETC / "pgpass")
    for role in ("app", "probe"):
        dsn = connection(sample(), here, role, form)
        assert "channel_binding=require" in dsn
        argv = ["env", "HOME=/nonexistent", "psql", "-XAt", dsn, "-c", "select inet_server_addr()"]
        done = mini.exec("arc1", argv, user="hactl")
        assert done.stdout == f"{VIP}\n", done.stderr


def test_vrrp_comes_from_peers_on_the_same_network_only(mini: Mini) -> None:
    """A raw socket gets what the packet filter lets through: keepalived's packets, none that was routed."""
    holder, other = primary(mini), standby(mini)
    listener = subprocess.Popen(
        mini.argv(other, ["/usr/bin/python3", "-c", LISTEN]), stdout=subprocess.PIPE, text=True
    )
    assert listener.stdout is not None
    assert listener.stdout.readline() == "listens\n"
    sent = mini.exec(holder, ["/usr/bin/python3", "-c", SEND, str(sample().nodes[other].address)])
    assert sent.returncode == 0, sent.stderr
    heard = listener.communicate(timeout=20)[0].splitlines()
    assert heard[-1] == "255 near"
    assert set(heard[:-1]) == {"255 keepalived"}


@pytest.mark.parametrize(
    ("node", "target", "open_"),
    [
        ("arc1", "2379", True),
        ("arc1", "2380", False),
        ("wit1", "2380", True),
        ("arc1", "5432", False),
        ("wit1", "5432", True),
        ("ops", "8008", True),
        ("ops", "5432", False),
    ],
)
def test_who_gets_through_the_packet_filter(mini: Mini, node: str, target: str, *, open_: bool) -> None:
    where = ["nsenter", f"--net=/run/netns/{mini.netns(node)}"]
    argv = [*where, "timeout", "2", "bash", "-c", f"exec 3<>/dev/tcp/192.0.2.11/{target}"]
    done = subprocess.run(argv, capture_output=True, timeout=10, check=False)
    assert (done.returncode == 0) is open_


def test_on_archive_nodes_only_hactl_and_root_speak_to_etcd_and_patroni(mini: Mini) -> None:
    assert mini.exec("arc1", [program("nft", "nftables"), "-f", str(layout.NFT_RULES)]).returncode == 0
    for port in (layout.PORT_ETCD_CLIENT, layout.PORT_PATRONI):
        reach = ["timeout", "2", "bash", "-c", f"exec 3<>/dev/tcp/192.0.2.11/{port}"]
        for user, fine in (("hactl", True), ("root", True), ("orthanc", False), ("www-data", False)):
            assert (mini.exec("arc1", reach, user=user).returncode == 0) is fine, (user, port)
    with_certificate = [*CURL, "https://192.0.2.11:8008/cluster"]
    assert mini.exec("arc1", with_certificate, user="hactl").returncode == 0


def test_a_switchover_takes_the_address_along(mini: Mini) -> None:
    old, new = primary(mini), standby(mini)
    body = json.dumps({"leader": old, "candidate": new})
    argv = [*CURL, *login(mini), "--max-time", "30", "--data", body, "https://192.0.2.11:8008/switchover"]
    said = mini.exec("wit1", argv, user="hactl", within=40).stdout
    assert "Successfully switched over" in said
    wait_until("the old primary streams", lambda: members(mini) == {new: "leader", old: "sync_standby"}, 60)

    def holders() -> set[str]:
        addresses = {
            n: mini.exec(n, ["ip", "-4", "address", "show", "dev", "host0"]).stdout for n in (old, new)
        }
        return {n for n, text in addresses.items() if f"inet {VIP}/24" in text}

    wait_until("the address is at the new primary", lambda: holders() == {new}, 15)


def test_patronictl_finds_the_password_in_patronis_own_file(mini: Mini) -> None:
    """A reload is asked of each member by POST."""
    ctl = [str(Path(sys.executable).parent / "patronictl"), "-c", str(layout.PATRONI_CONFIG)]
    done = mini.exec("db1", [*ctl, "reload", "demo", "--force"], user="postgres")
    assert done.returncode == 0, done.stderr
    assert done.stdout.count("Reload request received for member") == 2, done.stdout


def test_a_killed_patroni_leaves_postgresql_to_the_next_one(mini: Mini) -> None:
    node = primary(mini)
    started = psql(mini, node, "select pg_postmaster_start_time()").stdout
    daemon = next(
        d for d in mini.running if d.args[-1] == str(layout.PATRONI_CONFIG) and mini.netns(node) in d.args[1]
    )
    daemon.kill()
    daemon.wait(10)
    patroni = str(Path(sys.executable).parent / "patroni")
    mini.start(node, [patroni, str(layout.PATRONI_CONFIG)], user="postgres")
    wait_until("Patroni leads again", lambda: members(mini).get(node) == "leader", 30)
    assert psql(mini, node, "select pg_postmaster_start_time()").stdout == started


def test_only_a_patroni_that_did_not_stop_in_time_leaves_postgresql_to_be_stopped(mini: Mini) -> None:
    node, script = standby(mini), "/usr/local/lib/hactl/stop-leftover"
    for daemon in mini.running:
        if daemon.args[-1] == str(layout.PATRONI_CONFIG) and mini.netns(node) in daemon.args[1]:
            daemon.kill()
            daemon.wait(10)
    for why in ("success", "signal"):
        assert mini.exec(node, ["env", f"SERVICE_RESULT={why}", script], user="postgres").returncode == 0
        assert psql(mini, node, "select 1").stdout == "1\n"
    done = mini.exec(node, ["env", "SERVICE_RESULT=timeout", script], user="postgres")
    assert done.returncode == 0, done.stderr
    assert psql(mini, node, "select 1").returncode == 2
