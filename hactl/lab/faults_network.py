"""Faults of the cables: the switch drops frames between two machines, or some of one machine's.

The rules are in the switch's namespace, where no machine's own packet filter can undo or see them.
"""

from __future__ import annotations

import json
from typing import Final

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
    ports = [cable.port for cable in lab.machine(node).machine.cables]
    _add(lab, _name("loss", node), [f'{way} "{p}" {chance}' for p in ports for way in ("iifname", "oifname")])


def keep(lab: Lab, node: str, _percent: str) -> None:
    _remove(lab, _name("loss", node))


def heal(lab: Lab) -> list[str]:
    """Undo all of them; their names."""
    found = [name for name in _tables(lab) if name.startswith(_MARK)]
    for name in found:
        _nft(lab, f"delete table bridge {name}")
    return [name.removeprefix(_MARK).replace("_", " ") for name in found]


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
