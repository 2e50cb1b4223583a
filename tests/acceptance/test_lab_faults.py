"""Faults of single programs, cables and data disks, on bare machines: what they do, and how they end."""

from __future__ import annotations

import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from hactl.errors import Refused, UsageError
from hactl.lab import datadisk, faults, faults_process, preflight
from hactl.lab.down import down
from hactl.lab.faults import injected
from hactl.lab.folder import LABS
from hactl.lab.lab import Lab
from hactl.lab.machine import Power
from hactl.lab.wait import wait_until
from hactl.pki.store import Store
from tests.support import writers

NAME = "faults-test"
UNIT = "systemd-logind.service"  # any that systemd restarts by itself
PLACE = str(datadisk.PLACE)
ETCD = str(datadisk.ETCD)


@pytest.fixture(scope="module")
def lab() -> Iterator[Lab]:
    assert preflight.lacks() == []
    down(NAME, lambda _: None)
    argv = [sys.executable, "-m", "hactl", "lab", "up", "--name", NAME, "--no-deploy"]
    subprocess.run(argv, check=True, capture_output=True, timeout=900)
    yield Lab.open(LABS / NAME)
    down(NAME, lambda _: None)


def reaches(lab: Lab, node: str, other: str) -> bool:
    address = str(lab.spec.nodes[other].address)
    script = f"import socket; socket.create_connection(('{address}', 22), 0.5).close()"
    return lab.exec(node, ["/usr/bin/python3", "-c", script], check=False).code == 0


def soon_reaches(lab: Lab, node: str, other: str) -> bool:
    """A machine that has just booted, or one that has little of the processor, may take its time."""
    deadline = time.monotonic() + 20
    while not (found := reaches(lab, node, other)) and time.monotonic() < deadline:
        time.sleep(0.2)
    return found


def main_pid(lab: Lab) -> int:
    return int(lab.exec("db1", ["systemctl", "show", "--property=MainPID", "--value", UNIT]).out)


def state_of(lab: Lab, pid: int) -> str:
    return lab.exec("db1", ["ps", "-o", "stat=", "-p", str(pid)], check=False).out.strip()[:1]


def test_a_cut_is_between_two_and_heals(lab: Lab) -> None:
    with injected(lab, "cut", "db1", "db2"):
        assert not reaches(lab, "db1", "db2")
        assert not reaches(lab, "db2", "db1")
        assert soon_reaches(lab, "db1", "wit1")
        assert soon_reaches(lab, "wit1", "db2")
    assert soon_reaches(lab, "db1", "db2")


def test_one_way_lets_the_other_way_through(lab: Lab) -> None:
    """A connection needs both; a datagram says which one is left."""
    lab.exec("db1", ["rm", "-f", "/root/heard"])
    script = "import socket; s = socket.socket(type=2); s.bind(('', 9)); s.settimeout(20); print(s.recv(9))"
    listen = f'echo ready; exec python3 -c "{script}" >/root/heard'
    with injected(lab, "one-way", "db1", "db2"):
        assert not reaches(lab, "db2", "db1")
        argv = lab.machine("db1").exec_argv(["sh", "-c", listen])
        with subprocess.Popen(argv, stdout=subprocess.PIPE) as listener:
            wait_until(lambda: heard(lab), within=15, say=lambda: "db1 heard nothing from db2")
            listener.wait(10)
    assert soon_reaches(lab, "db2", "db1")


def heard(lab: Lab) -> bool:
    address = str(lab.spec.nodes["db1"].address)
    said = f"import socket; socket.socket(type=2).sendto(b'here', ('{address}', 9))"
    lab.exec("db2", ["python3", "-c", said])
    return "here" in lab.exec("db1", ["cat", "/root/heard"], check=False).out


def test_one_that_hears_nothing_or_is_not_heard_reaches_nobody(lab: Lab) -> None:
    for kind in ("deaf", "voiceless"):
        with injected(lab, kind, "db1"):
            assert not reaches(lab, "db1", "wit1")
            assert not reaches(lab, "arc1", "db1")
            assert soon_reaches(lab, "db2", "wit1")
        assert soon_reaches(lab, "db1", "wit1")


