"""A process of a lab's machine that waits for its stalled data disk."""

from __future__ import annotations

from hactl.lab import datadisk
from hactl.lab.lab import Lab
from hactl.lab.wait import wait_until

# The machine's own: one that is started from outside would outlive it.
_WRITER = f"date +%s >{datadisk.PLACE}/written; sleep 60"


def start(lab: Lab, node: str) -> None:
    """Returns when it waits in the kernel, where nothing kills it."""
    lab.exec(node, ["systemd-run", "--quiet", "--unit=writer", "sh", "-c", _WRITER])
    wait_until(lambda: _waits(lab, node), within=10, say=lambda: f"nobody waits for the disk of {node}")


def _waits(lab: Lab, node: str) -> bool:
    pid = lab.exec(node, ["systemctl", "show", "--property=MainPID", "--value", "writer"]).out.strip()
    return lab.exec(node, ["ps", "-o", "stat=", "-p", pid], check=False).out.strip().startswith("D")
