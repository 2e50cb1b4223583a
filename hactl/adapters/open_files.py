"""How many files this process may have open: two connections to each archive node stay open."""

from __future__ import annotations

import resource
from typing import Final

A_NODE: Final = 4  # two connections, and two that are just made anew
BESIDE: Final = 512  # everything else


def allow_open_files(archives: int) -> int:
    """As many as so many archive nodes need, if the system lets us; never fewer than now. How many it is."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    wanted = BESIDE + A_NODE * archives
    most = wanted if hard == resource.RLIM_INFINITY else min(wanted, hard)
    if soft != resource.RLIM_INFINITY and soft < most:
        resource.setrlimit(resource.RLIMIT_NOFILE, (most, hard))
        return most
    return soft
