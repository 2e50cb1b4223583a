"""An archive node's agent with a real packet filter, a real keepalived, real mounts and a real etcd."""

from __future__ import annotations

import socket
import time
from collections.abc import Iterator

import pytest

from hactl.adapters.command import run
from tests.support.archive_lab import ADDRESS, VIP, ArchiveLab, archive_lab
from tests.support.servers import wait_until


@pytest.fixture
def lab() -> Iterator[ArchiveLab]:
    with archive_lab() as found:
        yield found


def refused(lab: ArchiveLab, address: str) -> bool:
    try:
        lab.connect(address).close()
    except ConnectionRefusedError:
        return True
    except TimeoutError:
        return False
    return False


def test_a_drain_lets_go_of_the_address_when_the_last_association_has_ended(lab: ArchiveLab) -> None:
    flow = lab.flow()
    lab.drain(within=30)
    wait_until("new ones wait", lambda: bool((f := lab.facts()) and f.archive and f.archive.refusing), 5)
    with pytest.raises(TimeoutError):
        lab.connect(within=0.7)
    lab.connect(ADDRESS).close()  # who asks the node itself is answered
    assert flow.alive(), "what is under way goes on"
    assert lab.has_vip()
    facts = lab.facts()
    assert facts is not None
    assert facts.archive is not None
    assert facts.archive.associations == 1
    flow.sock.shutdown(socket.SHUT_RDWR)
    assert lab.wait_vip(here=False, within=5) < 2.5
    assert lab.track() == "-254"
    wait_until("nobody waits here any more", lambda: refusing(lab) is False, 5)
    time.sleep(1.5)
    assert not lab.has_vip(), "keepalived does not take it back"
    lab.undrain()
    assert lab.wait_vip(here=True, within=10) < 5


def refusing(lab: ArchiveLab) -> bool | None:
    facts = lab.facts()
    return facts.archive.refusing if facts and facts.archive else None


def test_what_does_not_end_is_reset_at_the_deadline(lab: ArchiveLab) -> None:
    flow = lab.flow()
    flow.sock.settimeout(5)
    lab.drain(within=1.0)
    lab.wait_vip(here=False, within=5)
    wait_until("the client hears of it", lambda: not flow.alive(), 3)
    assert "connections ended" in lab.said()


def test_an_unmounted_storage_takes_nothing_and_loses_the_address_at_once(lab: ArchiveLab) -> None:
    flow = lab.flow()
    start = time.monotonic()
    lab.unmount()
    lab.wait_vip(here=False, within=5)
    assert time.monotonic() - start < 2.0
    wait_until("the open association is cut off", lambda: not flow.alive(), 2)
    assert refused(lab, ADDRESS), "nor does the node's own address take anything"
    socket.create_connection(("127.0.0.1", 2762), timeout=2).close()
    wait_until("Orthanc is stopped", lambda: lab.acts() == ["stop-orthanc"], 5)
    facts = lab.facts()
    assert facts is not None
    assert facts.storage.failed
    assert facts.archive is not None
    assert "not mounted" in facts.archive.out_for
    lab.mount()
    lab.wait_vip(here=True, within=10)
    assert not refused(lab, VIP)


def test_another_disk_with_our_marker_has_to_have_our_images(lab: ArchiveLab) -> None:
    lab.mount("disk2")
    lab.wait_vip(here=False, within=5)
    wait_until("Orthanc was started anew", lambda: "stop-orthanc" in lab.acts(), 5)
    time.sleep(1.5)
    assert refused(lab, ADDRESS)
    assert not lab.has_vip()
    lab.unmount()
    lab.wait_vip(here=True, within=15)
    (lab.folder / "images-are-there").write_text("")
    lab.mount("disk2")
    lab.wait_vip(here=False, within=5)


def test_an_agent_that_dies_leaves_a_drained_node_out_and_a_fit_one_in(lab: ArchiveLab) -> None:
    lab.kill_agent()
    time.sleep(1.0)
    assert lab.has_vip(), "a fit node stays in"
    lab.start_agent()
    lab.drain()
    lab.wait_vip(here=False, within=10)
    lab.kill_agent()
    lab.start_agent()
    time.sleep(1.5)
    assert not lab.has_vip()
    lab.undrain()
    lab.wait_vip(here=True, within=10)


def test_a_lost_packet_filter_is_made_anew(lab: ArchiveLab) -> None:
    run(["nft", "flush", "ruleset"], within=5)
    lab.unmount()
    lab.wait_vip(here=False, within=5)
    wait_until("it is shut", lambda: refused(lab, ADDRESS), 3)


def test_without_keepalived_the_address_goes(lab: ArchiveLab) -> None:
    """Nothing would take it away when another node has it."""
    (lab.folder / "no-keepalived").touch()
    lab.wait_vip(here=False, within=3)
