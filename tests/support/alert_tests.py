"""Tests of the alert rules in promtool's own format: for each one when it fires, with what, and when not."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

from hactl.render.alerts import RAW, Alert, health
from hactl.units import Seconds

STEP = 10  # seconds between two scrapes and two evaluations, as in the rendered configuration
LONG = 3600  # an alert that waits for so long is evaluated each
LONG_STEP = 600  # s: promtool evaluates every rule at each step
BEGINS = 12  # steps until what is wrong begins; before that all is well
_TEXT = re.compile(r"\{\{ if \$labels\.subject \}\}(.*?)(?:\{\{ else \}\}(.*?))?\{\{ end \}\}")
FAILED_OVER = 'hactl_failovers_total{reason="primary lost",controller="wit1"}'


@dataclass(frozen=True)
class Case:
    """`series`: metric -> promtool's values after `BEGINS`, and before it; `labels`: the alert's own."""

    series: dict[str, tuple[str, str]]
    labels: dict[str, str] = field(default_factory=dict)


def _code(alert: Alert, subject: str) -> Case:
    labels = f'code="{alert.name}",severity="{alert.severity.value}",subject="{subject}",controller="wit1"'
    return Case({f"hactl_health{{{labels}}}": ("_", "1")}, {"subject": subject} if subject else {})


_ACTIVE = 'hactl_controller_active{controller="wit1"}'
_TICKS = 'hactl_tick_duration_seconds_bucket{loop="fast",controller="wit1",le="%s"}'

# What is wrong, for the alerts that do not follow from a health code in hactl_health.
CASES: dict[str, Case] = {
    "CONTROLLER_NONE": Case({_ACTIVE: ("1", "0"), 'hactl_controller_active{controller="db1"}': ("0", "0")}),
    "HACTL_EXPORTER_SILENT": Case(
        {'up{job="hactl",controller="db1"}': ("1", "0")}, {"job": "hactl", "controller": "db1"}
    ),
    "HACTL_TWO_ACTIVE": Case({_ACTIVE: ("1", "1"), 'hactl_controller_active{controller="db1"}': ("0", "1")}),
    "HACTL_LEASE_SHORT": Case(
        {'hactl_lease_remaining_seconds{node="db1",controller="wit1"}': ("2.5", "0.4")}, {"node": "db1"}
    ),
    "HACTL_FAILED_OVER": Case({FAILED_OVER: ("2", "3")}, {"reason": "primary lost"}),
    "HACTL_FAILOVER_SLOW": Case({
        FAILED_OVER: ("2", "3"),
        'hactl_failover_last_phase_seconds{phase="first-commit",controller="wit1"}': ("2", "9"),
    }),
    "HACTL_TICK_SLOW": Case(
        {_TICKS % "1.0": ("0", "0"), _TICKS % "2.5": ("0", "+10"), _TICKS % "+Inf": ("0", "+10")},
        {"controller": "wit1"},
    ),
    "HACTL_CERTIFICATE_ENDS": Case(
        {'hactl_certificate_end_timestamp_seconds{use="patroni",controller="db1"}': ("2000000", "1000000")},
        {"use": "patroni", "controller": "db1"},
    ),
    "HACTL_CERTIFICATE_ENDS_NOW": Case(
        {'hactl_certificate_end_timestamp_seconds{use="patroni",controller="db1"}': ("2000000", "200000")},
        {"use": "patroni", "controller": "db1"},
    ),
    "HACTL_ETCD_FILLS": Case(
        {'etcd_mvcc_db_total_size_in_bytes{job="etcd",node="db1"}': ("1000", "7000"),
         'etcd_server_quota_backend_bytes{job="etcd",node="db1"}': ("10000", "10000")},
        {"node": "db1"},
    ),
    "HACTL_JOURNAL_BEHIND": Case(
        {'hactl_journal_head{controller="wit1"}': ("100", "900"),
         'hactl_journal_head{controller="db1"}': ("100", "100")},
        {"controller": "db1"},
    ),
    "HACTL_TARGET_DOWN": Case(
        {'up{job="etcd",node="db1"}': ("1", "0")}, {"job": "etcd", "node": "db1"}
    ),
    "HACTL_NOTIFY_FAILING": Case(
        {'alertmanager_notifications_failed_total{integration="webhook"}': ("0", "+10")},
        {"integration": "webhook"},
    ),
}  # fmt: skip


def alerts() -> tuple[Alert, ...]:
    return (*health(), *RAW)


def document() -> dict[str, Any]:
    """All codes in one test: promtool evaluates every rule at each step of each test."""
    quick = [a for a in alerts() if _lasts(a) < LONG]
    own = [(a, [CASES[a.name]]) for a in quick if a.name in CASES]
    codes = [(a, [_code(a, "db1"), _code(a, "")]) for a in quick if a.name not in CASES]
    return _document([*([each] for each in own), codes], STEP)


def slow_document() -> dict[str, Any]:
    """Of alerts that wait for hours, in larger steps."""
    slow = [a for a in alerts() if _lasts(a) >= LONG]
    return _document([[(a, [_code(a, "db1"), _code(a, "")]) for a in slow]], LONG_STEP)


def _document(groups: list[list[tuple[Alert, list[Case]]]], step: int) -> dict[str, Any]:
    return {
        "rule_files": ["rules.yml"],
        "evaluation_interval": f"{step}s",
        "tests": [_test(group, step) for group in groups],
    }


def _test(group: list[tuple[Alert, list[Case]]], step: int) -> dict[str, Any]:
    steps = max(_fires(alert, step) for alert, _ in group) // step - BEGINS + 1
    series = {name: v for _, cases in group for case in cases for name, v in case.series.items()}
    return {
        "interval": f"{step}s",
        "input_series": [
            {"series": name, "values": _values(before, after, steps)}
            for name, (before, after) in series.items()
        ],
        "alert_rule_test": [check for alert, cases in group for check in _checks(alert, cases, step)],
    }


def _lasts(alert: Alert) -> int:
    return int(Seconds.parse(alert.lasts.replace("m", "min")).value)


def _fires(alert: Alert, step: int) -> int:
    """The first evaluation that sees it starts the clock; rates and increases need more samples."""
    slow = "rate(" in alert.expr or "increase(" in alert.expr
    return BEGINS * step + _lasts(alert) + (300 if slow else 2 * step)


def _checks(alert: Alert, cases: list[Case], step: int) -> Iterator[dict[str, Any]]:
    begins, lasts = BEGINS * step, _lasts(alert)
    quiet = [begins - step] + ([begins + lasts - step] if lasts > step else [])
    for at in quiet:
        yield {"eval_time": f"{at}s", "alertname": alert.name, "exp_alerts": []}
    expected = [_expected(alert, case) for case in cases]
    yield {"eval_time": f"{_fires(alert, step)}s", "alertname": alert.name, "exp_alerts": expected}


def _values(before: str, after: str, steps: int) -> str:
    """`+10`: grows by that with each step, from what it was before."""
    rest = f"{before}{after}x{steps}" if after.startswith("+") else f"{after}+0x{steps}"
    first = f"_x{BEGINS}" if before == "_" else f"{before}+0x{BEGINS - 1}"
    return f"{first} {rest}"


def _expected(alert: Alert, case: Case) -> dict[str, Any]:
    rule = alert.rule()
    return {
        "exp_labels": {**case.labels, **rule["labels"]},
        "exp_annotations": {k: filled(v, case.labels) for k, v in rule["annotations"].items()},
    }


def filled(text: str, labels: dict[str, str]) -> str:
    """What Prometheus makes of our few templates."""
    text = _TEXT.sub(lambda m: m[1] if labels.get("subject") else (m[2] or ""), text)
    return re.sub(r"\{\{ \$labels\.(\w+) \}\}", lambda m: labels.get(m[1], ""), text)
