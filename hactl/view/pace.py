"""How often archive nodes are asked and report, by how many there are: what they cost stays bounded."""

from __future__ import annotations

from typing import Final

MANY: Final = 50  # archive nodes; from here on what costs by the node is done less often, or apart
_A_SECOND: Final = 100  # reports of archive nodes; etcd keeps each of an hour (compaction), some kB


def report_every(archives: int) -> float:
    """Seconds between two reports of an archive node's agent that tell nothing new.

    1 s up to a hundred nodes. A thousand that report each second would fill etcd's quota within half an hour.
    """
    return max(1.0, archives / _A_SECOND)
