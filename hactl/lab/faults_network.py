"""Faults of the cables: the switch drops frames between two machines, or some of one machine's, or is slow.

The rules are in the switch's namespace, where no machine's own packet filter can undo or see them.
"""

from __future__ import annotations

import json
from typing import Final

from hactl import layout
from hactl.adapters.command import run
from hactl.errors import UsageError
from hactl.lab import netns
from hactl.lab.lab import Lab

_MARK: Final = "hactl_"  # each fault is a table of its own: taking it away undoes the fault


def cut(lab: Lab, a: str, b: str) -> None:
    """Nothing gets from one to the other, neither way; both reach everyone else."""
    _add(lab, _name("cut", a, b), [*_between(lab, a, b), *_between(lab, b, a)])


def join(lab: Lab, a: str, b: str) -> None:
    _remove(lab, _name("cut", a, b))


def one_way(lab: Lab, a: str, b: str) -> None:
    """What `a` sends never reaches `b`; what `b` sends arrives."""
    _add(lab, _name("oneway", a, b), _between(lab, a, b))


def both_ways(lab: Lab, a: str, b: str) -> None:
    _remove(lab, _name("oneway", a, b))


def lose(lab: Lab, node: str, percent: str) -> None:
    """That part of what the machine sends, and of what is sent to it, is lost by chance.

    Raises UsageError when `percent` is no whole number from 1 to 99.
    """
    if not percent.isdigit() or not 1 <= int(percent) <= 99:
        raise UsageError(f"{percent!r} is no percentage", hint="a whole number from 1 to 99")
    chance = f"numgen random mod 100 < {int(percent)} drop"
    ends = [f'{way} "{p}"' for p in _ports(lab, node) for way in ("iifname", "oifname")]
    _add(lab, _name("loss", node), [f"{end} {chance}" for end in ends])


def keep(lab: Lab, node: str, _percent: str) -> None:
    _remove(lab, _name("loss", node))


def deafen(lab: Lab, node: str) -> None:
    """Nothing that is sent to it arrives; what it sends does. Its BMC hears."""
    _add(lab, _name("deaf", node), [f'oifname "{port}" drop' for port in _ports(lab, node)])


def hear(lab: Lab, node: str) -> None:
    _remove(lab, _name("deaf", node))


def silence(lab: Lab, node: str) -> None:
    """Nothing that it sends arrives; what is sent to it does. Its BMC answers."""
    _add(lab, _name("voiceless", node), [f'iifname "{port}" drop' for port in _ports(lab, node)])


def speak(lab: Lab, node: str) -> None:
    _remove(lab, _name("voiceless", node))


def cut_etcd(lab: Lab, node: str) -> None:
    """It reaches no other member of etcd, and none reaches it; everything else goes on."""
    ports = f"{{ {layout.PORT_ETCD_CLIENT}, {layout.PORT_ETCD_PEER} }}"
    ends = [f'{way} "{p}" tcp' for p in _ports(lab, node) for way in ("iifname", "oifname")]
    _add(
        lab, _name("etcd", node), [f"{end} {way} {ports} drop" for end in ends for way in ("dport", "sport")]
    )


def join_etcd(lab: Lab, node: str) -> None:
    _remove(lab, _name("etcd", node))


def lose_announcements(lab: Lab, node: str) -> None:
    """No gratuitous ARP for a virtual IP reaches anybody, whichever node sends it."""
    vips = [str(v.address.ip) for v in (lab.spec.vips.database, lab.spec.vips.archive) if v]
    rules = [f"ether type arp arp saddr ip {vip} arp daddr ip {vip} drop" for vip in vips]
    _add(lab, _name("garp", node), rules)


def hear_announcements(lab: Lab, node: str) -> None:
    _remove(lab, _name("garp", node))


def narrow(lab: Lab, node: str, kilobits: str) -> None:
    """Its cables carry so many kbit/s each way, with up to 400 ms of queue; the rest is dropped.

    Raises:
        UsageError: `kilobits` is no whole number from 8 to 1000000.
        StepFailed: this kernel has no token bucket filter (sch_tbf).

    """
    if not kilobits.isdigit() or not 8 <= int(kilobits) <= 1_000_000:
        raise UsageError(f"{kilobits!r} is no rate", hint="kbit/s, a whole number from 8 to 1000000")
    rate = ["tbf", "rate", f"{int(kilobits)}kbit", "burst", "8k", "latency", "400ms"]
    for where, device in _ends(lab, node):
        run(["tc", "-n", where, "qdisc", "replace", "dev", device, "root", *rate], within=10)


def widen(lab: Lab, node: str, _kilobits: str = "") -> None:
    for where, device in _narrowed(lab, node):
        run(["tc", "-n", where, "qdisc", "del", "dev", device, "root"], within=10)


def heal(lab: Lab) -> list[str]:
    """Undo all of them; their names."""
    found = [name for name in _tables(lab) if name.startswith(_MARK)]
    for name in found:
        _nft(lab, f"delete table bridge {name}")
    slow = [node for node in lab.nodes if _narrowed(lab, node)]
    for node in slow:
        widen(lab, node)
    return [*(name.removeprefix(_MARK).replace("_", " ") for name in found), *(f"slow {n}" for n in slow)]


def _ports(lab: Lab, node: str) -> list[str]:
    return [cable.port for cable in lab.machine(node).machine.cables]


def _ends(lab: Lab, node: str) -> list[tuple[str, str]]:
    """Both ends of its cables, as namespace and device; those of a machine that is off are not there."""
    machine, switch = lab.machine(node).machine, lab.topology.switch_netns
    if not netns.alive(machine.netns):
        return []
    return [end for c in machine.cables for end in ((switch, c.port), (machine.netns, c.device))]


def _narrowed(lab: Lab, node: str) -> list[tuple[str, str]]:
    found = []
    for where, device in _ends(lab, node):
        shown = run(["tc", "-n", where, "qdisc", "show", "dev", device], within=10, check=False).out
        if "tbf" in shown:
            found.append((where, device))
    return found


def _between(lab: Lab, sender: str, receiver: str) -> list[str]:
    """Rules that drop every frame on its way, on each network that both are on."""
    ends = [(a, b) for a in lab.machine(sender).machine.cables for b in lab.machine(receiver).machine.cables]
    return [f'iifname "{a.port}" oifname "{b.port}" drop' for a, b in ends if a.bridge == b.bridge]


def _name(kind: str, *nodes: str) -> str:
    return _MARK + "_".join([kind, *nodes])


def _add(lab: Lab, table: str, rules: list[str]) -> None:
    """One transaction: all rules at once, and doing it twice changes nothing."""
    chain = f"add chain bridge {table} forward {{ type filter hook forward priority 0; policy accept; }}"
    begin = [f"add table bridge {table}", f"delete table bridge {table}", f"add table bridge {table}", chain]
    _nft(lab, "\n".join([*begin, *(f"add rule bridge {table} forward {rule}" for rule in rules)]))


def _remove(lab: Lab, table: str) -> None:
    if table in _tables(lab):
        _nft(lab, f"delete table bridge {table}")


def _tables(lab: Lab) -> list[str]:
    with netns.entered(lab.topology.switch_netns):
        shown = json.loads(run(["nft", "-j", "list", "tables", "bridge"], within=10).out)
    return [entry["table"]["name"] for entry in shown["nftables"] if "table" in entry]


def _nft(lab: Lab, text: str) -> None:
    with netns.entered(lab.topology.switch_netns):
        run(["nft", "-f", "-"], within=10, stdin=text + "\n")
