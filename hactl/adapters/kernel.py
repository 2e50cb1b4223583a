"""What the kernel keeps for the agent, and ends by itself: the lease in nftables, refusals, connections.

The table is made by /etc/hactl/lease.nft (templates/agent/lease.nft.j2); here only its sets change. Needs
CAP_NET_ADMIN.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Final

from hactl.adapters.command import Result, run
from hactl.errors import StepFailed

TABLE: Final = "inet hactl_lease"
# A batch takes 5 to 20 ms; an agent that waits longer than this is too late in any case.
WITHIN: Final = 0.8
NFT: Final = "/usr/sbin/nft"
SS: Final = "/usr/bin/ss"


class LeaseTable:
    """`vip`: the database VIP's address; `rules`: the file that makes the table where it is missing.

    All methods raise StepFailed (the kernel or nft refuses) or Unreachable (no answer in time).
    """

    def __init__(self, vip: str, rules: Path) -> None:
        self._vip, self._rules = vip, rules

    def renew(self, milliseconds: int) -> None:
        """Let traffic through for so long from now. Whether the element was there, or had no end, is all one.

        Adding an element that exists does not change its time, hence add, delete, add; one batch is one
        transaction, so no packet finds it missing.
        """
        element = f"element {TABLE} lease {{ {self._vip}"
        self._batch(
            f"add {element} }}\ndelete {element} }}\nadd {element} timeout {max(1, milliseconds)}ms }}\n"
        )

    def flush(self) -> None:
        """Let nothing through any more."""
        self._batch(f"flush set {TABLE} lease\n")

    def opened(self) -> bool:
        """Whether traffic passes without end: no table stops it, or an element has no timeout."""
        listed = run([NFT, "-j", "list", "set", *TABLE.split(), "lease"], within=WITHIN, check=False)
        return listed.code != 0 or self._vip in _endless(listed.out)

    def close(self, milliseconds: int) -> None:
        """Make the table anew in one transaction; what gets through does so for so long, 0: nothing."""
        try:
            text = self._rules.read_text(encoding="utf-8")
        except OSError as error:
            raise StepFailed(f"cannot read {self._rules}: {error.strerror or error}") from error
        text += f"\nflush set {TABLE} lease\n"
        if milliseconds > 0:
            text += f"add element {TABLE} lease {{ {self._vip} timeout {milliseconds}ms }}\n"
        self._batch(text)

    def refuse(self, address: str, seconds: int) -> None:
        """Answer what is sent to `address` with a reset, for so long from now."""
        element = f"element {TABLE} rejected {{ {address}"
        self._batch(f"add {element} }}\ndelete {element} }}\nadd {element} timeout {seconds}s }}\n")

    def allow(self, address: str) -> None:
        element = f"element {TABLE} rejected {{ {address} }}"
        self._batch(f"add {element}\ndelete {element}\n")

    def end_connections(self, address: str) -> int:
        """End every TCP connection from or to `address` on this machine; returns how many there were."""
        done = run([SS, "-H", "-n", "-t", "-K", "dst", address], within=1.0, check=False)
        if done.code != 0:
            raise StepFailed(f"ss cannot end connections to {address}: {done.err.strip()}")
        return len(done.out.splitlines())

    def _batch(self, text: str) -> None:
        done = _nft(text)
        if done.code != 0 and "No such file or directory" in done.err:
            # Somebody emptied the whole rule set. The file's table is closed.
            run([NFT, "-f", str(self._rules)], within=WITHIN)
            done = _nft(text)
        if done.code != 0:
            raise StepFailed(f"nft refuses: {' / '.join(done.err.strip().splitlines()[:2])}")


def _nft(text: str) -> Result:
    return run([NFT, "-f", "-"], within=WITHIN, stdin=text, check=False)


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
