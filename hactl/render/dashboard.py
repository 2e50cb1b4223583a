"""A dashboard for Grafana, built from a list of panels; it lies on the witness, to be imported."""

from __future__ import annotations

import functools
import json
from dataclasses import dataclass
from typing import Any, Final

# Grafana's names of units.
_SECONDS, _BYTES, _COUNT, _YES = "s", "bytes", "none", "bool_yes_no"
_WIDTH, _HEIGHT = 8, 7
_P99: Final = "histogram_quantile(0.99"


@dataclass(frozen=True)
class Panel:
    """`kind`: Grafana's. `series`: expression -> legend."""

    title: str
    unit: str
    series: dict[str, str]
    kind: str = "timeseries"


# `max by`: while one controller takes over from another, both may be there for one scrape.
PANELS: Final = (
    Panel("Findings", _COUNT, {"max by (severity) (hactl_health_findings)": "{{severity}}"}),
    Panel("What is wrong", _COUNT,
          {"max by (code, severity, subject) (hactl_health)": "{{code}} {{subject}}"}, "table"),
    Panel("Active controller", _YES, {"hactl_controller_active": "{{controller}}"}),
    Panel("Primary", _YES, {'max by (node) (hactl_database_role{role="primary"})': "{{node}}"}),
    Panel("Timeline", _COUNT, {"max by (node) (hactl_database_timeline)": "{{node}}"}),
    Panel("Synchronous standby", _YES, {"max by (node) (hactl_database_sync)": "{{node}}"}),
    Panel("Standby behind, bytes", _BYTES, {"max by (node) (hactl_database_lag_bytes)": "{{node}}"}),
    Panel("Standby behind, time", _SECONDS, {"max by (node) (hactl_database_lag_seconds)": "{{node}}"}),
    Panel("A commit through the virtual IP", _SECONDS, {"max(hactl_heartbeat_seconds)": "commit"}),
    Panel("Fencing lease left", _SECONDS, {"max by (node) (hactl_lease_remaining_seconds)": "{{node}}"}),
    Panel("Virtual IPs held", _YES, {"max by (vip, node) (hactl_vip_held)": "{{vip}} {{node}}"}),
    Panel("Fences and incident", _YES, {
        "max by (node) (hactl_fence_standing)": "fence {{node}}", "max(hactl_incident_open)": "incident",
    }),
    Panel("Failovers", _COUNT, {"max by (reason) (hactl_failovers_total)": "{{reason}}"}),
    Panel("Last failover, phase by phase", _SECONDS,
          {"max by (phase) (hactl_failover_last_phase_seconds)": "{{phase}}"}, "bargauge"),
    Panel("Recovery actions", _COUNT, {
        "max by (rung, result) (hactl_recovery_actions_total)": "{{rung}} {{result}}",
    }),
    Panel("Nodes up", _YES, {"max by (node) (hactl_node_up)": "{{node}}"}),
    Panel("etcd members up", _YES, {
        "max by (node) (hactl_etcd_member_up)": "{{node}}", "max(hactl_etcd_quorum)": "majority",
    }),
    Panel("etcd leader", _YES, {"max by (node) (hactl_etcd_leader)": "{{node}}"}),
    Panel("Archive nodes serve", _YES, {"max by (node) (hactl_archive_serves)": "{{node}}"}),
    Panel("Archive levels", _YES, {"min by (node, level) (hactl_archive_level)": "{{node}} {{level}}"}),
    Panel("Disks, free share", "percentunit", {
        "max by (node, path) (hactl_disk_free_bytes) / max by (node, path) (hactl_disk_size_bytes)":
            "{{node}} {{path}}",
    }),
    Panel("Probes, 99th percentile", _SECONDS, {
        f"{_P99}, sum by (path, le) (rate(hactl_probe_duration_seconds_bucket[5m])))": "{{path}}",
    }),
    Panel("Controller's loops, 99th percentile", _SECONDS, {
        f"{_P99}, sum by (controller, loop, le) (rate(hactl_tick_duration_seconds_bucket[5m])))":
            "{{controller}} {{loop}}",
    }),
    Panel("Controller's memory", _BYTES, {
        'process_resident_memory_bytes{job="hactl"}': "{{controller}}",
    }),
)  # fmt: skip


@functools.cache
def text() -> str:
    return json.dumps(document(), indent=1) + "\n"


def document() -> dict[str, Any]:
    return {
        "title": "hactl",
        "uid": "hactl",
        "tags": ["hactl"],
        "schemaVersion": 37,
        "refresh": "10s",
        "time": {"from": "now-3h", "to": "now"},
        "templating": {"list": [{"name": "source", "type": "datasource", "query": "prometheus"}]},
        "panels": [_panel(number, panel) for number, panel in enumerate(PANELS)],
    }


def _panel(number: int, panel: Panel) -> dict[str, Any]:
    column, row = number % 3, number // 3
    source = {"type": "prometheus", "uid": "${source}"}
    table = panel.kind == "table"
    return {
        "id": number + 1,
        "title": panel.title,
        "type": panel.kind,
        "datasource": source,
        "gridPos": {"x": column * _WIDTH, "y": row * _HEIGHT, "w": _WIDTH, "h": _HEIGHT},
        "fieldConfig": {"defaults": {"unit": panel.unit}, "overrides": []},
        "targets": [
            {
                "refId": chr(ord("A") + i), "datasource": source, "expr": expr, "legendFormat": legend,
                "instant": table, "format": "table" if table else "time_series",
            }
            for i, (expr, legend) in enumerate(panel.series.items())
        ],
    }  # fmt: skip
