#!/usr/bin/python3
"""What deployment must know about a node before it changes anything, asked in one go."""

from __future__ import annotations

import grp
import os
import pwd
import sys
from pathlib import Path
from typing import Any

from ansible.module_utils.basic import AnsibleModule


def missing_packages(module: AnsibleModule, wanted: list[str]) -> list[str]:
    """Those of `wanted` that dpkg does not have installed. No mirror is asked."""
    if not wanted:
        return []
    _, out, _ = module.run_command(["dpkg-query", "-W", "-f", "${Package} ${db:Status-Status}\n", *wanted])
    installed = {line.split()[0] for line in out.splitlines() if line.endswith(" installed")}
    return [name for name in wanted if name not in installed]


def uid_of(user: str) -> int | None:
    try:
        return pwd.getpwnam(user).pw_uid
    except KeyError:
        return None


def groups_of(user: str) -> list[str]:
    """The groups that /etc/group puts an account into."""
    return [group.gr_name for group in grp.getgrall() if user in group.gr_mem]


def link(path: str) -> str:
    """Where a symbolic link points, "" when there is none."""
    return os.readlink(path) if os.path.islink(path) else ""


def read(path: str) -> str | None:
    """The first bytes of a small file, None when it cannot be read."""
    try:
        with open(path, "rb") as file:
            return file.read(64).decode(errors="replace").strip()
    except OSError:
        return None


def is_active(module: AnsibleModule, unit: str) -> bool:
    code, _, _ = module.run_command(["systemctl", "is-active", "--quiet", unit])
    return code == 0


def main() -> None:
    module = AnsibleModule(
        argument_spec={
            "packages": {"type": "list", "elements": "str", "required": True},
            "users": {"type": "list", "elements": "str", "default": []},
            "links": {"type": "list", "elements": "str", "default": []},
            "exists": {"type": "list", "elements": "str", "default": []},
            "marker": {"type": "str", "default": ""},
            "units": {"type": "list", "elements": "str", "default": []},
        },
        supports_check_mode=True,
    )
    given = module.params
    facts: dict[str, Any] = {
        "missing_packages": missing_packages(module, given["packages"]),
        "uids": {user: uid_of(user) for user in given["users"]},
        "groups": {user: groups_of(user) for user in given["users"]},
        "links": {path: link(path) for path in given["links"]},
        "exists": {path: Path(path).exists() for path in given["exists"]},
        "marker": read(given["marker"]) if given["marker"] else None,
        "active": {unit: is_active(module, unit) for unit in given["units"]},
        "python": f"{sys.version_info.major}.{sys.version_info.minor}",
        "machine": os.uname().machine,
    }
    module.exit_json(changed=False, **facts)


if __name__ == "__main__":
    main()
