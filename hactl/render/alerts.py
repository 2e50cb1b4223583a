"""Alert rules for Prometheus: one for each health code that needs attention, and those on metrics alone.

An alert of a health code has the code's name, so that mute, docs and alert speak of the same thing.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, Final

from hactl.decide.codes import CODES, Code, Severity

# How long something must last. A failover takes seconds and is no alarm; what it leaves behind is one.
_FOR: Final = {Severity.ERROR: "15s", Severity.WARNING: "1m"}
_FOR_CODE: Final = {
    "TWO_PRIMARIES": "0s",
    "RECOVERY_GIVEN_UP": "0s",
    "NODE_MAINTENANCE": "24h",  # wanted, and forgotten after so long
    # What a slow or absent answer may look like, or what a deployment under way looks like.
    "SOURCE_UNKNOWN": "5m",
    "FACTS_UNKNOWN": "5m",
    "CLOCK_SKEW": "5m",
    "PAUSED": "5m",
    "VERSIONS_DIFFER": "10m",
    "CONFIG_DRIFT": "10m",
    "CERT_EXPIRING": "10m",
    "CERT_UNFIT": "10m",
    "DRILL_OVERDUE": "10m",
}
# Between two active controllers nobody says anything: an alert does not end for that.
_KEEP: Final = "30s"
# Codes of which the active controller, who would tell, cannot know.
_EXPRESSIONS: Final = {
    "CONTROLLER_NONE": "sum(hactl_controller_active) == 0 or absent(hactl_controller_active)",
}
_SUBJECT: Final = "{{ if $labels.subject }}{{ $labels.subject }}{{ else }}the node{{ end }}"
_HAPPENED: Final = "increase(max by (reason) (hactl_failovers_total)[10m:10s])"


@dataclass(frozen=True)
class Alert:
    """`lasts`: Prometheus's `for`. `fix` is the next command; `docs` names page and section."""

    name: str
    severity: Severity
    expr: str
    lasts: str
    summary: str
    description: str
    fix: str
    docs: str

    def rule(self) -> dict[str, Any]:
        return {
            "alert": self.name,
            "expr": self.expr,
            "for": self.lasts,
            "keep_firing_for": _KEEP,
            "labels": {"severity": self.severity.value},
            "annotations": {
                "summary": self.summary,
                "description": self.description,
                "fix": self.fix,
                "docs": self.docs,
            },
        }


def document() -> dict[str, Any]:
    """The rules file. Needs Prometheus 2.42, which Debian 12 has, for keep_firing_for."""
    return {
        "groups": [
            {"name": "hactl-health", "rules": [alert.rule() for alert in health()]},
            {"name": "hactl-metrics", "rules": [alert.rule() for alert in RAW]},
        ]
    }


def health() -> Iterator[Alert]:
    """One for each code of severity warning or worse."""
    return (_of(code) for code in CODES.values() if code.severity.rank >= Severity.WARNING.rank)


def _of(code: Code) -> Alert:
    # By subject only: while one controller takes over from another, both may be there for one scrape.
    expr = f'max by (subject) (hactl_health{{code="{code.name}"}}) == 1'
    return Alert(
        name=code.name,
        severity=code.severity,
        expr=_EXPRESSIONS.get(code.name, expr),
        lasts=_FOR_CODE.get(code.name, _FOR[code.severity]),
        summary=f"{code.summary}{{{{ if $labels.subject }}}} ({{{{ $labels.subject }}}}){{{{ end }}}}",
        description=code.why,
        fix=code.fix.replace("{node}", _SUBJECT),
        docs=code.docs,
    )


def _raw(name: str, severity: Severity, expr: str, lasts: str, *text: str) -> Alert:
    summary, description, fix = text
    return Alert(name, severity, expr, lasts, summary, description, fix, f"docs/metrics.md#{name.lower()}")


_E, _W = Severity.ERROR, Severity.WARNING

