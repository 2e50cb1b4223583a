"""What lets people call `hactl gate` and nothing else: authorized_keys, a wrapper, a sudo rule. Pure."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Final

from hactl.errors import Refused
from hactl.spec.model import ClusterSpec

# What needs no quoting, neither for a shell nor in authorized_keys or sudoers.
PLAIN: Final = re.compile(r"[A-Za-z0-9_./=:-]+")


@dataclass(frozen=True)
class Call:
    """How hactl is called on the operator's host: `program` as words; `state`: "" for the usual folder."""

    program: tuple[str, ...]
    spec: str
    state: str = ""

    def words(self, *how: str) -> str:
        """Raises Refused: a path needs quoting."""
        state = ("--state", self.state) if self.state else ()
        found = (*self.program, "--spec", self.spec, "gate", *state, *how)
        for word in found:
            if not PLAIN.fullmatch(word):
                raise Refused(f"a path with other signs than letters, digits and _ . / = : - : {word!r}")
        return " ".join(found)


def authorized_keys(spec: ClusterSpec, call: Call) -> list[str]:
    """One line for each key: no forwarding, no files, no shell; a terminal, for `status --watch`."""
    return [
        f'restrict,pty,command="{call.words("--as", name)}" {" ".join(key.split(" ")[:2])} {name}'
        for name, person in spec.access.people.items()
        for key in person.keys
    ]


def wrapper(call: Call) -> str:
    """What sudo may run: it takes any words, and they cannot become options of the gate itself."""
    return f'#!/bin/sh\n# Written by hactl access sudo.\nexec {call.words("--as-os-user", "--")} "$@"\n'


def sudoers(spec: ClusterSpec, path: str, account: str) -> str:
    """`path`: the wrapper's; `account`: who owns the state folder."""
    people = [(name, user) for name, person in spec.access.people.items() for user in person.os_users]
    rules = [f"{user} ALL=({account}) NOPASSWD: {path}  # {name}" for name, user in people]
    head = ["# Written by hactl access sudo.", f"Defaults!{path} env_reset, !setenv"]
    return "\n".join([*head, *rules]) + "\n"


def between(text: str, cluster: str, lines: list[str]) -> str:
    """`text` with our lines between our marks; all others stay as they are."""
    begin, end = f"# hactl {cluster}: begin", f"# hactl {cluster}: end"
    kept: list[str] = []
    inside = False
    for line in text.splitlines():
        inside = inside or line == begin
        if not inside:
            kept.append(line)
        inside = inside and line != end
    block = [begin, *lines, end] if lines else []
    return "".join(f"{line}\n" for line in (*kept, *block))
