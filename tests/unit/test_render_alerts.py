from __future__ import annotations

import json
import re
from pathlib import Path

import pytest
import yaml

from hactl import layout
from hactl.decide.codes import CODES, Severity
from hactl.metrics.registry import METRICS, Kind, Source
from hactl.render import alertmanager, alerts, dashboard
from hactl.spec.model import ClusterSpec
from tests.support import alert_tests
from tests.support.alert_tests import CASES, filled
from tests.support.pki import sample_spec
from tests.support.rendered import files_of

# What rules and dashboard name that is not hactl's own.
ETCD = {"etcd_mvcc_db_total_size_in_bytes", "etcd_server_quota_backend_bytes"}
FOREIGN = {*ETCD, "up", "alertmanager_notifications_failed_total", "process_resident_memory_bytes"}
_NAME = re.compile(r"\b(?:hactl|process|alertmanager|etcd)_[a-z_]+\b|\bup\b")


def names_in(expr: str) -> set[str]:
    return set(_NAME.findall(re.sub(r'"[^"]*"', "", expr)))


def known() -> set[str]:
    histograms = {f"{m.name}{s}" for m in METRICS.values() for s in ("_bucket", "_sum", "_count")}
    return {m.name for m in METRICS.values() if m.kind is not Kind.HISTOGRAM} | histograms | FOREIGN


def test_each_code_that_needs_attention_has_an_alert_of_its_name() -> None:
    wanted = {c.name for c in CODES.values() if c.severity in {Severity.WARNING, Severity.ERROR}}
    assert {a.name for a in alerts.health()} == wanted


def test_every_alert_is_tested_with_promtool() -> None:
    checks = [
        check
        for document in (alert_tests.document(), alert_tests.slow_document())
        for test in document["tests"]
        for check in test["alert_rule_test"]
    ]
    tested = {check["alertname"] for check in checks}
    assert tested == {a.name for a in (*alerts.health(), *alerts.RAW)}
    assert set(CASES) == {"CONTROLLER_NONE", *(a.name for a in alerts.RAW)}


def test_names_are_unique() -> None:
    names = [a.name for a in (*alerts.health(), *alerts.RAW)]
    assert len(names) == len(set(names))


@pytest.mark.parametrize("alert", [*alerts.health(), *alerts.RAW], ids=lambda a: a.name)
def test_an_alert_names_only_metrics_that_exist(alert: alerts.Alert) -> None:
    assert names_in(alert.expr)
    assert names_in(alert.expr) <= known()
    assert alert.fix
    assert "{node}" not in alert.fix


def test_every_expression_of_the_dashboard_names_only_metrics_that_exist() -> None:
    exprs = [expr for panel in dashboard.PANELS for expr in panel.series]
    assert all(names_in(expr) <= known() for expr in exprs)
    named = set().union(*(names_in(expr) for expr in exprs))
    # What is left out of the graphs: the rest of what the alerts and `hactl status` are made of.
    assert {"hactl_health", "hactl_database_lag_bytes", "hactl_lease_remaining_seconds"} <= named


def test_the_dashboard_is_one_that_grafana_imports() -> None:
    found = json.loads(dashboard.text())
    assert found["panels"]
    assert len({p["id"] for p in found["panels"]}) == len(found["panels"])
    for panel in found["panels"]:
        assert {"title", "type", "gridPos", "targets", "datasource"} <= set(panel)


def test_a_subject_is_named_where_there_is_one() -> None:
    rule = next(a for a in alerts.health() if a.name == "AGENT_SILENT").rule()["annotations"]
    assert filled(rule["summary"], {"subject": "db1"}) == "a node's agent does not report (db1)"
    assert filled(rule["summary"], {}) == "a node's agent does not report"
    assert "db1" in filled(rule["fix"], {"subject": "db1"})


def test_only_the_witness_has_them() -> None:
    paths = {str(layout.ALERT_RULES), str(layout.ALERTMANAGER_CONFIG)}
    assert paths <= {f.path for f in files_of("wit1")}
    for node in ("db1", "arc1"):
        assert paths.isdisjoint({f.path for f in files_of(node)})


def told(*notify: dict[str, object]) -> dict[str, object]:
    spec: ClusterSpec = sample_spec(notify=list(notify))
    [receiver] = alertmanager.configuration(spec)["receivers"]
    return dict(receiver)


def test_nobody_is_told_where_nobody_is_named() -> None:
    assert told() == {"name": "notify"}


def test_all_who_are_named_are_told_and_also_when_it_is_over() -> None:
    found = told({"webhook": "https://a.example/x?t=1"}, {"email": "oncall@example.org"})
    assert found["webhook_configs"] == [{"url": "https://a.example/x?t=1", "send_resolved": True}]
    assert found["email_configs"] == [{
        "to": "oncall@example.org", "from": "hactl@example.org", "smarthost": "127.0.0.1:25",
        "require_tls": False, "send_resolved": True,
    }]  # fmt: skip


def test_a_mail_server_elsewhere_is_spoken_to_with_tls_and_a_login() -> None:
    login = {"username": "hactl", "password_file": "/etc/hactl/smtp"}
    found = told({"email": "a@b.org", "smarthost": "m.b.org:587", "sender": "pacs@b.org", "login": login})
    assert found["email_configs"] == [{
        "to": "a@b.org", "from": "pacs@b.org", "smarthost": "m.b.org:587", "require_tls": True,
        "send_resolved": True, "auth_username": "hactl", "auth_password_file": "/etc/hactl/smtp",
    }]  # fmt: skip


def test_a_webhook_s_address_is_not_for_everybody() -> None:
    [file] = [f for f in files_of("wit1") if f.path == str(layout.ALERTMANAGER_CONFIG)]
    assert (file.mode, file.group, file.secret) == ("0640", "prometheus", True)


def test_what_is_inhibited_exists() -> None:
    rules = alertmanager.configuration(sample_spec())["inhibit_rules"]
    text = yaml.safe_dump(rules)
    named = set(re.findall(r"\b[A-Z]{2,}_[A-Z_]+\b", text))
    assert named
    assert named <= set(CODES)


def rows(page: str) -> dict[str, list[str]]:
    """The tables' rows whose first cell is a name, by that name."""
    lines = [line for line in page.splitlines() if line.startswith("| `")]
    cells = [[c.strip() for c in line.strip("|").split("|")] for line in lines]
    return {row[0].strip("`"): row for row in cells}


def test_the_documentation_has_every_metric_and_every_alert_s_own_time() -> None:
    found = rows((Path(__file__).parents[2] / "docs" / "metrics.md").read_text(encoding="utf-8"))
    for m in METRICS.values():
        source = "active" if m.source is Source.CLUSTER else "each"
        labels = ", ".join(m.labels) or "none"
        assert found.pop(m.name) == [f"`{m.name}`", m.kind.value, labels, source, m.help]
    usual = {Severity.ERROR: "15s", Severity.WARNING: "1m"}
    own = {a.name: a.lasts for a in alerts.health() if a.lasts != usual[a.severity]}
    assert own == {name: row[1] for name, row in found.items() if name in CODES}
    assert not [name for name in found if name.startswith("hactl_")]


def test_every_alert_leads_to_a_page_or_a_section_that_exists() -> None:
    docs = Path(__file__).parents[2]
    for alert in (*alerts.health(), *alerts.RAW):
        name, _, anchor = alert.docs.partition("#")
        headings = re.findall(r"^#+ (\S+)$", (docs / name).read_text(encoding="utf-8"), re.MULTILINE)
        assert headings[0] == alert.name or anchor in {heading.lower() for heading in headings}, alert.docs
