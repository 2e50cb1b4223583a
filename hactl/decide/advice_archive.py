"""Advice about the archive nodes, their storage and the images."""

from __future__ import annotations

from typing import Final

from hactl.decide.advice import Advice

ADVICE: Final = {
    "ARCHIVE_NODE_DOWN": Advice(
        itself=(
            "The virtual IP moves to a node that serves. Restarted after 10 s, drained if that does not "
            "help and another node serves, redeployed: [the ladder](../archive-health.md#the-ladder)."
        ),
        related=("NODE_UNREACHABLE", "ARCHIVE_GIVEN_UP", "ALL_ARCHIVES_DOWN"),
        see=("runbooks/archive-node-lost.md",),
    ),
    "ARCHIVE_NOT_RESPONDING": Advice(
        itself=(
            "Restarted after 10 s, drained if that does not help and another node serves, redeployed: "
            "[the ladder](../archive-health.md#the-ladder)."
        ),
        related=("ARCHIVE_NODE_DOWN", "ARCHIVE_HUNG_POOL", "ARCHIVE_GIVEN_UP"),
        see=("runbooks/archive-node-lost.md",),
    ),
    "ARCHIVE_INDEX_UNREACHABLE": Advice(
        itself=(
            "While the database fails over it waits; when SQL works again and the index does not, it "
            "restarts Orthanc after 10 s."
        ),
        steps=(
            "`hactl status`: is the database well? If not, mend that first.",
            "`hactl archive check {node}`: every level with its reason.",
            ("`hactl archive restart {node}`, if the database has been healthy for 10 s and hactl did not."),
            (
                "Do not believe *The database is corrupted. Drop it manually* in Orthanc's log: it is "
                "false while the database fails over."
            ),
        ),
        related=("NO_PRIMARY", "ARCHIVE_HUNG_POOL"),
    ),
    "ARCHIVE_HUNG_POOL": Advice(
        itself="Orthanc is restarted: [the ladder](../archive-health.md#the-ladder).",
        related=("ARCHIVE_INDEX_UNREACHABLE", "ARCHIVE_GIVEN_UP"),
    ),
    "ARCHIVE_END_TO_END": Advice(
        itself=(
            "It only tells: a single wrong answer is a thing that Orthanc does during a failover. The "
            "check is repeated after 5 s, then 10, 20, 40."
        ),
        steps=(
            "`hactl archive probe {node}`: which step fails, now, from here?",
            "`hactl archive check {node}`: do L0 to L3 hold?",
            "`hactl node logs {node} --unit orthanc`.",
        ),
        related=("ARCHIVE_INDEX_UNREACHABLE", "STORAGE_NOT_WRITABLE"),
    ),
    "ARCHIVE_DRAINED": Advice(
        itself=(
            "What hactl drained itself it lets in again after 30 s of service. It never touches anybody "
            "else's drain."
        ),
        related=("ARCHIVE_GIVEN_UP", "STORAGE_IDENTITY_LOST"),
        see=("archive-operations.md",),
    ),
    "ARCHIVE_GIVEN_UP": Advice(
        itself="It tries again when the hour of its budget is over.",
        steps=(
            "`hactl history`: what was tried?",
            "`hactl archive check {node}`: which level fails, why?",
            "`hactl config diff`: is a file not as it was deployed?",
            "`hactl archive lint {node}`.",
        ),
        related=("ARCHIVE_NODE_DOWN", "ARCHIVE_NOT_RESPONDING"),
        see=("runbooks/archive-node-lost.md",),
    ),
    "STORAGE_IDENTITY_LOST": Advice(
        itself=(
            "Within 0.6 s nothing is accepted there any more, the address goes, and Orthanc is stopped. "
            "When the right storage is back and proven, it serves again."
        ),
        related=("STORAGE_NOT_WRITABLE", "ALL_ARCHIVES_DOWN", "ARCHIVE_DRAINED"),
        see=("runbooks/storage-gone.md", "archive-operations.md"),
    ),
    "STORAGE_NOT_WRITABLE": Advice(
        itself="The node is drained from the virtual IP after 3 s, if another one is known to serve.",
        related=("STORAGE_IDENTITY_LOST", "STORAGE_NEARLY_FULL"),
        see=("runbooks/storage-gone.md", "runbooks/disk-full.md"),
    ),
    "STORAGE_NEARLY_FULL": Advice(
        itself="Nothing: an archive never throws images away to make room.",
        steps=(
            "`df -h; df -i` on {node}: space or inodes?",
            (
                "Enlarge the storage. Nothing of hactl's can be removed there but `.hactl-kept` (damaged "
                "files that were replaced)."
            ),
        ),
        related=("STORAGE_NOT_WRITABLE", "DISK_NEARLY_FULL"),
        see=("runbooks/disk-full.md",),
    ),
    "ALL_ARCHIVES_DOWN": Advice(
        itself=(
            "One node after the other is restarted; a node that hactl drained is let in at once if its "
            "storage is the right one."
        ),
        steps=(
            "The database first: `hactl status`. Without it no archive node can serve.",
            "Then the storage: `hactl archive check`: L3 on all nodes?",
            "Then each node: `hactl archive check`.",
        ),
        related=("NO_PRIMARY", "STORAGE_IDENTITY_LOST", "ARCHIVE_NODE_DOWN", "VIP_NOT_HELD"),
        see=(
            "runbooks/storage-gone.md",
            "runbooks/archive-node-lost.md",
            "runbooks/both-database-nodes-down.md",
        ),
    ),
    "SCRUB_DAMAGE": Advice(
        itself="What has a proven copy (`archive.scrub.copies`) was put back already.",
        steps=(
            "`hactl archive scrub report --node {node}`: which images, what is wrong with each?",
            "Many at once: look at the disk first (`dmesg`), before anything is written.",
            "Bring the images from a backup or from the modality; sending again is harmless.",
        ),
        related=("MANIFEST_CHANGED", "SCRUB_OVERDUE"),
        see=("integrity.md",),
    ),
    "MANIFEST_CHANGED": Advice(
        itself="It only tells.",
        steps=(
            "Treat the node as broken into until it is known what happened: keep its disks.",
            (
                "Compare with the manifests of the other archive nodes: `hactl archive scrub report "
                "--node {node}`."
            ),
        ),
        related=("SCRUB_DAMAGE",),
        see=("integrity.md",),
    ),
    "MANIFEST_BEHIND": Advice(
        related=("SCRUB_OVERDUE", "ARCHIVE_INDEX_UNREACHABLE"),
        see=("integrity.md",),
    ),
    "SIGNING_BEHIND": Advice(
        itself="Images are stored all the same; they are signed when it is back.",
        related=("MANIFEST_BEHIND",),
        see=("signatures.md",),
    ),
    "SCRUB_OVERDUE": Advice(
        related=("SCRUB_DAMAGE",),
        see=("integrity.md",),
    ),
    "RECONCILE_NEEDED": Advice(
        itself=(
            "After each failover one archive node compares storage and index by itself, as soon as the "
            "youngest file is 90 s old, and stores again what lost its row."
        ),
        steps=(
            "Wait some minutes after a failover.",
            "`hactl archive reconcile report --node {node}`: what stands in the way?",
            "`hactl archive reconcile start --node {node}`.",
        ),
        related=("SYNC_DEGRADED", "MANIFEST_BEHIND"),
        see=("integrity.md",),
    ),
}
