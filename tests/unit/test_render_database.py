"""Database nodes and witness, setting by setting: each of these has cost somebody an outage."""

from __future__ import annotations

import re
from typing import Any

import pytest
import yaml

from hactl import layout
from hactl.render import base, control, etcd, hactl, integrity, keepalived, patroni, postgres, roles
from hactl.render.all import render
from hactl.spec import rules_database
from hactl.units import Seconds
from tests.support.rendered import content, files_of, rendered, sample, secrets

SPEC = sample()
SECRETS = secrets(SPEC)
PATRONI = patroni.local(SPEC, "db1", SECRETS)


def test_rendering_twice_gives_the_same() -> None:
    assert render(SPEC, SECRETS) == rendered()


def test_each_file_is_rendered_once() -> None:
    places = [(f.node, f.path) for f in rendered()]
    assert len(set(places)) == len(places)


def test_secrets_do_not_show_in_repr() -> None:
    shown = repr((SECRETS, rendered()))
    assert not [value for value in SECRETS.values() if value in shown]


@pytest.mark.parametrize("file", rendered(), ids=lambda f: f"{f.node}:{f.path}")
def test_a_file_with_a_secret_is_marked_and_closed(file: Any) -> None:
    holds = [value for value in SECRETS.values() if value in file.content]
    assert not holds or (file.secret and file.mode in {"0600", "0640"})


@pytest.mark.parametrize(
    ("key", "value"),
    [
        ("ttl", 20),
        ("loop_wait", 1),
        ("retry_timeout", 5),
        ("primary_start_timeout", 0),
        ("primary_stop_timeout", 5),
        ("synchronous_mode", True),
        ("synchronous_mode_strict", False),
        ("failsafe_mode", False),
        ("check_timeline", True),
        ("member_slots_ttl", "30min"),
    ],
)
def test_dynamic_settings(key: str, value: object) -> None:
    assert patroni.dynamic(SPEC)[key] == value


def test_patroni_could_renew_its_lease_twice_within_its_ttl() -> None:
    d = patroni.dynamic(SPEC)
    assert d["loop_wait"] + 2 * d["retry_timeout"] <= d["ttl"]


def test_what_etcd_starts_with_is_what_deploy_compares_with() -> None:
    assert PATRONI["bootstrap"]["dcs"] == patroni.dynamic(SPEC)
    assert yaml.safe_load(content("db1", str(layout.DCS_CONFIG))) == patroni.dynamic(SPEC)


def test_the_spec_s_parameters_are_merged_and_switches_are_written_as_postgresql_does() -> None:
    spec = sample(database={"parameters": {"max_connections": 300, "jit": False, "work_mem": "64MB"}})
    parameters = patroni.dynamic(spec)["postgresql"]["parameters"]
    assert (parameters["max_connections"], parameters["jit"], parameters["work_mem"]) == (300, "off", "64MB")


def test_a_spec_may_not_set_what_hactl_sets() -> None:
    """Except those parameters that are a site's business."""
    own = {*patroni.PARAMETERS, *patroni.pinned_parameters()} - {"max_connections"}
    assert [name for name in own if not rules_database.refused(name)] == []


def test_etcd_is_asked_locally_first_and_never_discovered() -> None:
    assert PATRONI["etcd3"]["hosts"] == ["127.0.0.1:2379", "192.0.2.12:2379", "192.0.2.13:2379"]
    assert PATRONI["etcd3"]["use_proxies"] is True
    assert PATRONI["etcd3"]["protocol"] == "https"


def test_the_superuser_has_no_password() -> None:
    assert PATRONI["postgresql"]["authentication"]["superuser"] == {"username": "postgres"}
    assert PATRONI["postgresql"]["use_unix_socket"] is True


@pytest.mark.parametrize("role", ["replication", "rewind"])
def test_members_prove_themselves_with_certificate_and_password(role: str) -> None:
    login = PATRONI["postgresql"]["authentication"][role]
    assert (login["sslmode"], login["channel_binding"]) == ("verify-full", "require")
    assert login["sslcert"].startswith("/etc/hactl/pki/re")


@pytest.mark.parametrize(
    "parameter",
    [
        "archive_command",
        "restore_command",
        "recovery_end_command",
        "archive_cleanup_command",
        "shared_preload_libraries",
    ],
)
def test_nothing_in_etcd_can_make_postgresql_run_a_program(parameter: str) -> None:
    assert PATRONI["postgresql"]["parameters"][parameter] == ""
    assert PATRONI["postgresql"]["callbacks"] == {}
    assert PATRONI["postgresql"]["create_replica_methods"] == ["hactl_clone"]
    assert PATRONI["postgresql"]["hactl_clone"]["command"] == "/usr/local/lib/hactl/clone"
    assert PATRONI["postgresql"]["bin_name"] == {"pg_rewind": "/usr/local/lib/hactl/pg-rewind"}


