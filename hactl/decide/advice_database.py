"""Advice about the database pair, etcd and the database's virtual IP."""

from __future__ import annotations

from typing import Final

from hactl.decide.advice import Advice

ADVICE: Final = {
    "ALL_NODES_UNREACHABLE": Advice(
        itself="Nothing from here: the nodes go on without this machine.",
        steps=(
            "`ip route`, `ping` the nodes: is it this machine's network?",
            "Ask from another machine, or on a node itself: `hactl status`.",
            (
                "If the site is dark: power and switches first, then the witness and one database node, "
                "so that etcd has a majority."
            ),
        ),
        related=("NODE_UNREACHABLE", "ETCD_NO_QUORUM"),
        see=("runbooks/quorum-lost.md", "runbooks/both-database-nodes-down.md"),
    ),
    "NODE_UNREACHABLE": Advice(
        itself=(
            "If it is the primary's node, the controller fails over (1.6 s with a BMC, 3.5 s without). "
            "What comes back is brought back: [recovery](../recovery.md)."
        ),
        steps=(
            "`hactl incident show`: did hactl switch it off itself? Then it switches it on again.",
            "Look at its console or BMC; switch it on.",
            "`hactl status --watch`, until it is back in its role.",
        ),
        related=("FENCED", "INCIDENT_OPEN", "STANDBY_LOST", "ETCD_MEMBER_DOWN", "ARCHIVE_NODE_DOWN"),
        see=("runbooks/witness-lost.md", "runbooks/archive-node-lost.md"),
    ),
    "NO_PRIMARY": Advice(
        itself=(
            "The controller fails over only what held the leader key when it was lost. Where nobody holds "
            "it, Patroni elects: a standby that was synchronous, or nobody."
        ),
        steps=(
            "Wait 30 s: `hactl status --watch`.",
            "`hactl failover --explain`, `hactl plan`: what is missing?",
            "`hactl etcd show`: is there a majority?",
            "On both database nodes: what does Patroni say? `hactl node logs {node} --unit patroni`",
        ),
        related=("PRIMARY_UNREACHABLE", "ETCD_NO_QUORUM", "PAUSED", "SYNC_DEGRADED"),
        see=("runbooks/failover-did-not-happen.md", "runbooks/both-database-nodes-down.md"),
    ),
    "PRIMARY_UNREACHABLE": Advice(
        itself=(
            "The controller proves that it cannot serve any more, releases the leader key, and Patroni "
            "promotes the synchronous standby: [controller](../controller.md)."
        ),
        steps=(
            "`hactl status --watch`: a primary within seconds?",
            "If not: `hactl failover --explain` names what stands against it.",
            "Afterwards `hactl incident show`: what happened, how long each phase took.",
        ),
        related=("INCIDENT_OPEN", "NO_PRIMARY", "NODE_UNREACHABLE"),
        see=("runbooks/failover-did-not-happen.md",),
    ),
    "TWO_PRIMARIES": Advice(
        itself=(
            "Nothing is planned that could make it: a node serves clients only while its lease runs, and "
            "only one node can have it. Clients reach at most one of the two through the virtual IP. "
            "hactl does not choose between them."
        ),
        steps=(
            "Stop what writes: the applications, or at least what connects to a node directly.",
            "`hactl status -o json`: which one has the leader key (`leader`) and the virtual IP?",
            (
                "On the other one stop Patroni: `systemctl stop patroni.service`. Do not start it again "
                "by hand."
            ),
            (
                "Compare the two before one is copied anew; the WAL that only one has is counted and "
                "kept: [the ledger](../recovery.md#the-ledger-of-lost-commits)."
            ),
        ),
        related=("STANDBY_DIVERGED", "VIP_ON_TWO_NODES", "LEASE_OPEN"),
    ),
    "PATRONI_DOWN": Advice(
        itself=(
            "systemd starts it again; where it is frozen the agent kills it first. Up to three restarts "
            "an hour."
        ),
        related=("RECOVERY_GIVEN_UP", "UNIT_NOT_RUNNING", "STANDBY_LOST"),
    ),
    "STANDBY_LOST": Advice(
        itself=(
            "The primary's agent ends the dead replication connection within 1.3 s, so that commits go "
            "on. What is down is restarted, rejoined, copied anew: [recovery](../recovery.md)."
        ),
        steps=(
            "`hactl status`: is the standby's node reachable, does Patroni answer there?",
            "`hactl history`: what does hactl try?",
            "Do not restart or stop the primary now: there is no other copy.",
        ),
        related=("SYNC_DEGRADED", "NODE_UNREACHABLE", "PATRONI_DOWN", "SLOT_LOST", "RECOVERY_GIVEN_UP"),
        see=("runbooks/disk-full.md",),
    ),
    "STANDBY_LAGGING": Advice(
        itself="Nothing while it streams: a standby that is behind is no fault by itself.",
        steps=(
            "`hactl status --watch`: does it catch up? A bulk load may put it behind for minutes.",
            "On {node}: is the disk slow (`iostat`), or the network?",
            "If it does not catch up, `hactl switchover` is refused until it does.",
        ),
        related=("SYNC_DEGRADED", "STANDBY_LOST"),
    ),
    "STANDBY_ON_OLD_TIMELINE": Advice(
        itself=(
            "Patroni rewinds it; if it does not follow after 45 s hactl restarts its Patroni, then has it "
            "copied anew. Before that the WAL that only it has is counted and kept."
        ),
        related=("STANDBY_LOST", "REWIND_IMPOSSIBLE", "STANDBY_DIVERGED"),
    ),
    "STANDBY_DIVERGED": Advice(
        itself="Nothing, on purpose: it may hold the only copy of acknowledged commits.",
        steps=(
            "Find out who promoted it: `hactl history`, and PostgreSQL's log there.",
            "Look what only it has: `pg_waldump` from where the timelines part, or compare the tables.",
            "Save what is needed (`pg_dump`), then have it copied anew.",
        ),
        related=("TWO_PRIMARIES", "STANDBY_ON_OLD_TIMELINE"),
    ),
    "SYNC_DEGRADED": Advice(
        itself=(
            "Patroni makes the standby synchronous again as soon as it streams and has caught up, within "
            "seconds. A failover is vetoed meanwhile: it could lose acknowledged commits."
        ),
        steps=(
            "`hactl status`: is there a standby that streams? If not, see STANDBY_LOST.",
            (
                "If it streams and stays so for a minute: `hactl node logs {node} --unit patroni` on "
                "the primary."
            ),
        ),
        related=("STANDBY_LOST", "STANDBY_LAGGING"),
        see=("adr/0001-synchronous-not-strict.md",),
    ),
    "PENDING_RESTART": Advice(
        itself="Nothing: a restart is for an hour that you choose.",
        related=("CONFIG_DRIFT",),
    ),
    "ETCD_NO_QUORUM": Advice(
        itself=(
            "Agents let their lease end, so nobody writes whom etcd has not confirmed: within 3 s the "
            "service stops. It comes back by itself with the majority."
        ),
        steps=(
            "Which members answer? `hactl etcd show`, `hactl status`.",
            (
                "Start their nodes, or etcd on them: `ssh hactl@{node} restart etcd.service`, with the "
                "key of the state folder; a command that needs etcd cannot do it."
            ),
            "Two of three members are enough.",
        ),
        related=("ETCD_MEMBER_DOWN", "NO_PRIMARY", "CONTROLLER_NONE"),
        see=("runbooks/quorum-lost.md",),
    ),
    "ETCD_MEMBER_DOWN": Advice(
        itself="The unit is restarted, at most three times an hour.",
        related=("ETCD_NO_QUORUM", "NODE_UNREACHABLE", "ETCD_MEMBERS_DIFFER"),
        see=("runbooks/witness-lost.md",),
    ),
    "ETCD_MEMBERS_DIFFER": Advice(
        itself="Nothing: a member is only added or removed by a deployment, one at a time.",
        related=("ETCD_MEMBER_DOWN",),
    ),
    "ETCD_NOSPACE": Advice(
        itself=(
            "Agents renew their lease without writing, so the primary goes on serving. **No failover is "
            "possible.**"
        ),
        steps=(
            "`hactl etcd show`: how large, and how much of it is in use?",
            "`hactl etcd mend --dry-run`, then `hactl etcd mend`.",
            ('If it stays large: `etcdctl get "" --prefix --keys-only` on a voter shows whose keys fill it.'),
        ),
        related=("ETCD_DB_LARGE", "AGENT_SILENT"),
        see=("etcd.md", "runbooks/disk-full.md"),
    ),
    "ETCD_DB_LARGE": Advice(
        itself="Nothing: what fills etcd is a fault that somebody has to see.",
        related=("ETCD_NOSPACE",),
        see=("etcd.md",),
    ),
    "ETCD_ALARM": Advice(
        related=("ETCD_NOSPACE", "ETCD_MEMBER_DOWN"),
        see=("etcd.md",),
    ),
    "ETCD_LEADER_ON_PRIMARY": Advice(
        itself=(
            "The active controller hands etcd's leadership to a member elsewhere within seconds; if this "
            "lasts, no controller is active or no other member is fit."
        ),
        related=("CONTROLLER_NONE", "ETCD_MEMBER_DOWN"),
    ),
    "VIP_NOT_HELD": Advice(
        itself="If the leader may serve and commits fail, its keepalived is restarted after 5 looks.",
        steps=(
            "Is there a primary (or an archive node) that is fit at all? `hactl doctor`",
            "`hactl node logs {node} --unit keepalived` on the node that should have it.",
            "`hactl status -o json`: `vip.on` says which nodes have the address, by their own word.",
        ),
        related=("NO_PRIMARY", "KEEPALIVED_DOWN", "AGENT_SILENT", "ALL_ARCHIVES_DOWN"),
    ),
    "VIP_WRONG_NODE": Advice(
        itself="keepalived is restarted there after three looks, which takes the address away.",
        related=("VIP_ON_TWO_NODES", "KEEPALIVED_DOWN"),
    ),
    "VIP_ON_TWO_NODES": Advice(
        itself=(
            "keepalived on the node that does not lead is restarted. On the database's address the other "
            "node serves nothing: its lease is over."
        ),
        related=("VIP_WRONG_NODE", "TWO_PRIMARIES", "KEEPALIVED_DOWN"),
    ),
    "REWIND_IMPOSSIBLE": Advice(
        related=("STANDBY_ON_OLD_TIMELINE", "CONFIG_DRIFT"),
    ),
    "SLOT_LOST": Advice(
        itself=(
            "The standby is copied anew at once, if the guards allow it: [recovery](../recovery.md#recovery)."
        ),
        related=("STANDBY_LOST", "RECOVERY_GIVEN_UP", "DISK_NEARLY_FULL"),
    ),
    "PAGES_DAMAGED": Advice(
        itself=(
            "Nothing, on purpose: PostgreSQL checks a page only when it reads it from the disk, so nobody "
            "knows what else is damaged, here or on the other node. A standby that has one gets no planned "
            "role; if the primary is lost it takes over all the same: it may be all there is."
        ),
        steps=(
            "`dmesg` on {node}: errors of the disk, its controller, the memory?",
            (
                "Is the other node sound? `pg_amcheck` there reads each table and index; a base backup of "
                "it fails on a bad page."
            ),
            (
                "If it is, and {node} is the primary: `hactl switchover`. Then `hactl node reinit {node} "
                "--force`: its old data are kept aside where there is room."
            ),
            (
                "Which relation: `hactl node logs {node} --unit patroni`, *invalid page in block*. An index "
                "can be made anew: `REINDEX`."
            ),
            (
                "The count is PostgreSQL's statistics': it stays after a mending until `select "
                "pg_stat_reset()` in that database, and is gone after a crash though the page is still bad."
            ),
        ),
        related=("STANDBY_LOST", "RECOVERY_GIVEN_UP", "DISK_STALLED"),
    ),
    "CONFIG_DRIFT": Advice(
        itself="Nothing: a change by hand may have been meant.",
        related=("PENDING_RESTART",),
    ),
    "DISK_STALLED": Advice(
        itself=(
            "When commits fail too, the primary's PostgreSQL is stopped and the standby takes over, in "
            "about 5 s."
        ),
        steps=(
            "`dmesg` on {node}: errors of the disk or its controller?",
            "`hactl incident show`: has the standby taken over?",
            "Replace the disk or mend the storage; then let Patroni rejoin: `hactl status --watch`.",
        ),
        related=("HEARTBEAT_FAILING", "INCIDENT_OPEN", "DISK_NEARLY_FULL"),
        see=("runbooks/disk-full.md",),
    ),
    "HEARTBEAT_FAILING": Advice(
        itself=(
            "After three commits and 3 s, while Patroni says that all is well, the primary's PostgreSQL "
            "is stopped and the standby takes over, if it answers no new connection on its own node either. "
            "If it does, it is left alone, unless 15 commits fail in a row and no WAL is written for 15 s. "
            "Only if a synchronous standby streams."
        ),
        steps=(
            "`hactl status --watch`: is a failover under way?",
            'From an application\'s machine: `psql "$(hactl dsn)"`.',
            "`hactl failover --explain`, if nothing happens.",
        ),
        related=("DISK_STALLED", "VIP_NOT_HELD", "NO_PRIMARY", "INCIDENT_OPEN"),
        see=("runbooks/failover-did-not-happen.md",),
    ),
    "DISK_NEARLY_FULL": Advice(
        itself=(
            "What hactl kept aside is removed below 15 % free; below 8 % neither rejoin nor copy is "
            "begun. A primary whose disk is full hands over to a standby that has room."
        ),
        related=("DISK_STALLED", "STORAGE_NEARLY_FULL", "ETCD_DB_LARGE"),
        see=("runbooks/disk-full.md",),
    ),
}
