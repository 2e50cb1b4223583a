"""Prints `hactl lab status`."""

from __future__ import annotations

from typing import Any

from hactl.cli.output import emit
from hactl.lab.lab import Lab, NodeState
from hactl.lab.topology import OPS_MANAGEMENT


def document(lab: Lab) -> dict[str, Any]:
    """`lab status -o json`."""
    return {
        "name": lab.topology.name,
        "folder": str(lab.folder.path),
        "spec": str(lab.folder.spec),
        "ops": {"netns": lab.topology.ops_netns, "addresses": [str(lab.topology.ops), str(OPS_MANAGEMENT)]},
        "nodes": [_node(state) for state in lab.status()],
    }


def show(lab: Lab, output: str) -> None:
    found = document(lab)
    if output == "table":
        _table(found)
    else:
        emit(found, output)


def _node(state: NodeState) -> dict[str, Any]:
    return {
        "name": state.name,
        "address": str(state.address),
        "power": state.power.value,
        "isolated": state.isolated,
        "bmc": {"address": str(state.bmc[0]), "running": state.bmc[1]} if state.bmc else None,
    }


def _table(found: dict[str, Any]) -> None:
    from rich.console import Console
    from rich.table import Table

    table = Table("node", "address", "power", "network", "BMC", box=None, pad_edge=False)
    for node in found["nodes"]:
        bmc = node["bmc"]
        table.add_row(
            node["name"],
            node["address"],
            {"on": "[green]on[/]", "off": "[red]off[/]"}.get(node["power"], f"[yellow]{node['power']}[/]"),
            "-" if node["power"] == "off" else "[yellow]isolated[/]" if node["isolated"] else "plugged in",
            "-" if bmc is None else bmc["address"] if bmc["running"] else f"{bmc['address']} [red]dead[/]",
        )
    console = Console()
    console.print(
        f"lab {found['name']}: {found['folder']}, operator at {found['ops']['addresses'][0]}", highlight=False
    )
    console.print(table)
