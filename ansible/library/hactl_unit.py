#!/usr/bin/python3
"""Bring a systemd unit to run, enabled, with the files that lie on the disk now.

What the unit needs is not decided by what this deployment wrote, but by a record of what the unit was last
started with. So a deployment that was interrupted in between is mended by the next.
"""

from __future__ import annotations

import hashlib
import json
import os
import time
from pathlib import Path
from typing import Any, Literal

from ansible.module_utils.basic import AnsibleModule

RECORDS = Path("/var/lib/hactl-deploy/applied")
POLL = 0.3  # seconds between two questions whether it is ready
Action = Literal["none", "enable", "start", "reload", "restart"]


def fingerprint(path: str) -> str:
    """SHA-256 of a file, or where a symbolic link points (a virtual environment is switched by its link)."""
    if os.path.islink(path):
        return "link:" + os.readlink(path)
    try:
        return hashlib.sha256(Path(path).read_bytes()).hexdigest()
    except (FileNotFoundError, NotADirectoryError):
        return "absent"


def load(record: Path) -> dict[str, str] | None:
    """What the unit was last started with; None when hactl never did, or the record is damaged."""
    try:
        found = json.loads(record.read_text())
    except (FileNotFoundError, ValueError):
        return None
    return found if isinstance(found, dict) else None


def save(record: Path, now: dict[str, str]) -> None:
    record.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    scratch = record.with_suffix(".new")
    scratch.write_text(json.dumps(now, indent=1, sort_keys=True))
    scratch.replace(record)


def decide(
    watch: dict[str, str], now: dict[str, str], before: dict[str, str] | None, *, active: bool, enabled: bool
) -> Action:
    """What the unit needs. `watch`: path -> restart, reload or none. Pure.

    "start" also stands for a unit that runs, but never ran what hactl wants: in a new cluster all such units
    may be (re)started together, because nobody depends on them yet.
    """
    if not active:
        return "start"
    if before is None:
        # A unit of the system's (sshd) that only has to read a file of ours anew is never restarted.
        return "start" if "restart" in watch.values() else "reload"
    needs = {watch[path] for path in watch if before.get(path) != now[path]}
    if "restart" in needs:
        return "restart"
    if "reload" in needs:
        return "reload"
    return "none" if enabled else "enable"


class Unit:
    """One unit, through systemctl."""

    def __init__(self, module: AnsibleModule, name: str) -> None:
        self.module, self.name = module, name

    def control(self, *words: str) -> None:
        code, out, err = self.module.run_command(["systemctl", *words])
        if code != 0:
            self.module.fail_json(
                msg=f"systemctl {' '.join(words)}: {(err or out).strip()}\n{self.journal()}"
            )

    def state(self) -> dict[str, str]:
        _, out, _ = self.module.run_command(
            ["systemctl", "show", self.name, "--property=ActiveState,UnitFileState,NeedDaemonReload,MainPID"]
        )
        return dict(line.split("=", 1) for line in out.splitlines() if "=" in line)

    def journal(self) -> str:
        _, out, _ = self.module.run_command(
            ["journalctl", "-u", self.name, "-n", "15", "--no-pager", "-o", "cat"]
        )
        return out.strip()

    def apply(self, action: Action) -> None:
        self.control("daemon-reload")
        if action == "reload":
            self.control("reload", self.name)
            return
        self.control("enable", "--quiet", self.name)
        if action == "enable":
            return
        # A unit that systemd gave up on refuses to start until that is forgotten.
        self.module.run_command(["systemctl", "reset-failed", self.name])
        self.control("restart", self.name)

    def wait(self, ready: list[str], within: float) -> None:
        """Fails the module unless `ready` ends with 0 and the unit is active before the time is up."""
        end, said = time.monotonic() + within, ""
        while time.monotonic() < end:
            state = self.state().get("ActiveState", "")
            code, out, err = self.module.run_command(ready) if ready else (0, "", "")
            if code == 0 and state == "active":
                return
            said = f"{self.name} is {state}; {' '.join(ready[:2])}: {(err or out).strip()[-300:]}"
            time.sleep(POLL)
        self.module.fail_json(msg=f"{self.name} does not serve within {within:g} s: {said}\n{self.journal()}")


def main() -> None:
    module = AnsibleModule(
        argument_spec={
            "name": {"type": "str", "required": True},
            "watch": {"type": "dict", "required": True},
            "ready": {"type": "list", "elements": "str", "default": []},
            "within": {"type": "float", "default": 30},
            "records": {"type": "path", "default": str(RECORDS)},
        },
        supports_check_mode=True,
    )
    name, watch = module.params["name"], module.params["watch"]
    record = Path(module.params["records"]) / f"{name}.json"
    unit = Unit(module, name)
    now = {path: fingerprint(path) for path in sorted(watch)}
    state = unit.state()
    active, enabled = state.get("ActiveState") == "active", state.get("UnitFileState") == "enabled"
    before = load(record)
    action = decide(watch, now, before, active=active, enabled=enabled)
    reasons = sorted(p for p in watch if (before or {}).get(p) != now[p] and watch[p] != "none")
    result: dict[str, Any] = {
        "changed": action != "none",
        "action": action,
        "unit": name,
        "reasons": reasons,
        "active": active,
    }
    if module.check_mode or action == "none":
        if not module.check_mode and before != now:
            save(record, now)
        module.exit_json(**result)
    unit.apply(action)
    unit.wait(module.params["ready"], module.params["within"])
    save(record, now)
    module.exit_json(**result)


if __name__ == "__main__":
    main()
