"""Has `hactl deploy` take an archive node out of the archive VIP, or let it in again; runs beside Ansible.

hactl_archive: {act: out}     before something is restarted there; ends when it is drained
hactl_archive: {act: in}      afterwards; ends when it may hold the address again
"""

from __future__ import annotations

import json
import socket
from typing import Any

from ansible.plugins.action import ActionBase

WITHIN = 300  # seconds: the drain's own deadlines are shorter


class ActionModule(ActionBase):
    _VALID_ARGS = frozenset({"act"})

    def run(self, tmp: Any = None, task_vars: dict[str, Any] | None = None) -> dict[str, Any]:
        result: dict[str, Any] = super().run(tmp, task_vars)
        variables = task_vars or {}
        if self._task.check_mode:
            return {**result, "changed": False}
        asked = {"act": self._task.args["act"], "node": variables["inventory_hostname"]}
        try:
            found = ask(variables["hactl_hand"], asked)
        except (OSError, ValueError) as error:
            return {**result, "failed": True, "msg": f"hactl deploy does not answer: {error}"}
        if not found["ok"]:
            return {**result, "failed": True, "msg": found["said"]}
        return {
            **result,
            "changed": found["changed"],
            "action": "drained" if asked["act"] == "out" else "let in",
        }


def ask(place: str, asked: dict[str, Any]) -> dict[str, Any]:
    with socket.socket(socket.AF_UNIX) as connection:
        connection.settimeout(WITHIN)
        connection.connect(place)
        connection.sendall(json.dumps(asked).encode() + b"\n")
        with connection.makefile("rb") as reader:
            return json.loads(reader.readline())
