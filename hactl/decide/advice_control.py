"""Advice about hactl itself: agents, controllers, certificates, what could not be looked at."""

from __future__ import annotations

from typing import Final

from hactl.decide.advice import Advice

ADVICE: Final = {
    "PAUSED": Advice(
        itself="It ends by itself when its time is over; what it kept hactl from is then done.",
        steps=(
            "`hactl status`: who paused it, why, for how long?",
            "If that work is done: `hactl resume`.",
        ),
        related=("PATRONI_PAUSED", "NODE_MAINTENANCE"),
        see=("operations.md",),
    ),
    "PATRONI_PAUSED": Advice(
        itself="Nothing: hactl neither sets nor ends Patroni's own pause, and rests while it lasts.",
        steps=(
            "Ask who paused it: `patronictl pause` leaves no reason behind.",
            (
                "On a database node: "
                "`sudo -u postgres /opt/patroni/bin/patronictl -c /etc/patroni/hactl.yml resume`."
            ),
            "Next time `hactl pause --for 1h`: it ends by itself, and Patroni still fails over.",
        ),
        related=("PAUSED",),
        see=("operations.md",),
    ),
    "NODE_MAINTENANCE": Advice(
        itself="It leaves the node alone until the time is over; then it repairs there again.",
        steps=(
            "`hactl node show {node}`: who works on it, why, until when?",
            "When the work is done: `hactl node maintenance {node} off`.",
        ),
        related=("PAUSED", "ARCHIVE_DRAINED"),
        see=("nodes.md",),
    ),
    "SOURCE_UNKNOWN": Advice(
        itself="Nothing is done on a guess: what could not be read vetoes.",
        steps=(
            "`hactl -v doctor`: what was asked, and how it failed.",
            "Ask from another machine or on a node: is it only seen from here?",
        ),
        related=("TLS_UNTRUSTED", "NODE_UNREACHABLE"),
    ),
    "FACTS_UNKNOWN": Advice(
        steps=(
            "`ssh hactl@{node} facts` with the key of the state folder: what does it answer?",
            (
                "Another host key after a new installation: `hactl pki trust {node} --replace "
                "--fingerprint SHA256:…`."
            ),
            "`hactl deploy --limit {node}`.",
        ),
        related=("FACTS_NOT_ASKED", "NODE_UNREACHABLE"),
    ),
    "FACTS_NOT_ASKED": Advice(
        related=("FACTS_UNKNOWN",),
    ),
    "UNIT_NOT_RUNNING": Advice(
        itself=(
            "It is restarted after 10 s (Patroni after 3 s), at most three times an hour; hactl's own "
            "services by systemd."
        ),
        related=("RECOVERY_GIVEN_UP", "AGENT_SILENT", "PATRONI_DOWN"),
    ),
    "CLOCK_SKEW": Advice(
        itself="Nothing that decides a failover uses the wall clock.",
        steps=(
            "`timedatectl` on {node}: is NTP on, and synchronised?",
            "Compare the other nodes: one that differs, or all but one?",
        ),
        related=("CERT_EXPIRED", "TLS_UNTRUSTED"),
    ),
    "VERSIONS_DIFFER": Advice(
        related=("CONFIG_DRIFT",),
        see=("deploy.md",),
    ),
    "CERT_EXPIRING": Advice(
        itself="It only tells: new certificates need the CA, which no node has.",
        related=("CERT_EXPIRED", "CERT_REFUSED", "CERT_UNFIT"),
        see=("pki.md", "runbooks/ca-expired.md"),
    ),
    "CERT_EXPIRED": Advice(
        itself=(
            "Agents and controllers go on with their spare certificate. Nothing stands in for those of "
            "etcd, Patroni and PostgreSQL."
        ),
        related=("CERT_EXPIRING", "CERT_REFUSED", "CLOCK_SKEW", "TLS_UNTRUSTED"),
        see=("runbooks/ca-expired.md", "pki.md"),
    ),
    "CERT_REFUSED": Advice(
        itself="The spare certificate is used, and the lease is renewed as ever.",
        related=("CERT_EXPIRED", "AGENT_SILENT"),
        see=("runbooks/ca-expired.md", "pki.md"),
    ),
    "CERT_UNFIT": Advice(
        related=("CERT_EXPIRING",),
        see=("pki.md",),
    ),
    "TLS_UNTRUSTED": Advice(
        steps=(
            "Which side is wrong? `hactl pki show` here; the clock of both sides.",
            "Is this the state folder of this cluster (`HACTL_STATE`)?",
            "`hactl deploy` puts the certificates of the state folder onto the nodes.",
        ),
        related=("CERT_EXPIRED", "CLOCK_SKEW"),
        see=("runbooks/ca-expired.md",),
    ),
    "TLS_WEAK": Advice(
        itself="Nothing: the port serves, and who uses it would be cut off.",
        steps=(
            "`hactl tls check`: which port, which offer?",
            "`hactl config diff`: was its file changed by hand?",
            "`hactl deploy`, then `hactl tls check` again.",
        ),
        related=("TLS_CHECK_OVERDUE", "TLS_NOT_CHECKED"),
        see=("transit.md",),
    ),
    "TLS_CHECK_OVERDUE": Advice(
        related=("TLS_WEAK", "TLS_NOT_CHECKED"),
        see=("transit.md",),
    ),
    "TLS_NOT_CHECKED": Advice(
        itself="The witness does it by itself, some minutes after the first deployment.",
        related=("TLS_CHECK_OVERDUE",),
        see=("transit.md",),
    ),
    "LEASE_OPEN": Advice(
        itself=(
            "Patroni and keepalived serve without hactl; the agent's first act, when it runs again, is to "
            "go back to the lease."
        ),
        related=("AGENT_SILENT", "CERT_REFUSED"),
        see=("fencing.md",),
    ),
    "FENCED": Advice(
        itself=(
            "Its agent stops PostgreSQL and reports; then the fence goes and Patroni is started as a "
            "standby. A node that hactl switched off is switched on again, at most twice."
        ),
        steps=(
            "`hactl incident show`: was it switched off, and on again?",
            "Is it on? Its console or BMC; switch it on.",
            "On it: does the agent run? `systemctl status hactl-agent.service`",
            "Never remove the fence's key from etcd by hand: it is what keeps two nodes from serving.",
        ),
        related=("INCIDENT_OPEN", "NODE_UNREACHABLE", "AGENT_SILENT"),
        see=("runbooks/failover-did-not-happen.md",),
    ),
    "INCIDENT_OPEN": Advice(
        itself=(
            "It goes on with the incident, also with another controller. It is closed when redundancy is "
            "back."
        ),
        steps=(
            "`hactl incident show`: which phase was reached last, with what evidence?",
            "`hactl plan`: what does it wait for?",
            "Bring the lost node back; nothing else has to be done.",
        ),
        related=("FENCED", "NODE_UNREACHABLE", "STANDBY_LOST"),
        see=("journal.md",),
    ),
    "CONTROLLER_NONE": Advice(
        itself="Nothing, since nobody is active. Patroni and keepalived go on by themselves.",
        steps=(
            "`hactl etcd show`: without a majority, or with full etcd, no controller can be active.",
            "`hactl node logs {node} --unit hactl-controller` on the witness and the database nodes.",
            "`hactl node restart NODE --unit hactl-controller`.",
            "Without etcd no such command works: `systemctl restart hactl-controller.service` there.",
        ),
        related=("ETCD_NO_QUORUM", "ETCD_NOSPACE", "CONTROLLER_ALONE", "CERT_REFUSED"),
    ),
    "CONTROLLER_ALONE": Advice(
        related=("CONTROLLER_NONE", "NODE_UNREACHABLE"),
    ),
    "AGENT_SILENT": Advice(
        itself=(
            "systemd restarts it, also when it is frozen (watchdog). A database node whose agent stays "
            "away goes into mode open, if etcd agrees."
        ),
        related=("LEASE_OPEN", "CERT_REFUSED", "ETCD_NOSPACE", "UNIT_NOT_RUNNING"),
        see=("fencing.md",),
    ),
    "KEEPALIVED_DOWN": Advice(
        itself="It is restarted after three looks.",
        related=("VIP_NOT_HELD", "VIP_ON_TWO_NODES"),
    ),
    "RECOVERY_GIVEN_UP": Advice(
        itself="It starts again when the hour of the budget is over.",
        steps=(
            "`hactl history`: what was tried, and what was answered?",
            "`hactl node logs {node} --unit patroni`: why does it fail?",
            "Mend the cause (disk, network, slot); the next try is hactl's.",
        ),
        related=("STANDBY_LOST", "SLOT_LOST", "DISK_NEARLY_FULL"),
        see=("recovery.md", "runbooks/disk-full.md"),
    ),
}