def test_a_copy_that_failed_leaves_the_old_data_to_the_program_that_set_them_aside() -> None:
    assert PATRONI["postgresql"]["hactl_clone"]["keep_data"] is True


def test_the_rest_api_wants_a_certificate_a_password_and_a_known_address() -> None:
    rest = PATRONI["restapi"]
    assert rest["verify_client"] == "required"
    assert rest["authentication"] == {"username": "hactl", "password": "Secret9rest"}
    assert "192.0.2.21/32" not in rest["allowlist"]
    assert {"192.0.2.11/32", "192.0.2.12/32", "192.0.2.13/32", "192.0.2.2/32"} <= set(rest["allowlist"])


def hba() -> list[list[str]]:
    return [line.split() for line in patroni.hba(SPEC)]


def test_the_last_line_rejects_everybody_and_tls_is_not_a_choice() -> None:
    lines = hba()
    assert lines[-1] == ["host", "all", "all", "all", "reject"]
    assert {line[0] for line in lines[:-1]} == {"local", "hostssl"}
    assert not [line for line in lines if {"trust", "md5", "0.0.0.0/0"} & set(line)]


def test_replication_comes_from_database_nodes_with_a_certificate() -> None:
    lines = [line for line in hba() if line[2] in {'"replicator"', '"rewind"'}]
    assert {line[3] for line in lines} == {"127.0.0.1/32", "192.0.2.11/32", "192.0.2.12/32", "192.0.2.100/32"}
    assert all(line[4:] == ["scram-sha-256", "clientcert=verify-full"] for line in lines)


def test_a_database_named_like_a_keyword_is_a_database() -> None:
    spec = sample(database={"name": "samerole"})  # rules refuse it; the renderer does not rely on that
    assert '"samerole" "samerole"' in " ".join(patroni.hba(spec))


@pytest.mark.parametrize(("lease", "election"), [(2.0, 500), (2.9, 500), (3.0, 1000), (30.0, 1000)])
def test_a_lease_below_3_s_shortens_etcd_s_election(lease: float, election: int) -> None:
    spec = SPEC.model_copy(update={"fencing": SPEC.fencing.model_copy(update={"lease": Seconds(lease)})})
    assert etcd.configuration(spec, "wit1")["election-timeout"] == election


def test_etcd_s_settings() -> None:
    config = etcd.configuration(SPEC, "wit1")
    assert config["initial-cluster"] == (
        "db1=https://192.0.2.11:2380,db2=https://192.0.2.12:2380,wit1=https://192.0.2.13:2380"
    )
    assert config["listen-client-urls"] == "https://192.0.2.13:2379,https://127.0.0.1:2379"
    assert config["pre-vote"] is True
    assert (config["heartbeat-interval"], config["election-timeout"]) == (100, 1000)
    assert config["enable-grpc-gateway"] is True
    for part in ("client-transport-security", "peer-transport-security"):
        assert config[part]["client-cert-auth"] is True


def test_both_holders_of_a_virtual_ip_are_equal() -> None:
    one, two = (content(n, str(layout.KEEPALIVED_CONFIG)) for n in ("db1", "db2"))
    assert "priority 100" in one
    assert "state BACKUP" in one
    assert "nopreempt" not in one
    swapped = one.replace("192.0.2.12", "X").replace("192.0.2.11", "192.0.2.12").replace("X", "192.0.2.11")
    assert swapped.replace("db1", "db2") == two


def test_no_primary_no_database_vip_but_no_index_still_an_archive_vip() -> None:
    assert keepalived.PRIMARY.weight == 0
    assert keepalived.ARCHIVE.weight == 0
    assert keepalived.INDEX.weight < 0
    assert keepalived.HUNG.weight < 0


def test_a_silent_patroni_is_given_up_before_its_lease_ends_and_before_keepalived_kills_the_check() -> None:
    script = content("db1", "/usr/local/lib/hactl/check-primary")
    longest = 3 * (1 + 0.5) + 1
    assert script.count("--max-time 1") == 1
    assert longest < keepalived.PRIMARY.timeout < patroni.dynamic(SPEC)["ttl"]


