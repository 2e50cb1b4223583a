"""What the kernel keeps for the agent, and ends by itself: the lease in nftables, refusals, connections.

The table is made by /etc/hactl/lease.nft (templates/agent/lease.nft.j2); here only its sets change. Needs
CAP_NET_ADMIN.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Final

from hactl.adapters import nft_sets
from hactl.adapters.command import run
from hactl.adapters.nft_sets import Change, NftSet, NoSuchSet
from hactl.errors import StepFailed

TABLE: Final = "inet hactl_lease"
WITHIN: Final = 1.5
NFT: Final = "/usr/sbin/nft"
SS: Final = "/usr/bin/ss"


class LeaseTable:
    """`vip`: the database VIP's address; `rules`: the file that makes the table where it is missing.

    All methods raise StepFailed (the kernel or nft refuses) or Unreachable (no answer in time).
    """

    def __init__(self, vip: str, rules: Path) -> None:
        self._vip, self._rules = vip, rules
        table = TABLE.split()[1]
        self._lease, self._rejected = NftSet(table, "lease"), NftSet(table, "rejected")

    def renew(self, milliseconds: int) -> None:
        """Let traffic through for so long from now, whatever was before."""
        self._change(self._lease, nft_sets.renewed(self._vip, milliseconds))

    def flush(self) -> None:
        """Let nothing through any more."""
        self._change(self._lease, nft_sets.emptied())

    def opened(self) -> bool:
        """Whether traffic passes without end: no table stops it, or an element has no timeout."""
        listed = run([NFT, "-j", "list", "set", *TABLE.split(), "lease"], within=WITHIN, check=False)
        if listed.code == 0:
            return self._vip in _endless(listed.out)
        if "No such file or directory" in listed.err:
            return True
        raise StepFailed(f"nft cannot list the lease: {listed.err.strip()[:200]}")

    def close(self, milliseconds: int) -> None:
        """Make the table anew in one transaction; what gets through does so for so long, 0: nothing."""
        try:
            text = self._rules.read_text(encoding="utf-8")
        except OSError as error:
            raise StepFailed(f"cannot read {self._rules}: {error.strerror or error}") from error
        text += f"\nflush set {TABLE} lease\n"
        if milliseconds > 0:
            text += f"add element {TABLE} lease {{ {self._vip} timeout {milliseconds}ms }}\n"
        run([NFT, "-f", "-"], within=WITHIN, stdin=text)

    def refuse(self, address: str, seconds: int) -> None:
        """Answer what is sent to `address` with a reset, for so long from now."""
        self._change(self._rejected, nft_sets.renewed(address, seconds * 1000))

    def allow(self, address: str) -> None:
        self._change(self._rejected, nft_sets.removed(address))

    def end_connections(self, address: str) -> int:
        """End every TCP connection from or to `address` on this machine; returns how many there were."""
        done = run([SS, "-H", "-n", "-t", "-K", "dst", address], within=1.0, check=False)
        if done.code != 0:
            raise StepFailed(f"ss cannot end connections to {address}: {done.err.strip()}")
        return len(done.out.splitlines())

    def _change(self, which: NftSet, changes: tuple[Change, ...]) -> None:
        try:
            which.change(changes)
        except NoSuchSet:
            # Somebody emptied the whole rule set. The file's table is closed.
            run([NFT, "-f", str(self._rules)], within=WITHIN)
            which.change(changes)


def _endless(listed: str) -> list[str]:
    """The elements without a timeout, from nft's JSON: those with one are objects."""
    found: list[str] = []
    try:
        rows = json.loads(listed)["nftables"]
    except (ValueError, KeyError, TypeError) as error:
        raise StepFailed("nft -j prints no JSON") from error
    for row in rows:
        elements = row.get("set", {}).get("elem", [])
        found += [e for e in elements if isinstance(e, str)]
    return found
