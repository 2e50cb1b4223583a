"""The doctor's program on a node, in network namespaces: real ARP, real connects, real nftables."""

from __future__ import annotations

import json
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from hactl.adapters.command import run
from hactl.view.parse.preflight import parse_preflight
from hactl.view.preflight import NodePreflight, Reached
from tests.support.node_net import ip, namespaces
from tests.support.rendered import content

pytestmark = pytest.mark.lab  # namespaces, as root

VIP = "192.0.2.100"


@pytest.fixture
def net() -> Iterator[tuple[str, str]]:
    with namespaces() as found:
        yield found


def look(namespace: str, tmp_path: Path, **constants: Any) -> NodePreflight:
    """As db1's program, in a namespace; `constants` of it are replaced."""
    text = content("db1", "/usr/local/lib/hactl/preflight")
    for name, value in constants.items():
        line = next(line for line in text.splitlines() if line.startswith(f"{name} = "))
        text = text.replace(line, f"{name} = {value!r}")
    (tmp_path / "preflight").write_text(text)
    argv = ["ip", "netns", "exec", namespace, "/usr/bin/python3", "-I", str(tmp_path / "preflight")]
    return parse_preflight(run(argv, within=20).out.encode())


def mac(namespace: str, link: str) -> str:
    return str(json.loads(ip("-j", "-n", namespace, "link", "show", link))[0]["address"])


def test_the_holder_answers_and_nobody_else(net: tuple[str, str], tmp_path: Path) -> None:
    node, client = net
    ip("-n", node, "address", "add", f"{VIP}/24", "dev", "node0")
    mine, theirs = look(node, tmp_path, REACH=[]).arp[0], look(client, tmp_path, REACH=[]).arp[0]
    assert (mine.held, mine.claimed, mine.interface) == (True, (), "node0")
    assert (theirs.held, theirs.claimed) == (False, (mac(node, "node0"),))
    assert theirs.rules["drop_gratuitous_arp"] == 0
    # A probe has no address of its own to learn: nobody's table was changed by it.
    assert theirs.cached == ""


def test_a_second_holder_is_heard_by_the_first(net: tuple[str, str], tmp_path: Path) -> None:
    node, client = net
    for namespace, link in ((node, "node0"), (client, "client0")):
        ip("-n", namespace, "address", "add", f"{VIP}/24", "dev", link)
    assert look(node, tmp_path, REACH=[]).arp[0].claimed == (mac(client, "client0"),)


def test_an_interface_that_is_told_not_to_answer_is_not_heard(net: tuple[str, str], tmp_path: Path) -> None:
    node, client = net
    ip("-n", node, "address", "add", f"{VIP}/24", "dev", "node0")
    # A container has it read-only. `ip netns exec` makes a mount namespace: this changes only its own.
    writable = "mount -o remount,bind,rw /proc/sys 2>/dev/null"
    argv = ["sh", "-c", f"{writable}; echo 8 > /proc/sys/net/ipv4/conf/node0/arp_ignore"]
    run(["ip", "netns", "exec", node, *argv], within=5)
    assert look(client, tmp_path, REACH=[]).arp[0].claimed == ()
    assert look(node, tmp_path, REACH=[]).arp[0].rules["arp_ignore"] == 8


def test_the_neighbour_that_it_would_send_to(net: tuple[str, str], tmp_path: Path) -> None:
    _, client = net
    old = "02:00:00:00:00:99"
    ip("-n", client, "neighbour", "add", VIP, "lladdr", old, "dev", "client0", "nud", "stale")
    assert look(client, tmp_path, REACH=[]).arp[0].cached == old


def dropped(namespace: str, ports: str) -> None:
    rules = f"table inet t {{ chain i {{ type filter hook input priority 0; tcp dport {ports} drop; }}; }}\n"
    run(["ip", "netns", "exec", namespace, "nft", "-f", "-"], within=5, stdin=rules)


def target(port: int, address: str = "192.0.2.2") -> dict[str, Any]:
    return {"to": "db2", "address": address, "port": port, "what": "x", "vip": False}


def test_connects_that_are_dropped_refused_or_taken(net: tuple[str, str], tmp_path: Path) -> None:
    node, client = net
    dropped(client, "2379")
    begun = time.monotonic()
    found = look(node, tmp_path, REACH=[target(2379), target(2380), target(22, "192.0.2.77")])
    assert [r.found for r in found.reach] == [Reached.SILENT, Reached.REFUSED, Reached.SILENT]
    assert time.monotonic() - begun < 6


def test_a_thousand_targets_that_are_all_silent_have_their_end(net: tuple[str, str], tmp_path: Path) -> None:
    node, client = net
    dropped(client, "1-65535")
    begun = time.monotonic()
    found = look(node, tmp_path, REACH=[target(2000 + n) for n in range(1000)])
    assert time.monotonic() - begun < 10
    assert {r.found for r in found.reach} == {Reached.SILENT, Reached.UNKNOWN}


def test_this_kernel_has_sets_with_timeouts_and_asking_leaves_nothing(
    net: tuple[str, str], tmp_path: Path
) -> None:
    node, _ = net
    assert look(node, tmp_path, REACH=[]).kernel["sets with timeouts in nftables"] == ""
    assert run(["ip", "netns", "exec", node, "nft", "list", "ruleset"], within=5).out == ""