def test_cut_from_etcd_it_reaches_everything_else(lab: Lab) -> None:
    server = ["systemd-run", "--quiet", "--unit=port", "python3", "-m", "http.server", "2379"]
    lab.exec("db2", server)
    url = f"http://{lab.spec.nodes['db2'].address}:2379/"
    ask = ["curl", "-s", "-o", "/dev/null", "--connect-timeout", "1", "--max-time", "3", url]

    def answers() -> bool:
        return lab.exec("db1", ask, check=False).code == 0

    try:
        wait_until(answers, within=15, say=lambda: "nothing listens on db2")
        with injected(lab, "cut-etcd", "db1"):
            assert reaches(lab, "db1", "db2")
            assert not answers()
        wait_until(answers, within=15, say=lambda: "still cut")
    finally:
        lab.exec("db2", ["systemctl", "stop", "port"])


def test_a_narrow_cable_is_narrow_until_it_is_healed(lab: Lab) -> None:
    with injected(lab, "narrow", "db1", "256"):
        shown = lab.exec("db1", ["tc", "qdisc", "show", "dev", "host0"]).out
        assert "tbf" in shown
        assert "256Kbit" in shown
        assert soon_reaches(lab, "db1", "wit1")
    assert "tbf" not in lab.exec("db1", ["tc", "qdisc", "show", "dev", "host0"]).out
    faults.fault("narrow", "64").inject(lab, "arc1")
    assert faults.heal(lab) == ["slow arc1 undone"]
    with pytest.raises(UsageError, match="rate"):
        faults.fault("narrow", "slow").inject(lab, "db1")


def test_names_are_lost_and_found(lab: Lab) -> None:
    look = ["getent", "hosts", "db2"]
    assert lab.exec("db1", look).code == 0
    with injected(lab, "lose-names", "db1"):
        faults.fault("lose-names").inject(lab, "db1")  # twice is once
        assert lab.exec("db1", look, check=False).code != 0
    assert lab.exec("db1", look).code == 0


def ipmi(lab: Lab, folder: Path, *words: str) -> list[str]:
    bmc = str(lab.spec.fencing.agents["db1"].options["ip"])
    password = folder / "password"
    password.write_text(Store(lab.site.state).secrets().bmc.value)
    argv = ["ipmitool", "-I", "lanplus", "-N", "1", "-R", "1", "-H", bmc, "-U", "hactl", "-f", str(password)]
    return [*argv, "chassis", "power", *words]


def test_a_bmc_that_says_yes_and_does_nothing_tells_the_truth_when_it_is_asked(
    lab: Lab, tmp_path: Path
) -> None:
    with injected(lab, "dud-bmc", "db1"):
        assert lab.in_ops(ipmi(lab, tmp_path, "off")).code == 0
        assert "on" in lab.in_ops(ipmi(lab, tmp_path, "status")).out
        assert lab.machine("db1").power() is Power.ON
    faults.fault("dud-bmc").inject(lab, "db1")
    faults.heal(lab)
    assert lab.in_ops(ipmi(lab, tmp_path, "off")).code == 0
    assert lab.machine("db1").power() is Power.OFF
    lab.power_on("db1")
    with pytest.raises(Refused, match="no BMC"):
        faults.fault("dud-bmc").inject(lab, "wit1")


def test_a_bmc_hangs_and_goes_on(lab: Lab, tmp_path: Path) -> None:
    ask = ipmi(lab, tmp_path, "status")
    with injected(lab, "freeze-bmc", "db1"):
        assert lab.in_ops(ask, check=False).code != 0
    assert "on" in lab.in_ops(ask).out
    with pytest.raises(Refused, match="no BMC"):
        faults.fault("freeze-bmc").inject(lab, "wit1")


def test_loss_of_nearly_everything_is_a_cut_and_heal_ends_it(lab: Lab) -> None:
    faults.fault("loss", "99").inject(lab, "arc1")
    assert not reaches(lab, "arc1", "db1")
    assert soon_reaches(lab, "db1", "db2")
    assert faults.heal(lab) == ["loss arc1 undone"]
    assert soon_reaches(lab, "arc1", "db1")
    with pytest.raises(UsageError, match="percentage"):
        faults.fault("loss", "much").inject(lab, "arc1")