def test_a_watchdog_is_slower_than_the_longest_healthy_cycle_and_faster_than_the_lease() -> None:
    settings, watchdog = patroni.dynamic(SPEC), patroni.local(SPEC, "db1", SECRETS)["watchdog"]
    fires = settings["ttl"] - watchdog["safety_margin"]
    assert settings["loop_wait"] + 2 * settings["retry_timeout"] < fires < settings["ttl"]


def test_no_check_goes_through_a_proxy_that_a_site_set_for_all_services() -> None:
    for node in ("db1", "arc1"):
        for file in files_of(node):
            lines = [line for line in file.content.splitlines() if "curl " in line]
            assert all("curl -q --noproxy '*' --silent " in line for line in lines), file.path


def test_debian_s_own_packet_filter_brings_back_what_it_empties() -> None:
    unit = content("db1", "/etc/systemd/system/hactl-rules.service")
    assert "After=local-fs.target nftables.service\n" in unit
    assert "PartOf=nftables.service\n" in unit
    assert "ReloadPropagatedFrom=nftables.service\n" in unit


def allowed(node: str, port: int) -> tuple[str, ...] | None:
    return next((rule.allow for rule in base.rules(SPEC, node) if rule.port == port), None)


def test_applications_reach_postgresql_through_the_virtual_ip_only() -> None:
    rules = allowed("db1", 5432)
    assert rules is not None
    assert [rule for rule in rules if "daddr" not in rule] == ["ip saddr @voters"]
    assert all("daddr 192.0.2.100" in rule for rule in rules if "saddr @voters" not in rule)


@pytest.mark.parametrize(
    ("node", "port", "names"),
    [
        ("db1", 8008, {"@nodes", "@operators"}),
        ("wit1", 2379, {"@nodes", "@operators"}),
        ("wit1", 2380, {"@voters"}),
        ("wit1", 9090, {"@operators"}),
        ("arc1", 443, {"@nodes", "@operators", "@clients"}),
        ("arc1", 8042, set()),
    ],
)
def test_who_may_reach_a_port(node: str, port: int, names: set[str]) -> None:
    rules = allowed(node, port)
    assert rules is not None
    assert set(re.findall(r"@\w+", " ".join(rules))) == names


def test_ssh_and_ports_of_others_are_not_touched() -> None:
    for node in SPEC.nodes:
        assert 22 not in [rule.port for rule in base.rules(SPEC, node)]
    assert "policy accept" in content("db1", str(layout.NFT_RULES))


def test_archive_nodes_keep_their_services_from_etcd_and_patroni() -> None:
    kept = "tcp dport { 2379, 2380, 8008 } meta skuid != { 0, hactl } reject with tcp reset\n"
    for node in SPEC.nodes:
        rules = content(node, str(layout.NFT_RULES))
        assert (kept in rules) is ("chain output" in rules) is (node in SPEC.archives)


def test_a_spec_without_clients_opens_the_virtual_ips_networks_and_without_operators_nothing() -> None:
    spec = sample(access={})
    assert base.sets(spec, "db1")["clients"] == ["192.0.2.0/24"]
    assert base.sets(spec, "db1")["operators"] == []


def test_patroni_may_crash_without_taking_postgresql_along() -> None:
    unit = content("db1", "/etc/systemd/system/patroni.service")
    assert "\nKillMode=process\n" in unit
    assert "\nRestart=always\n" in unit


def test_what_an_sql_step_says_is_what_it_does() -> None:
    lines = [line for line in roles.roles_sql(SPEC, SECRETS).splitlines() if line.endswith("\\gexec")]
    assert all("SELECT ''changed: " in line and "WHERE NOT (" in line for line in lines)
    assert len(lines) > 20


def test_only_archive_nodes_know_the_application_s_password() -> None:
    holders = {n for n in SPEC.nodes if SECRETS.app in hactl.pgpass(SPEC, n, SECRETS)}
    assert holders == {"arc1", "arc2"}


def test_the_spec_s_copy_reads_back_as_the_spec() -> None:
    from hactl.spec.load import load

    assert load(content("arc1", str(layout.SPEC)), "copy") == SPEC


def test_every_unit_s_file_belongs_to_the_node_s_units() -> None:
    for node in SPEC.nodes:
        units = {*hactl.units(SPEC, node), base.UNIT, hactl.SSH_UNIT, control.OPEN_TIMER, postgres.KEPT_TIMER}
        units |= {integrity.SCRUB_TIMER, integrity.HAND_SOCKET, control.TLS_TIMER}
        assert {f.unit for f in files_of(node) if f.unit} <= units
