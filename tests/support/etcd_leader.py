"""Which member leads etcd in a lab, and having another one lead."""

from __future__ import annotations

import json
import time
from typing import Any, Final
from urllib.parse import urlsplit

from hactl.errors import Unreachable
from hactl.lab.lab import Lab
from tests.support import control

WITHIN: Final = 10.0  # seconds


def holder(lab: Lab) -> str:
    """The node whose etcd leads. Raises Unreachable: none does, or nobody says so."""
    said = _asked(lab)
    leader = _leader(said)
    return _node(lab, leader["Endpoint"])


def give(lab: Lab, node: str) -> None:
    """From now on that node's etcd leads, until somebody moves it. Raises Unreachable: it does not."""
    end = time.monotonic() + WITHIN
    while True:
        said = _asked(lab)
        leader = _leader(said)
        if _node(lab, leader["Endpoint"]) == node:
            return
        if time.monotonic() >= end:
            raise Unreachable(f"etcd's leader does not come to {node} within {WITHIN:g} s")
        heir = next(s for s in said if _node(lab, s["Endpoint"]) == node)
        wanted = f"{heir['Status']['header']['member_id']:x}"
        control.etcdctl(lab, f"--endpoints={leader['Endpoint']}", "move-leader", wanted)


def _asked(lab: Lab) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = json.loads(control.etcdctl(lab, "endpoint", "status", "--write-out=json"))
    return found


def _leader(said: list[dict[str, Any]]) -> dict[str, Any]:
    for one in said:
        if one["Status"]["leader"] == one["Status"]["header"]["member_id"]:
            return one
    raise Unreachable("etcd has no leader")


def _node(lab: Lab, endpoint: str) -> str:
    address = urlsplit(endpoint).hostname
    return next(name for name, node in lab.spec.nodes.items() if str(node.address) == address)