def test_a_frozen_program_goes_on_when_healed(lab: Lab) -> None:
    pid = main_pid(lab)
    faults_process.freeze(lab, "db1", UNIT)
    assert state_of(lab, pid) == "T"
    faults_process.thaw(lab, "db1", UNIT)
    wait_until(lambda: state_of(lab, pid) == "S", within=5, say=lambda: "still stopped")


def test_a_killed_program_comes_back_and_a_lost_one_when_healed(lab: Lab) -> None:
    first = main_pid(lab)
    faults_process.kill(lab, "db1", UNIT)
    wait_until(lambda: main_pid(lab) not in {0, first}, within=10, say=lambda: "not restarted")
    faults_process.lose(lab, "db1", UNIT)
    wait_until(lambda: main_pid(lab) == 0, within=5, say=lambda: "still there")
    with pytest.raises(Refused, match="does not run"):
        faults_process.kill(lab, "db1", UNIT)
    faults_process.thaw(lab, "db1", UNIT)
    assert main_pid(lab) != 0


def used(lab: Lab, node: str) -> int:
    """Percent."""
    return int(lab.exec(node, ["df", "--output=pcent", PLACE]).out.split()[-1].rstrip("%"))


def takes_writes(lab: Lab, node: str, *, place: str = PLACE, within: int = 5) -> bool:
    """Asked by a process that can be left behind: it waits in the kernel."""
    write = f'(exec >/dev/null 2>&1; date >"{place}/trial") &'
    look = f"for n in $(seq {10 * within}); do kill -0 $! 2>/dev/null || exit 0; sleep 0.1; done; exit 1"
    return lab.exec(node, ["sh", "-c", f"{write} {look}"], within=20, check=False).code == 0


def test_a_stalled_disk_holds_writers_not_readers_and_only_this_one(lab: Lab) -> None:
    lab.exec("db1", ["sh", "-c", f"echo before >{PLACE}/kept"])
    with injected(lab, "stall-disk", "db1"):
        assert not takes_writes(lab, "db1", within=1)
        assert lab.exec("db1", ["cat", f"{PLACE}/kept"], within=5).out == "before\n"
        lab.exec("db1", ["sh", "-c", "date >/root/elsewhere; sync -f /root/elsewhere"], within=20)
        assert takes_writes(lab, "db2")
        faults.fault("stall-disk").inject(lab, "db1")  # twice is once
    assert takes_writes(lab, "db1")


def test_the_disk_of_etcd_is_its_own(lab: Lab) -> None:
    with injected(lab, "stall-etcd-disk", "wit1"):
        assert not takes_writes(lab, "wit1", place=ETCD, within=1)
        assert takes_writes(lab, "db1", place=ETCD)
        lab.exec("wit1", ["sh", "-c", "date >/root/elsewhere; sync -f /root/elsewhere"], within=20)
    assert takes_writes(lab, "wit1", place=ETCD)
    faults.fault("stall-etcd-disk").inject(lab, "db1")
    assert takes_writes(lab, "db1"), "the data disk is another one"
    assert faults.heal(lab) == ["disk of db1's etcd goes on"]
    assert takes_writes(lab, "db1", place=ETCD)
    with pytest.raises(Refused, match="arc1 has no disk"):
        faults.fault("stall-etcd-disk").inject(lab, "arc1")


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
    assert lab.folder.machine("db2").data.stat().st_blocks * 512 < 1024**3, "taken, not written"


def test_only_database_nodes_have_one(lab: Lab) -> None:
    for kind in ("stall-disk", "fill-disk"):
        with pytest.raises(Refused, match=r"wit1 has no (data )?disk"):
            faults.fault(kind).inject(lab, "wit1")
    with pytest.raises(UsageError, match="percentage"):
        faults.fault("fill-disk", "all").inject(lab, "db1")


def image(lab: Lab, node: str, name: str, *, within: float = 10) -> str:
    """What became of writing a file into the image storage there: empty, it was written."""
    write = f"echo {node} >{lab.spec.archive.storage}/{name}"
    return lab.exec(node, ["sh", "-c", write], check=False, within=within).err.strip()