RAW: Final = (
    _raw("HACTL_EXPORTER_SILENT", _W, 'up{job="hactl"} == 0', "1m",
         "a controller's metrics cannot be read ({{ $labels.controller }})",
         "That controller is stopped, or its node is. One less can take over.",
         "hactl node restart {{ $labels.controller }} --unit hactl-controller"),
    _raw("HACTL_TWO_ACTIVE", _E, "sum(hactl_controller_active) > 1", "30s",
         "more than one controller says that it is active",
         "Only one can hold the lease in etcd: the other one's loops are stuck, and it acts on nothing.",
         "hactl doctor"),
    _raw("HACTL_LEASE_SHORT", _W, "max by (node) (hactl_lease_remaining_seconds) < 1", "30s",
         "a fencing lease is renewed late ({{ $labels.node }})",
         "Without it the node serves nothing through the virtual IP: etcd is slow, or the node overloaded.",
         "hactl doctor"),
    _raw("HACTL_FAILED_OVER", _W, f"{_HAPPENED} > 0", "0s",
         "a failover happened ({{ $labels.reason }})",
         "The service was taken over by the other node. Find out what the first one suffered from.",
         "hactl incident list"),
    _raw("HACTL_FAILOVER_SLOW", _W,
         'max(hactl_failover_last_phase_seconds{phase="first-commit"}) > 6 and on() '
         f"(max({_HAPPENED}) > 0)", "0s",
         "the last failover took longer than it should",
         "From suspicion to the first commit. The incident says which phase took the time.",
         "hactl incident list"),
    _raw("HACTL_TICK_SLOW", _W,
         "histogram_quantile(0.9, sum by (controller, le) "
         '(rate(hactl_tick_duration_seconds_bucket{loop="fast"}[5m]))) > 1', "5m",
         "a controller's fast loop is slow ({{ $labels.controller }})",
         "What it sees is older than it should be, and a failover starts later.",
         "top, on {{ $labels.controller }}"),
    _raw("HACTL_CERTIFICATE_ENDS", _W,
         "hactl_certificate_end_timestamp_seconds - time() < 14 * 86400", "10m",
         "a certificate ends within two weeks ({{ $labels.use }} on {{ $labels.controller }})",
         "Everything between the nodes is mutual TLS: an expired certificate is an outage.",
         "hactl pki renew && hactl deploy"),
    _raw("HACTL_CERTIFICATE_ENDS_NOW", _E,
         "hactl_certificate_end_timestamp_seconds - time() < 3 * 86400", "10m",
         "a certificate ends within three days ({{ $labels.use }} on {{ $labels.controller }})",
         "From then on nobody believes that node: etcd, Patroni and agents go silent as connections end.",
         "hactl pki renew && hactl deploy"),
    # From etcd itself: whoever cannot write to it may be silent for that very reason.
    _raw("HACTL_ETCD_FILLS", _W,
         "max by (node) (etcd_mvcc_db_total_size_in_bytes / etcd_server_quota_backend_bytes) > 0.6", "5m",
         "etcd's database has grown to 60 % of its quota ({{ $labels.node }})",
         "At 100 % etcd takes no writes from anybody, and no failover is possible.",
         "hactl etcd mend"),
    _raw("HACTL_JOURNAL_BEHIND", _W,
         "scalar(max(hactl_journal_head)) - hactl_journal_head > 100", "5m",
         "a controller's copy of the journal is behind ({{ $labels.controller }})",
         "If the other copies are lost, so is what they alone hold.",
         "hactl journal verify"),
    _raw("HACTL_TARGET_DOWN", _W, 'up{job!="hactl"} == 0', "2m",
         "Prometheus cannot read {{ $labels.job }} ({{ $labels.node }})",
         "What it would tell is missing in graphs and alerts.",
         "hactl status"),
    _raw("HACTL_NOTIFY_FAILING", _W,
         "sum by (integration) (rate(alertmanager_notifications_failed_total[5m])) > 0", "5m",
         "Alertmanager cannot deliver ({{ $labels.integration }})",
         "Alerts do not reach everybody whom the spec's notify names. Alertmanager tries again.",
         "journalctl -u prometheus-alertmanager, on the witness"),
)  # fmt: skip
