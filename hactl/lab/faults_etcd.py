"""Faults of etcd as a whole: cut off from it, its leader where it hurts, no majority. And of a BMC."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any, Final

from hactl import layout
from hactl.errors import Refused, Unreachable
from hactl.lab import faults_process, scope
from hactl.lab.lab import Lab

_UNIT: Final = "etcd.service"
_LED_WITHIN: Final = 10.0


def lead(lab: Lab, node: str) -> None:
    """Its etcd member becomes the leader, until somebody moves it on. Raises StepFailed, Unreachable."""
    members = _members(lab, node)
    mine = next(m for m in members if str(lab.spec.nodes[node].address) in m["Endpoint"])["Status"]
    own, leader = mine["header"]["member_id"], mine["leader"]
    if own == leader:
        return
    at = next((m["Endpoint"] for m in members if m["Status"]["header"]["member_id"] == leader), None)
    if at is None:
        raise Unreachable("etcd's leader does not answer")
    _etcdctl(lab, node, f"--endpoints={at}", "move-leader", f"{own:x}")


def freeze_others(lab: Lab, node: str) -> None:
    """Etcd hangs on every other member: no majority. Raises Refused: it is no member."""
    for other in _others(lab, node):
        faults_process.freeze(lab, other, _UNIT)


def thaw_others(lab: Lab, node: str) -> None:
    for other in _others(lab, node):
        faults_process.thaw(lab, other, _UNIT)


def voters(lab: Lab) -> tuple[str, ...]:
    return tuple(n for n in lab.spec.nodes if n in {*lab.spec.databases, *lab.spec.witnesses})


def freeze_bmc(lab: Lab, node: str) -> None:
    """Its BMC takes what it is sent and answers nothing. Raises Refused: it has none, or it does not run."""
    _bmc(lab, node, frozen=True)


def thaw_bmc(lab: Lab, node: str) -> None:
    _bmc(lab, node, frozen=False)


def dud_bmc(lab: Lab, node: str) -> None:
    """Its BMC says yes to every order and follows none; asked, it tells the truth. Raises Refused: no BMC."""
    _running_bmc(lab, node)
    lab.folder.dud(node).touch()


def work_bmc(lab: Lab, node: str) -> None:
    lab.folder.dud(node).unlink(missing_ok=True)


def heal(lab: Lab) -> None:
    """Of the BMCs; etcd's programs are healed with all others."""
    for node, machine in lab.machines.items():
        work_bmc(lab, node)
        if machine.machine.bmc and lab.runs(machine.machine.bmc.scope):
            thaw_bmc(lab, node)


def _bmc(lab: Lab, node: str, *, frozen: bool) -> None:
    scope.freeze(_running_bmc(lab, node), frozen=frozen)


def _running_bmc(lab: Lab, node: str) -> Path:
    bmc = lab.machine(node).machine.bmc
    cgroup = lab.scopes.cgroup(bmc.scope) if bmc else None
    if cgroup is None or not scope.populated(cgroup):
        raise Refused(f"{node} has no BMC that runs")
    return cgroup


def _others(lab: Lab, node: str) -> list[str]:
    if node not in voters(lab):
        raise Refused(f"{node} is no member of etcd")
    return [n for n in voters(lab) if n != node]


def _members(lab: Lab, node: str) -> list[dict[str, Any]]:
    urls = ",".join(f"https://{lab.spec.nodes[n].address}:{layout.PORT_ETCD_CLIENT}" for n in voters(lab))
    said = _etcdctl(lab, node, f"--endpoints={urls}", "endpoint", "status", "--write-out=json")
    found: list[dict[str, Any]] = json.loads(said)
    return found


def _etcdctl(lab: Lab, node: str, *words: str) -> str:
    if node not in voters(lab):
        raise Refused(f"{node} is no member of etcd")
    keys = [
        f"--cacert={layout.PKI}/ca.crt",
        f"--cert={layout.PKI}/hactl.crt",
        f"--key={layout.PKI}/hactl.key",
    ]
    argv = ["env", "ETCDCTL_API=3", "etcdctl", "--dial-timeout=1s", *keys, *words]
    return lab.exec(node, argv, within=_LED_WITHIN).out