def test_the_image_storage_is_one_disk_and_full_for_all(lab: Lab) -> None:
    place = lab.spec.archive.storage
    assert image(lab, "arc1", "one") == ""
    assert lab.exec("arc2", ["cat", f"{place}/one"]).out == "arc1\n"
    with injected(lab, "fill-storage", "arc1"):
        big = f"head -c 100000 /dev/zero >{place}/more"
        for node in ("arc1", "arc2"):
            assert "No space left" in lab.exec(node, ["sh", "-c", big], check=False).err
        assert lab.exec("arc2", ["cat", f"{place}/one"]).out == "arc1\n", "what is there can be read"
    assert lab.exec("arc2", ["sh", "-c", big], check=False).err == ""
    with pytest.raises(Refused, match="db1 is no archive node"):
        faults.fault("fill-storage").inject(lab, "db1")
    assert lab.folder.images.stat().st_blocks * 512 < 1024**3, "taken, not written"


def test_a_read_only_storage_is_one_machines_also_where_a_service_sees_it(lab: Lab) -> None:
    """A service with a mount namespace of its own, as Orthanc has."""
    place = lab.spec.archive.storage
    service = ["systemd-run", "--quiet", "--unit=view", "-p", "PrivateTmp=yes", "sleep", "300"]
    lab.exec("arc1", service)
    own = 'nsenter --target "$(systemctl show --property=MainPID --value view)" --mount touch "$1"'
    touch = ["sh", "-c", own, "touch", f"{place}/two"]
    with injected(lab, "readonly-storage", "arc1"):
        assert "Read-only" in image(lab, "arc1", "two")
        assert "Read-only" in lab.exec("arc1", touch, check=False).err
        assert image(lab, "arc2", "two") == ""
        assert lab.exec("arc1", ["cat", f"{place}/two"]).out == "arc2\n"
    assert image(lab, "arc1", "two") == ""
    assert lab.exec("arc1", touch).code == 0
    faults.fault("readonly-storage").inject(lab, "arc2")
    faults.heal(lab)
    assert image(lab, "arc2", "two") == ""


def test_an_unmounted_storage_is_not_filled(lab: Lab) -> None:
    """What is under it is this machine's own disk."""
    with injected(lab, "unmount-storage", "arc1"):
        for kind in ("fill-storage", "readonly-storage"):
            with pytest.raises(Refused, match="not mounted"):
                faults.fault(kind).inject(lab, "arc1")
    assert lab.exec("arc1", ["cat", f"{lab.spec.archive.storage}/one"]).out


def test_images_outlive_a_power_cut_of_all_who_have_them(lab: Lab) -> None:
    assert image(lab, "arc1", "kept") == ""
    lab.exec("arc1", ["sync"])
    for node in ("arc1", "arc2"):
        lab.power_off(node)
    wait_until(
        lambda: not datadisk.devices(lab.folder.images), within=10, say=lambda: "still in use by nobody"
    )
    for node in ("arc1", "arc2"):
        lab.power_on(node, wait=False)
    lab.wait_booted(["arc1", "arc2"])
    assert len(datadisk.devices(lab.folder.images)) == 1, "both have the one device"
    assert image(lab, "arc2", "later") == ""
    assert lab.exec("arc1", ["cat", f"{lab.spec.archive.storage}/kept"]).out == "arc1\n"
    assert lab.exec("arc1", ["cat", f"{lab.spec.archive.storage}/later"]).out == "arc2\n"


def test_a_machine_with_stalled_disks_can_be_switched_off_and_boots_again(lab: Lab) -> None:
    """Its writers wait in the kernel, where nothing kills them until the disk goes on."""
    faults.fault("stall-disk").inject(lab, "db1")
    faults.fault("stall-etcd-disk").inject(lab, "db1")
    assert not takes_writes(lab, "db1", place=ETCD, within=1)
    writers.start(lab, "db1")
    lab.power_off("db1")
    assert lab.machine("db1").power() is Power.OFF
    lab.power_on("db1")
    assert takes_writes(lab, "db1")


def test_what_is_not_deployed_cannot_be_broken(lab: Lab) -> None:
    with pytest.raises(Refused, match="hactl-agent"):
        faults.fault("kill-agent").inject(lab, "db1")
    with pytest.raises(Refused, match="PostgreSQL"):
        faults.fault("freeze-postgres").inject(lab, "db1")
    for node, why in (("arc1", "connections of arc1"), ("db1", "no archive node")):
        with pytest.raises(Refused, match=why):
            faults.fault("freeze-pool").inject(lab, node)
    faults.fault("stop-hactl").inject(lab, "all")
