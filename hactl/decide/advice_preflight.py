"""Advice about what only the doctor looks at: the ground under a failover."""

from __future__ import annotations

from typing import Final

from hactl.decide.advice import Advice

ADVICE: Final = {
    "PORT_UNREACHABLE": Advice(
        steps=(
            "*No answer*: something between the two drops it: a site's packet filter, a route, a switch.",
            "*Refused*: what listens there does not run, or a filter rejects: `hactl node show {node}`.",
            "`nft list ruleset` on {node}: has the table `inet hactl` all nodes in its sets? `hactl deploy`",
            "A site's own filter must let pass what `hactl doctor` names here.",
        ),
        related=("NODE_UNREACHABLE", "ETCD_MEMBER_DOWN", "PATRONI_DOWN", "FILES_DIFFER"),
        see=("deploy.md",),
    ),
    "VIP_STRANGER": Advice(
        itself="Nothing: hactl takes addresses from its own nodes only.",
        steps=(
            "The finding names a hardware address: find it in the switches' tables.",
            "If it is one of the nodes: does an interface of its own carry the address by hand? `ip address`",
            "Until it is gone, clients may reach the wrong machine: no failover mends that.",
        ),
        related=("VIP_ON_TWO_NODES", "VIP_NOT_HELD"),
    ),
    "VIP_ARP": Advice(
        itself="keepalived announces the address when it moves, a second later, and every 5 s from then on.",
        steps=(
            "`sysctl net.ipv4.conf.all.drop_gratuitous_arp`: 0, so that announcements are heard.",
            "With two interfaces in one network: `arp_ignore` 1, `arp_announce` 2: the right one answers.",
            "No answer at all: does the switch filter ARP (dynamic ARP inspection, port security)?",
        ),
        related=("VIP_STRANGER", "VIP_NOT_HELD"),
        see=("fencing.md",),
    ),
    "KERNEL_UNFIT": Advice(
        steps=(
            "Debian 12's own kernel has all of it: `uname -r`.",
            "Is the module `nf_tables` there, not blacklisted? `nft -c -f /etc/hactl/lease.nft`, as root.",
            "Control groups: booted with `systemd.unified_cgroup_hierarchy=0`? Take that away.",
        ),
        related=("LEASE_OPEN",),
        see=("fencing.md",),
    ),
    "WATCHDOG_NONE": Advice(
        itself="Patroni uses `/dev/watchdog` where there is one, and goes on without where there is none.",
        steps=(
            "A board's own watchdog is best: its driver makes `/dev/watchdog`.",
            "Else `softdog`, which works unless the kernel itself hangs. Both must belong to `postgres`.",
        ),
        related=("LEASE_OPEN",),
        see=("fencing.md",),
    ),
    "UPGRADES_UNATTENDED": Advice(
        steps=(
            (
                "`/etc/apt/apt.conf.d/`: `Unattended-Upgrade::Package-Blacklist "
                '{ "etcd-"; "keepalived"; "orthanc"; "nginx"; };`'
            ),
            '`Unattended-Upgrade::Automatic-Reboot "false";`',
            (
                "`/etc/needrestart/conf.d/`: `$nrconf{restart} = 'l';`, or for each service "
                "`$nrconf{override_rc}{qr(^patroni)} = 0;`."
            ),
            "Then one node after the other: `hactl node stop {node}`, upgrade, `hactl node start {node}`.",
        ),
        see=("operations.md",),
    ),
    "CLOCK_FREE": Advice(
        steps=("Install and start `chrony` or `systemd-timesyncd`, with a time server of the site.",),
        related=("CLOCK_SKEW",),
    ),
    "WAL_HEADROOM": Advice(
        itself=(
            "`max_slot_wal_keep_size` bounds what a slot keeps. Below 8 % free no rejoin and no copy "
            "is begun."
        ),
        steps=(
            "Enlarge the disk: all of `max_slot_wal_keep_size` must fit beside the data.",
            "A slot that nobody uses and that is none of hactl's: `select pg_drop_replication_slot(...)`.",
        ),
        related=("DISK_NEARLY_FULL", "SLOT_LOST", "STANDBY_LOST"),
        see=("runbooks/disk-full.md",),
    ),
    "BACKUP_UNKNOWN": Advice(
        steps=(
            "Have the site's backup tool touch a file on the database nodes after each good backup.",
            "`database: {backup: {stamp: FILE, every: day}}` in the spec, and `hactl deploy`.",
        ),
        related=("BACKUP_OLD",),
        see=("limits.md",),
    ),
    "BACKUP_OLD": Advice(
        steps=(
            "Does the site's backup run? Its own log says.",
            "Does it touch the file that the spec names (`database.backup.stamp`), on one database node?",
        ),
        related=("BACKUP_UNKNOWN",),
    ),
    "DRILL_OVERDUE": Advice(
        steps=(
            "`hactl drill list`, and one of them in a window of the spec (`drills.windows`).",
            "If they are due less often here: `drills.every` in the spec, and `hactl deploy`.",
        ),
        related=("DRILL_NONE",),
        see=("drills.md",),
    ),
    "DRILL_NONE": Advice(
        steps=("`hactl drill list`, and one of them in a window of the spec (`drills.windows`).",),
        related=("DRILL_OVERDUE",),
        see=("drills.md",),
    ),
    "FILES_DIFFER": Advice(
        steps=(
            "`hactl config diff`: what differs, line by line; secrets are masked.",
            "What was meant belongs into the spec; `hactl deploy` puts the rest back.",
        ),
        related=("CONFIG_DRIFT", "VERSIONS_DIFFER"),
        see=("config.md",),
    ),
}  # fmt: skip
