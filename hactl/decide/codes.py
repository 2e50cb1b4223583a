"""The health codes: stable names for everything that can be wrong, each with its reason and the way out.

docs/health.md and docs/codes/ are generated from this table. A code is never renamed: alerts, mutes and
scripts know it.
"""

from __future__ import annotations

import enum
from dataclasses import dataclass


class Severity(enum.StrEnum):
    """`error`: the service is down or data in danger. `warning`: it runs with less than it should have."""

    OK = "ok"
    INFO = "info"
    WARNING = "warning"
    ERROR = "error"

    @property
    def rank(self) -> int:
        return list(Severity).index(self)


@dataclass(frozen=True)
class Code:
    """`summary` is one line, `why` says what it means for the users, `fix` is the next command.

    `{node}` in `fix` stands for the finding's subject.
    """

    name: str
    severity: Severity
    summary: str
    why: str
    fix: str

    @property
    def docs(self) -> str:
        return f"docs/codes/{self.name}.md"


_E, _W, _I = Severity.ERROR, Severity.WARNING, Severity.INFO

_ALL = (
    Code("ALL_NODES_UNREACHABLE", _E, "no node answers from here",
         "Either the whole site is down or this machine's own network is. All else is unknown then.",
         "ip route; ping the nodes' addresses"),
    Code("NODE_UNREACHABLE", _W, "a node's SSH server does not greet",
         "The machine is off, cut off or overloaded. What ran there is not redundant any more.",
         "ping {node}; look at its console or BMC"),
    Code("NO_PRIMARY", _E, "no database node takes writes",
         "Nothing can be stored. Patroni promotes the standby by itself if it is fit; if this lasts longer "
         "than 30 s, it is not.",
         "hactl doctor"),
    Code("PRIMARY_UNREACHABLE", _E, "the holder of the leader key does not answer",
         "The primary's host is lost or cut off. Patroni promotes the standby when the leader key has "
         "expired, 20 s after its last renewal.",
         "hactl status --watch"),
    Code("TWO_PRIMARIES", _E, "more than one node says that it is the writable primary",
         "Split brain: both may acknowledge writes, and one side's will be lost. Stop clients first.",
         "hactl doctor"),
    Code("PATRONI_DOWN", _W, "Patroni does not answer on a node that is up",
         "This member is not supervised: it can neither take over nor hand over.",
         "hactl node start {node}; hactl node logs {node} --unit patroni"),
    Code("STANDBY_LOST", _W, "no standby streams from the primary",
         "Writes go on with one copy. If the primary is lost now, the service stays down until it is back.",
         "hactl doctor"),
    Code("STANDBY_LAGGING", _W, "a standby is behind",
         "A standby that lags cannot be synchronous for long; after a failover it first has to replay.",
         "hactl doctor"),
    Code("STANDBY_ON_OLD_TIMELINE", _W, "a standby follows an older timeline than the primary's",
         "It has not joined the present primary; Patroni rewinds it, or copies it anew if that fails.",
         "hactl node rejoin {node}"),
    Code("SYNC_DEGRADED", _W, "no standby is synchronous",
         "Commits are acknowledged with one copy on disk; losing the primary's host now loses the last ones.",
         "hactl status --watch"),
    Code("PENDING_RESTART", _I, "a member waits for a restart to take over changed parameters",
         "Primary and standby may run with different limits until then.",
         "hactl node restart --all --pending"),
    Code("PAUSED", _W, "hactl is paused",
         "It neither fails over nor mends anything. Patroni and keepalived still fail over by themselves, in "
         "about 25 s. It ends by itself at its time.",
         "hactl resume"),
    Code("PATRONI_PAUSED", _W, "Patroni is paused",
         "Nobody takes over when the primary is lost, until somebody ends the pause: it has no end of its "
         "own.",
         "sudo -u postgres /opt/patroni/bin/patronictl -c /etc/patroni/hactl.yml resume, on a database node"),
    Code("ETCD_NO_QUORUM", _E, "etcd has no leader",
         "Without a majority of etcd's members the primary cannot renew its leader key and stops writes.",
         "bring back the nodes whose etcd is down"),
    Code("ETCD_MEMBER_DOWN", _W, "an etcd member does not answer",
         "The loss of one more member stops all writes.",
         "hactl node restart {node} --etcd; hactl node logs {node} --unit etcd"),
    Code("ETCD_MEMBERS_DIFFER", _W, "etcd's members are not the voters of the spec",
         "A forgotten member counts for the majority and never votes; a missing one cannot.",
         "hactl deploy"),
    Code("ETCD_NOSPACE", _E, "etcd has used up its quota and takes no writes",
         "The primary serves on, but nobody could take over from it, nothing is recorded, and no agent can "
         "report. Whatever wrote so much has to be found.",
         "hactl etcd mend"),
    Code("ETCD_DB_LARGE", _W, "an etcd member's database has grown to 60 % of its quota",
         "At 100 % etcd takes no writes from anybody, and no failover is possible. Usually it is some MB.",
         "hactl etcd mend"),
    Code("ETCD_ALARM", _W, "an etcd member reports an error",
         "Its database may be damaged (CORRUPT), or it cannot do its part.",
         "hactl node logs {node} --unit etcd"),
    Code("ETCD_LEADER_ON_PRIMARY", _I, "etcd's leader is on the primary's node",
         "When both are lost together, the new etcd leader grants every lease its full time again: the "
         "failover was measured 11 s slower.",
         "etcdctl move-leader, to the witness's member"),
    Code("VIP_NOT_HELD", _E, "nobody answers at a virtual IP",
         "Clients know only this address: the service is down for them, whatever the nodes do.",
         "hactl doctor"),
    Code("VIP_WRONG_NODE", _E, "a virtual IP is on a node that cannot serve",
         "Clients reach a standby, or an archive node that cannot read its index.",
         "hactl node restart {node} --unit keepalived"),
    Code("VIP_ON_TWO_NODES", _E, "a virtual IP is on more than one node",
         "Which of them a client reaches depends on its ARP cache.",
         "hactl node restart {node} --unit keepalived, for the node that should not have it"),
    Code("ARCHIVE_NODE_DOWN", _W, "an archive node does not accept connections",
         "The archive is served by the nodes that are left.",
         "hactl archive restart {node}"),
    Code("ARCHIVE_NOT_RESPONDING", _W, "an archive node accepts connections but does not answer",
         "All its threads are busy or hang: it accepts images and never acknowledges them.",
         "hactl archive restart {node}"),
    Code("ARCHIVE_INDEX_UNREACHABLE", _W, "an archive node cannot read its index",
         "It waits for the database: expected during a failover; later it hangs on a dead connection.",
         "hactl archive restart {node}, if the database has been healthy for 10 s"),
    Code("ARCHIVE_HUNG_POOL", _W, "an archive node's connections to the database hang",
         "The database works, and this Orthanc waits for answers from a host that is gone. hactl restarts "
         "it.",
         "hactl archive list; hactl archive restart {node}"),
    Code("ARCHIVE_END_TO_END", _W, "an image that was stored on an archive node did not come back as it was",
         "The check that stores, finds, fetches and deletes an image failed: so may a modality's.",
         "hactl archive probe {node}"),
    Code("ARCHIVE_DRAINED", _W, "an archive node is kept out of the virtual IP",
         "Somebody, or hactl itself, has drained it. If the other node fails, nobody serves.",
         "hactl archive list; hactl archive undrain {node}"),
    Code("ARCHIVE_GIVEN_UP", _E, "hactl could not repair an archive node and has stopped trying",
         "It was restarted, drained and put back as it was deployed, in vain. It is tried again when the "
         "hour of its budget is over.",
         "hactl node logs {node} --unit orthanc; hactl archive check {node}"),
    Code("STORAGE_IDENTITY_LOST", _E, "the image storage on a node is not the one that it should be",
         "Not mounted, or another one: images would be written to the wrong disk. The node takes no more "
         "images until it is proven to have the right one.",
         "mount it on {node}; hactl archive check {node}"),
    Code("STORAGE_NOT_WRITABLE", _E, "the image storage does not take what is written",
         "Images are refused: the storage is read only, full or broken.",
         "dmesg, on {node}; hactl archive check {node}"),
    Code("STORAGE_NEARLY_FULL", _W, "the image storage has hardly any room left",
         "When it is full no image can be stored; what is there can be read.",
         "df -h; df -i, on {node}"),
    Code("ALL_ARCHIVES_DOWN", _E, "no archive node can serve",
         "No image can be stored or read.",
         "hactl doctor"),
    Code("TLS_UNTRUSTED", _W, "certificates of a node and of this machine do not match",
         "What runs there answers, but one side belongs to another CA or has expired: nothing can be read.",
         "hactl pki show; then hactl deploy"),
    Code("TLS_WEAK", _W, "a port accepts what it must refuse",
         "Unencrypted calls, strangers' certificates or broken TLS versions: who sits on the network can "
         "read or change images on the way, or get in.",
         "hactl tls check; then hactl deploy"),
    Code("TLS_CHECK_OVERDUE", _W, "for two days nobody has proven what the ports refuse",
         "The daily check did not run, or a port did not answer it. A hole that an update or a hand opened "
         "would not be seen.",
         "hactl tls check; systemctl start hactl-tls-check.service, on the witness"),
    Code("TLS_NOT_CHECKED", _I, "what the ports refuse has not been checked yet",
         "The witness does it some minutes after the first deployment, and then once a day.",
         "hactl tls check"),
    Code("SOURCE_UNKNOWN", _W, "something could not be looked at",
         "It may be well or not; hactl does not guess.",
         "hactl -v doctor"),
    Code("FACTS_UNKNOWN", _W, "a node does not tell its facts over SSH",
         "Its addresses, disks, clock and units could not be checked.",
         "hactl deploy --limit {node}"),
    Code("FACTS_NOT_ASKED", _I, "the nodes' own facts were not asked for",
         "A node has no key for the other nodes: addresses, disks, clocks and units were not checked.",
         "hactl doctor, where the operator's state folder is"),
    Code("UNIT_NOT_RUNNING", _W, "a service of hactl's does not run on its node",
         "What it does is missing there, even if nothing else complains yet.",
         "hactl node logs {node} --unit UNIT"),
    Code("CLOCK_SKEW", _W, "a node's clock differs",
         "Certificates, logs and the archive's time stamps depend on it; etcd warns above 1 s.",
         "timedatectl, on {node}"),
    Code("DISK_NEARLY_FULL", _W, "a disk is nearly full",
         "A full disk stops PostgreSQL, etcd or the storage of images.",
         "df -h, on {node}"),
    Code("VERSIONS_DIFFER", _W, "nodes of one kind run different versions",
         "A half-finished update: what works on one node may fail on the other, at the worst moment.",
         "hactl deploy"),
    Code("CERT_EXPIRING", _W, "a certificate expires soon",
         "Everything between the nodes is mutual TLS: an expired certificate is an outage.",
         "hactl pki renew && hactl deploy"),
    Code("CERT_EXPIRED", _E, "a certificate has expired",
         "Whoever uses it is refused by all others.",
         "hactl pki renew && hactl deploy"),
    Code("CERT_REFUSED", _W, "a node's own certificate is refused, or cannot be read",
         "It goes on with its spare one. When that is refused as well, the node is silent, and on a database "
         "node the lease ends within seconds.",
         "hactl pki show; then hactl pki renew --all --node {node} --use hactl && hactl deploy"),
    Code("CERT_UNFIT", _W, "a certificate is missing or not what the spec asks for",
         "The next deployment would put something unusable on the node, or cannot run.",
         "hactl pki init"),
    Code("REWIND_IMPOSSIBLE", _W, "the old primary could not be rewound after a failover",
         "It would be copied anew instead: with a large database that takes hours without a standby.",
         "hactl deploy"),
    Code("LEASE_OPEN", _W, "hactl does not hold a database node back",
         "Its agent is stopped or never ran there: Patroni and keepalived serve alone. If this node is lost, "
         "only a fence agent can prove it silent; without one the failover waits for Patroni's 20 s.",
         "hactl node restart {node} --unit hactl-agent"),
    Code("FENCED", _W, "a node is fenced",
         "It was taken over from and must not serve. It is let in again by itself as soon as its agent "
         "reports that its PostgreSQL is stopped or follows; if it was fenced by hand, not before somebody "
         "says so.",
         "hactl incident show; is {node} switched on?"),
    Code("INCIDENT_OPEN", _W, "an incident is open",
         "hactl is at work on the loss of a primary, or could not finish. Nothing else is repaired now.",
         "hactl incident show"),
    Code("NODE_MAINTENANCE", _W, "somebody works on a node",
         "hactl neither repairs it nor raises an alarm for it. The service runs with less than it should "
         "have. It ends by itself; only what lasts for a day is an alarm.",
         "hactl node maintenance {node} off"),
    Code("CONTROLLER_NONE", _W, "no controller is active",
         "A lost primary is replaced by Patroni alone, after 20 s; nothing frozen or broken is repaired.",
         "hactl node restart NODE --unit hactl-controller, for the witness first"),
    Code("CONTROLLER_ALONE", _W, "no controller stands by",
         "If the active one's node is lost as well, what follows is left to Patroni alone.",
         "hactl node restart NODE --unit hactl-controller, for the nodes that have none"),
    Code("AGENT_SILENT", _W, "a node's agent does not report",
         "What is frozen or broken there is not seen, and nothing can be ordered there. On a database node "
         "the lease ends within seconds unless the node has gone into mode open.",
         "hactl node restart {node} --unit hactl-agent"),
    Code("KEEPALIVED_DOWN", _W, "keepalived is dead or frozen on a node",
         "The node can neither take a virtual IP nor let go of one by itself. hactl restarts it.",
         "hactl node restart {node} --unit keepalived"),
    Code("DISK_STALLED", _E, "a database node's disk does not take what is written",
         "Its commits hang. Patroni does not notice: hactl stops PostgreSQL, and the standby takes over.",
         "dmesg, on {node}"),
    Code("HEARTBEAT_FAILING", _E, "commits by new connections fail through the database's virtual IP",
         "Applications that connect now fare the same, even if Patroni says that all is well.",
         "hactl doctor"),
    Code("RECOVERY_GIVEN_UP", _W, "hactl could not repair something and has stopped trying",
         "Restart, rejoin and a fresh copy are each tried a few times within an hour, then no more: somebody "
         "has to look. It starts again when the hour is over.",
         "hactl history; hactl node logs {node} --unit patroni"),
    Code("SLOT_LOST", _W, "the primary has thrown away what a standby still needs",
         "It was away for longer than max_slot_wal_keep_size allows: it cannot catch up, only be copied "
         "anew, which hactl has Patroni do.",
         "hactl status --watch"),
    Code("PAGES_DAMAGED", _E, "a page of the database failed its checksum",
         "A disk, its controller or memory has changed what was written. Whoever reads that page gets an "
         "error; what the other node has is not touched by it.",
         "hactl status --watch; hactl node show {node}"),
    Code("STANDBY_DIVERGED", _W, "a standby is on a newer timeline than the primary",
         "Somebody promoted it by hand, or it was primary unseen. It may hold commits that the primary has "
         "not: hactl does not copy over it.",
         "compare the data of both before {node} is copied anew: hactl node reinit {node}"),
    Code("SCRUB_DAMAGE", _E, "images are not what they were",
         "Bits flipped, files cut or lost, or somebody changed them. What has a copy that is proven good was "
         "put back already; these have none.",
         "hactl archive scrub report --node {node}"),
    Code("MANIFEST_CHANGED", _E, "hactl's own record of the images' digests was changed",
         "Nobody but an attacker with root's rights, or a failing disk, changes it. What this node says of "
         "its images proves nothing any more; the other archive nodes have manifests of their own.",
         "hactl archive scrub report --node {node}"),
    Code("MANIFEST_BEHIND", _W, "new images are not hashed at their arrival",
         "What happens to them until they are is found by the index's MD5 only, which the index's owner can "
         "change.",
         "hactl archive manifest status"),
    Code("SIGNING_BEHIND", _W, "new images are not signed",
         "Its program, its key or the index is missing. Images are stored all the same; they are signed when "
         "it is back.",
         "hactl node logs {node} --unit hactl-sign"),
    Code("SCRUB_OVERDUE", _W, "the images have not been read through for too long",
         "What has decayed is found when it is needed, and its last good copy may be gone by then.",
         "hactl archive scrub start --node {node}"),
    Code("RECONCILE_NEEDED", _W, "storage and index could not be compared since a failover",
         "Images that were acknowledged may be missing from the index; their files are still there.",
         "hactl archive reconcile report --node {node}"),
    Code("PORT_UNREACHABLE", _W, "a node cannot reach a port that it needs of another",
         "What has to go through there fails now, or in the very failover that needs it.",
         "nft list ruleset, on {node}; hactl deploy"),
    Code("VIP_STRANGER", _E, "somebody answers for a virtual IP who does not hold it",
         "Two machines have the same address: which of them a client reaches is a matter of chance.",
         "find the machine with this hardware address, and take the virtual IP's address from it"),
    Code("VIP_ARP", _W, "the network may not learn where a virtual IP is",
         "After a failover, or now, some would send to the wrong machine until their ARP cache ends.",
         "sysctl -a --pattern arp_, on {node}; ip neighbour, on {node}"),
    Code("KERNEL_UNFIT", _W, "a node's kernel lacks what hactl needs",
         "The lease, or the proof that a process is dead, does not work there.",
         "uname -r, on {node}; ls /sys/fs/cgroup/system.slice, on {node}"),
    Code("WATCHDOG_NONE", _I, "a database node has no watchdog device",
         "Patroni would have it reset the machine when it hangs itself. Without one the lease alone keeps a "
         "hung node from serving.",
         "modprobe softdog, on {node}, or the driver of its board"),
    Code("UPGRADES_UNATTENDED", _W, "upgrades may restart what the service rests on, at any time",
         "A restart of etcd, keepalived or Patroni that nobody planned is an outage, on all nodes in the "
         "same hour.",
         "put these packages on the Package-Blacklist of {node}'s unattended-upgrades, services into "
         "needrestart's override_rc"),
    Code("CLOCK_FREE", _I, "nothing keeps a node's clock right",
         "It may be right today, and drifts. Certificates, logs and the archive's time stamps depend on it.",
         "timedatectl, on {node}"),
    Code("WAL_HEADROOM", _W, "a database node's disk may not hold the WAL that is kept for a lost standby",
         "The standby goes away, the primary keeps WAL for it until the disk is full, and stops.",
         "df -h, on {node}; enlarge the disk of /var/lib/postgresql"),
    Code("BACKUP_UNKNOWN", _I, "hactl knows of no backup of the database",
         "It makes none. Two copies that follow each other are no backup: a wrong DELETE is on both at once.",
         "name the stamp of the site's own backup in the spec (database.backup): hactl spec schema"),
    Code("BACKUP_OLD", _W, "the site's backup of the database is overdue",
         "What is deleted or damaged by mistake since the last one cannot be had back.",
         "look at the site's backup, on both database nodes"),
    Code("DRILL_OVERDUE", _W, "no drill was run for longer than the spec allows",
         "What was not tried for so long may not work: a firewall, a BMC's password, an application's "
         "connection string.",
         "hactl drill list"),
    Code("DRILL_NONE", _I, "no drill was run yet",
         "The first failover would be a real one. It becomes an alarm when the database is as old as the "
         "spec's interval.",
         "hactl drill list"),
    Code("FILES_DIFFER", _W, "files on a node are not as the spec renders them",
         "Somebody changed them by hand, or a deployment is due. The next one puts them back, and may "
         "restart what uses them.",
         "hactl config diff; hactl deploy"),
    Code("CONFIG_DRIFT", _W, "the database's dynamic configuration is not what the spec renders to",
         "Somebody changed it by hand, or a deployment is due; the times of a failover depend on it.",
         "hactl config drift; hactl deploy"),
)  # fmt: skip

CODES = {code.name: code for code in _ALL}


@dataclass(frozen=True)
class Finding:
    """One thing found: its code, what it is about (a node, a VIP or ""), and what exactly was seen.

    `instead`: the next command, where the code's own is not for this subject.
    """

    code: Code
    subject: str = ""
    detail: str = ""
    instead: str = ""

    @property
    def severity(self) -> Severity:
        return self.code.severity

    @property
    def fix(self) -> str:
        return (self.instead or self.code.fix).replace("{node}", self.subject or "the node")


def finding(name: str, subject: str = "", detail: str = "", instead: str = "") -> Finding:
    return Finding(CODES[name], subject, detail, instead)
