"""A data disk of its own, on bare machines: stalled, filled, and what is left when its machine dies so."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator

import pytest

from hactl.errors import Refused, UsageError
from hactl.lab import datadisk, faults, preflight, scope
from hactl.lab.down import down, leftovers
from hactl.lab.faults import injected
from hactl.lab.folder import LABS
from hactl.lab.lab import Lab
from hactl.lab.machine import Power
from hactl.lab.wait import wait_until
from tests.support.lab_traces import traces

NAME = "disks-test"
PLACE = str(datadisk.PLACE)
# A process of the machine's own: one that is started from outside would outlive it.
WRITER = ["systemd-run", "--quiet", "--unit=writer", "sh", "-c", f"date +%s >{PLACE}/written; sleep 60"]


@pytest.fixture(scope="module")
def lab() -> Iterator[Lab]:
    assert preflight.lacks() == []
    down(NAME, lambda _: None)
    argv = [sys.executable, "-m", "hactl", "lab", "up", "--name", NAME, "--no-deploy"]
    subprocess.run(argv, check=True, capture_output=True, timeout=900)
    yield Lab.open(LABS / NAME)
    down(NAME, lambda _: None)
    assert traces(NAME) == []


def used(lab: Lab, node: str) -> int:
    """Percent."""
    return int(lab.exec(node, ["df", "--output=pcent", PLACE]).out.split()[-1].rstrip("%"))


def takes_writes(lab: Lab, node: str) -> bool:
    """Asked by a process that can be left behind: it waits in the kernel."""
    file = f"{PLACE}/trial"
    write = f'(exec >/dev/null 2>&1; date >"{file}") &'
    look = f'{write} sleep 0.5; kill -0 $! 2>/dev/null && exit 1; rm -f "{file}"'
    return lab.exec(node, ["sh", "-c", look], within=10, check=False).code == 0


def waits(lab: Lab, node: str) -> bool:
    """Whether the machine's writer waits in the kernel."""
    pid = lab.exec(node, ["systemctl", "show", "--property=MainPID", "--value", "writer"]).out.strip()
    return lab.exec(node, ["ps", "-o", "stat=", "-p", pid], check=False).out.strip().startswith("D")


def test_a_stalled_disk_holds_writers_not_readers_and_only_this_one(lab: Lab) -> None:
    lab.exec("db1", ["sh", "-c", f"echo before >{PLACE}/kept"])
    with injected(lab, "stall-disk", "db1"):
        assert not takes_writes(lab, "db1")
        assert lab.exec("db1", ["cat", f"{PLACE}/kept"], within=5).out == "before\n"
        lab.exec("db1", ["sh", "-c", "date >/root/elsewhere; sync -f /root/elsewhere"], within=20)
        assert takes_writes(lab, "db2")
        faults.fault("stall-disk").inject(lab, "db1")  # twice is once
    assert takes_writes(lab, "db1")


def test_a_disk_is_filled_to_what_is_asked_and_emptied(lab: Lab) -> None:
    with injected(lab, "fill-disk", "db2", "88"):
        assert used(lab, "db2") == 88
        assert takes_writes(lab, "db2")
    assert used(lab, "db2") < 5
    faults.fault("fill-disk").inject(lab, "db2")
    assert used(lab, "db2") == 100
    full = lab.exec("db2", ["sh", "-c", f"head -c 100000 /dev/zero >{PLACE}/more"], check=False)
    assert "No space left" in full.err
    assert faults.heal(lab) == ["disk of db2 emptied"]
    assert used(lab, "db2") < 5
    assert (LABS / NAME / "machines/db2/data.img").stat().st_blocks * 512 < 1024**3, "taken, not written"


def test_only_database_nodes_have_one(lab: Lab) -> None:
    for kind in ("stall-disk", "fill-disk"):
        with pytest.raises(Refused, match="wit1 has no data disk"):
            faults.fault(kind).inject(lab, "wit1")
    with pytest.raises(UsageError, match="percentage"):
        faults.fault("fill-disk", "all").inject(lab, "db1")


def test_a_machine_with_a_stalled_disk_can_be_switched_off_and_boots_again(lab: Lab) -> None:
    """Its writers wait in the kernel, where nothing kills them until the disk goes on."""
    faults.fault("stall-disk").inject(lab, "db1")
    lab.exec("db1", WRITER)
    wait_until(lambda: waits(lab, "db1"), within=10, say=lambda: "nobody waits for the disk")
    lab.power_off("db1")
    assert lab.machine("db1").power() is Power.OFF
    lab.power_on("db1")
    assert takes_writes(lab, "db1")


def test_down_copes_with_stalled_disks_whatever_became_of_their_machines(lab: Lab) -> None:
    """One machine is alive and waits, one was killed behind our back. The last test here."""
    for node in ("db1", "db2"):
        faults.fault("stall-disk").inject(lab, node)
    lab.exec("db1", WRITER)
    wait_until(lambda: waits(lab, "db1"), within=10, say=lambda: "nobody waits for the disk")
    db2 = lab.machine("db2")
    cgroup = lab.scopes.cgroup(db2.machine.scope)
    assert cgroup
    scope.strike(cgroup)
    wait_until(lambda: db2.power() is Power.OFF, within=20, say=lambda: "db2 is still alive")
    assert datadisk.devices(lab.folder.machine("db2").data), "frozen, so the kernel keeps it"
    down(NAME, lambda _: None)
    assert leftovers(NAME) == []
    assert traces(NAME) == []
