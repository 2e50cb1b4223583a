"""The control plane in the lab: what tests change in it, and what they read of it."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any

import yaml

from hactl import layout
from hactl.errors import StepFailed, Unreachable
from hactl.lab.lab import Lab
from hactl.lab.machine import Power

CONTROLLER = "hactl-controller.service"


def etcdctl(lab: Lab, *words: str, within: float = 20) -> str:
    """Asked on a node that is on, of all members. Raises StepFailed or Unreachable."""
    voters = {
        n: node for n, node in lab.spec.nodes.items() if n in {*lab.spec.databases, *lab.spec.witnesses}
    }
    at = next((n for n in reversed(voters) if lab.machine(n).power() is Power.ON), None)
    if at is None:
        raise Unreachable("no etcd member is on")
    urls = ",".join(f"https://{node.address}:{layout.PORT_ETCD_CLIENT}" for node in voters.values())
    keys = [
        f"--cacert={layout.PKI}/ca.crt",
        f"--cert={layout.PKI}/hactl.crt",
        f"--key={layout.PKI}/hactl.key",
    ]
    argv = ["env", "ETCDCTL_API=3", "etcdctl", f"--endpoints={urls}", "--dial-timeout=1s", *keys, *words]
    return lab.exec(at, argv, within=within).out


def own(lab: Lab, key: str) -> str:
    return f"{layout.HACTL_NAMESPACE}/{lab.spec.cluster}/{key}"


def forget_limits(lab: Lab) -> None:
    """Three failovers an hour are enough for a hospital, not for a test run."""
    for counted in ("recent/", "budget/"):
        etcdctl(lab, "del", "--prefix", own(lab, counted))


def controllers(lab: Lab) -> tuple[str, ...]:
    return (*lab.spec.databases, *lab.spec.witnesses)


@contextmanager
def without_fence_agents(lab: Lab) -> Iterator[None]:
    """As if the spec named none: only the lease can prove that a node is silent.

    Raises StepFailed: it names none already, and so it would be left.
    """
    before = {node: lab.exec(node, ["cat", str(layout.SPEC)]).out for node in controllers(lab)}
    documents = {node: yaml.safe_load(text) for node, text in before.items()}
    if not all(document.get("fencing", {}).get("agents") for document in documents.values()):
        raise StepFailed("the spec on the nodes names no fence agents: whoever took them out was killed",
                         hint="hactl deploy")  # fmt: skip
    try:
        for node, document in documents.items():
            document["fencing"].pop("agents")
            _write_spec(lab, node, yaml.safe_dump(document, sort_keys=False))
        yield
    finally:
        for node, text in before.items():
            if lab.machine(node).power() is Power.OFF:
                lab.power_on(node)
            _write_spec(lab, node, text)


def _write_spec(lab: Lab, node: str, text: str) -> None:
    lab.exec(node, ["sh", "-c", f"cat >{layout.SPEC}"], stdin=text)
    lab.exec(node, ["systemctl", "reload-or-restart", CONTROLLER], within=40)


def hactl(lab: Lab, *words: str, within: float = 30) -> Any:
    """`hactl -o json ...`: what it printed. Raises CalledProcessError."""
    argv = [sys.executable, "-m", "hactl", "--spec", str(lab.folder.spec), "-o", "json", *words]
    done = subprocess.run(argv, check=True, capture_output=True, timeout=within, encoding="utf-8")
    return json.loads(done.stdout)


def newest_incident(lab: Lab, since: float) -> dict[str, Any] | None:
    """The newest incident, if it began at or after `since` (CLOCK_MONOTONIC: one for all machines)."""
    if not hactl(lab, "incident", "list")["incidents"]:
        return None
    found: dict[str, Any] = hactl(lab, "incident", "show")
    first = min(p["mono_ms"] for p in found["phases"]) / 1000
    return found if first >= since else None


def after(incident: Mapping[str, Any], fault: float) -> dict[str, float]:
    """Phase -> seconds after the fault."""
    return {p["phase"]: round(p["mono_ms"] / 1000 - fault, 3) for p in incident["phases"]}


def active_controller(lab: Lab) -> str:
    """Raises Unreachable when there is none."""
    found = etcdctl(lab, "get", "--print-value-only", own(lab, "controller")).strip()
    if not found:
        raise Unreachable("no controller is active")
    return str(json.loads(found)["node"])
