"""The ports of an archive node: who is connected, who may come in.

The table is made by /etc/hactl/archive.nft. Elements of its sets end by themselves, so an agent that is gone
leaves no door shut for long. Needs CAP_NET_ADMIN.
"""

from __future__ import annotations

import ipaddress
from collections.abc import Sequence
from pathlib import Path
from typing import Final

from hactl import layout
from hactl.adapters import nft_sets
from hactl.adapters.command import run
from hactl.adapters.kernel import NFT, SS, WITHIN
from hactl.adapters.nft_sets import Change, NftSet, NoSuchSet
from hactl.adapters.small_files import read_file
from hactl.errors import StepFailed

TABLE: Final = "hactl_archive"
HELD_FOR, SHUT_FOR = 5_000, 15_000  # ms; both are renewed each second
_ESTABLISHED: Final = "01"
_PORTS: Final = (layout.PORT_DICOM_TLS, layout.PORT_HTTPS)


class ArchiveDoor:
    """`vip`: the archive's, `address`: the node's own; `rules`: the file that makes the table.

    Methods raise StepFailed (the kernel or a program refuses) or Unreachable (no answer in time).
    """

    def __init__(self, vip: str, address: str, rules: Path, *, proc: Path = Path("/proc/self/net")) -> None:
        self._vip, self._address, self._rules, self._proc = vip, address, rules, proc
        self._held, self._shut = NftSet(TABLE, "held"), NftSet(TABLE, "shut")

    def hold(self, *, held: bool) -> None:
        """New connections to the VIP wait, or do not."""
        change = nft_sets.renewed(self._vip, HELD_FOR) if held else nft_sets.removed(self._vip)
        self._change(self._held, change)

    def shut(self, *, shut: bool) -> None:
        """Nothing from outside reaches the archive's ports, and no answer leaves them."""
        for address in (self._address, self._vip):
            change = nft_sets.renewed(address, SHUT_FOR) if shut else nft_sets.removed(address)
            self._change(self._shut, change)

    def cut(self, *, all_addresses: bool) -> int:
        """Reset the connections through the VIP, or all from outside; how many there were."""
        addresses = (self._address, self._vip) if all_addresses else (self._vip,)
        ended = 0
        for address in addresses:
            for port in _PORTS:
                argv = [SS, "-H", "-n", "-t", "-K", "src", address, "sport", "=", f":{port}"]
                done = run(argv, within=1.0, check=False)
                if done.code != 0:
                    raise StepFailed(f"ss cannot end connections to {address}:{port}: {done.err.strip()}")
                ended += len(done.out.splitlines())
        return ended

    def busy(self) -> int:
        """What is under way: DICOM associations through the VIP, and requests at Orthanc's HTTP port.

        Not nginx's connections: browsers keep them open for a minute without asking. Raises StepFailed.
        """
        found = 0
        for name in ("tcp", "tcp6"):
            text = read_file(self._proc / name, limit=1 << 24)
            if text is None and name == "tcp":
                raise StepFailed(f"cannot read {self._proc / name}")
            found += _busy((text or "").splitlines()[1:], self._vip)
        return found

    def listens(self) -> bool:
        """Whether anybody listens on the DICOM port."""
        for name in ("tcp", "tcp6"):
            for line in (read_file(self._proc / name, limit=1 << 24) or "").splitlines()[1:]:
                words = line.split()
                if len(words) > 3 and words[3] == "0A" and _port(words[1]) == layout.PORT_DICOM_TLS:
                    return True
        return False

    def _change(self, which: NftSet, changes: tuple[Change, ...]) -> None:
        try:
            which.change(changes)
        except NoSuchSet:  # somebody emptied the whole rule set, or this is the agent's first start
            run([NFT, "-f", str(self._rules)], within=WITHIN)
            which.change(changes)


def _busy(lines: Sequence[str], vip: str) -> int:
    there = int.from_bytes(ipaddress.IPv4Address(vip).packed, "little")
    found = 0
    for line in lines:
        words = line.split()
        if len(words) < 4 or words[3] != _ESTABLISHED:
            continue
        port, address = _port(words[1]), words[1].rpartition(":")[0]
        through = port == layout.PORT_DICOM_TLS and int(address[-8:], 16) == there
        found += through or port == layout.PORT_ORTHANC_HTTP
    return found


def _port(local: str) -> int:
    return int(local.rpartition(":")[2], 16)
