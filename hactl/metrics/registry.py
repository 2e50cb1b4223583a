"""Every metric, once: what the exporter emits, docs/metrics.md lists, and rules and dashboard may name."""

from __future__ import annotations

import enum
from dataclasses import dataclass
from typing import Final


class Kind(enum.StrEnum):
    GAUGE = "gauge"
    COUNTER = "counter"
    HISTOGRAM = "histogram"


class Source(enum.StrEnum):
    """`process`: every controller has it, also while it stands by.

    `cluster`: the active one only, as it sees the cluster.
    """

    PROCESS = "process"
    CLUSTER = "cluster"


@dataclass(frozen=True)
class Metric:
    """`help` says what the value means. What is unknown has no sample: a zero would be a statement."""

    name: str
    kind: Kind
    labels: tuple[str, ...]
    help: str
    source: Source = Source.CLUSTER


_G, _C, _H, _P = Kind.GAUGE, Kind.COUNTER, Kind.HISTOGRAM, Source.PROCESS

_ALL: Final = (
    # The controller itself
    Metric("hactl_build_info", _G, ("version", "python"), "1; the labels say which version runs.", _P),
    Metric("hactl_controller_active", _G, (), "1: holds the controller's lease and acts; 0: stands by.", _P),
    Metric("hactl_controller_look_age_seconds", _G, (),
           "How long ago the newest look at etcd that was answered had been asked for.", _P),
    Metric("hactl_tick_duration_seconds", _H, ("loop",),
           "Turns of the controller's loops: fast (failover) and tick (all else).", _P),
    Metric("hactl_probe_duration_seconds", _H, ("path", "node"),
           "Probes of this controller, answered or not, by what was asked.", _P),
    Metric("hactl_certificate_end_timestamp_seconds", _G, ("use",),
           "When a certificate on this controller's node ends, in Unix time.", _P),
    Metric("hactl_journal_head", _G, (), "Number of the newest journal record here.", _P),
    # Verdict
    Metric("hactl_health", _G, ("code", "severity", "subject"),
           "1 for each finding, as `hactl status` shows it; no sample: not found."),
    Metric("hactl_health_muted", _G, ("code", "severity", "subject"),
           "1 for each finding that is muted: it is not in `hactl_health`, so nothing alerts."),
    Metric("hactl_health_findings", _G, ("severity",),
           "How many findings there are of each severity, without muted ones."),
    Metric("hactl_paused", _G, (), "1: somebody has paused Patroni or hactl: nothing is automatic."),
    # Nodes
    Metric("hactl_node_up", _G, ("node",), "1: the node's SSH server greets, 0: it does not."),
    Metric("hactl_agent_up", _G, ("node",), "1: the node's agent publishes facts; 0: its last have expired."),
    Metric("hactl_unit_running", _G, ("node", "unit"), "1: active, as the node's agent reports."),
    Metric("hactl_disk_free_bytes", _G, ("node", "path"), "Free space, as the node's agent reports."),
    Metric("hactl_disk_size_bytes", _G, ("node", "path"), "Size of the file system, beside its free space."),
    # Database
    Metric("hactl_database_role", _G, ("node", "role"),
           "1 for the role that the node's own Patroni says (primary, standby, unknown), 0 for the others."),
    Metric("hactl_database_leader", _G, ("node",), "1: holds Patroni's leader key."),
    Metric("hactl_database_timeline", _G, ("node",), "The timeline that the node's PostgreSQL is on."),
    Metric("hactl_database_lag_bytes", _G, ("node",), "WAL that a standby has not got yet; standbys only."),
    Metric("hactl_database_lag_seconds", _G, ("node",),
           "Age of the last commit that a standby has replayed while it is behind; 0: it is not behind."),
    Metric("hactl_database_sync", _G, ("node",), "1: named as synchronous standby in etcd; standbys only."),
    Metric("hactl_heartbeat_misses", _G, (), "Failed commits in a row by new connections through the VIP."),
    Metric("hactl_heartbeat_seconds", _G, (), "The last good commit through the VIP, connecting included."),
    # Virtual IPs, lease, fences
    Metric("hactl_vip_held", _G, ("vip", "node"), "1: the node has the address or answers at it."),
    Metric("hactl_vip_answers", _G, ("vip",), "1: somebody answers at the virtual IP, 0: nobody does."),
    Metric("hactl_lease_mode", _G, ("node", "mode"),
           "1 for the node's mode: leased (held back by its fencing lease) or open (no agent runs there)."),
    Metric("hactl_lease_remaining_seconds", _G, ("node",),
           "How long the node may still serve without renewing its fencing lease, as its agent last said."),
    Metric("hactl_fence_standing", _G, ("node",), "1: a fence intent stands: the node must not serve."),
    Metric("hactl_fences_total", _C, ("node",), "Fence intents since the journal began.", _P),
    # Failovers
    Metric("hactl_failovers_total", _C, ("reason",),
           "Failovers up to their first commit, since the journal began: lost, grey, asked.", _P),
    Metric("hactl_failovers_recent", _G, (), "Automatic failovers of the last hour, as etcd counts."),
    Metric("hactl_failover_last_phase_seconds", _G, ("phase",),
           "The last failover: from suspicion to each phase that it reached."),
    Metric("hactl_incident_open", _G, (), "1: a failover is under way, or its old primary is not back yet."),
    # Recovery
    Metric("hactl_recovery_actions_total", _C, ("rung", "result"),
           "Recovery actions since the journal began: done or failed.", _P),
    Metric("hactl_recovery_budget_used", _G, ("node", "rung"),
           "Recovery actions within the last hour, which the budget counts."),
    # etcd
    Metric("hactl_etcd_member_up", _G, ("node",), "1: the member answers and knows a leader."),
    Metric("hactl_etcd_leader", _G, ("node",), "1: leads etcd."),
    Metric("hactl_etcd_quorum", _G, (), "1: a majority works; 0: the members that answer know no leader."),
    Metric("hactl_etcd_db_bytes", _G, ("node",), "Size of the member's database."),
    # Integrity of the images
    Metric("hactl_manifest_objects", _G, ("node",), "Images whose SHA-256 the node's manifest has."),
    Metric("hactl_manifest_behind", _G, ("node",), "Resources of the index that the follower has not seen."),
    Metric("hactl_manifest_look_age_seconds", _G, ("node",), "Age of the follower's last good look."),
    Metric("hactl_scrub_age_seconds", _G, ("node",), "Age of the node's last whole scrub."),
    Metric("hactl_scrub_running", _G, ("node",), "1: a scrub reads now."),
    Metric("hactl_scrub_objects_done", _G, ("node",), "Objects that the present or last scrub has read."),
    Metric("hactl_scrub_objects_planned", _G, ("node",), "Objects of the present or last scrub."),
    Metric("hactl_scrub_read_bytes", _G, ("node",), "Bytes that the present or last scrub has read."),
    Metric("hactl_scrub_marks", _G, ("node", "kind"),
           "Objects marked and not mended, by what is wrong with them (docs/integrity.md)."),
    Metric("hactl_reconcile_timeline", _G, (),
           "The database's timeline up to which storage and index were compared; 0: never."),
    Metric("hactl_reconcile_restored", _G, ("node",), "Images that the node's last reconcile stored again."),
    Metric("hactl_reconcile_missing", _G, ("node",), "Rows without file that it found."),
    Metric("hactl_reconcile_unfinished", _G, ("node",), "Images that it could not store again."),
    # Archive
    Metric("hactl_archive_level", _G, ("node", "level"),
           "1: ok, 0: failed, by level: L0 ports, L1 protocol, L2 index, L3 storage, L4 end to end."),
    Metric("hactl_archive_state", _G, ("node", "state"),
           "1 for the state that the node is in (docs/archive-health.md), 0 for the others."),
    Metric("hactl_archive_probe_seconds", _H, ("level",),
           "Questions of this controller to archive nodes, answered or not, by what they tell of.", _P),
    Metric("hactl_archive_probe_breaker_open", _G, ("node",),
           "How many ways to ask the node are left alone for a while, because it hung three times."),
    Metric("hactl_archive_serves", _G, ("node",), "1: the archive node can serve, 0: it cannot."),
    # TLS
    Metric("hactl_tls_check_timestamp_seconds", _G, (), "When the last daily TLS check ended, in Unix time."),
    Metric("hactl_tls_check_unproven_since_seconds", _G, (),
           "Since when some port has not been proven to refuse what it must, in Unix time."),
    Metric("hactl_tls_check_endpoints", _G, ("result",),
           "Ports by what the last TLS check came to: ok, weak (accepts what it must refuse), unproven."),
    # drills
    Metric("hactl_last_drill_timestamp_seconds", _G, (), "When the last drill ended, in Unix time."),
    Metric("hactl_last_drill_clean", _G, (),
           "1: the last drill kept every promise, 0: it broke one, or stopped early."),
    Metric("hactl_last_drill_lost_rows", _G, (), "Acknowledged rows that the last drill lost."),
    Metric("hactl_last_drill_outage_seconds", _G, (),
           "The last drill's outage: from the fault to the first commit by a new connection."),
)  # fmt: skip

METRICS: Final = {metric.name: metric for metric in _ALL}
