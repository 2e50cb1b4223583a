"""What level each command needs from whoever comes through `hactl gate`. A test walks the whole tree.

A command or an option that is missing here is refused: nothing new is allowed by being forgotten.
"""

from __future__ import annotations

import enum
from typing import Final


class Level(enum.IntEnum):
    """A person's role, or what a command needs. HOST: only who owns the state folder, nobody by the gate."""

    VIEW = 1
    OPERATE = 2
    DANGEROUS = 3
    HOST = 4

    @property
    def word(self) -> str:
        return self.name.lower()


_VIEW: Final = (
    "archive check", "archive list", "archive manifest status", "archive reconcile report",
    "archive scrub report", "archive scrub status", "completion", "config drift", "config history",
    "config show", "doctor", "drill list", "dsn", "etcd show", "failover", "history", "incident list",
    "incident show", "journal tail", "journal verify", "man", "node list", "node ok-to-stop", "node show",
    "pki show", "plan", "spec check", "spec schema", "status", "version", "vip list", "access list",
    "approve",
)  # fmt: skip
_OPERATE: Final = (
    "archive drain", "archive lint", "archive probe", "archive reconcile start", "archive restart",
    "archive scrub start", "archive scrub stop", "archive undrain", "config diff", "etcd mend", "mute",
    "node logs", "node maintenance", "node rejoin", "node restart", "node start", "node stop", "pause",
    "resume", "switchover", "tls check", "unmute",
)  # fmt: skip
# `spec show` prints webhooks' tokens; `unfence` ends what somebody dangerous had a reason for.
_DANGEROUS: Final = (
    "config edit", "deploy", "drill run", "node fence", "node reinit", "node unfence", "pki renew",
    "spec show",
)  # fmt: skip
# Programs of services, programs that only run on a node, whatever writes or reads files on the host, what
# would change who may do what (an older spec has other people), and a root shell on lab machines.
_HOST: Final = (
    "access install", "access keys", "access sudo", "agent run", "archive manifest follow",
    "archive manifest verify", "archive reconcile run", "archive scrub run", "archive signatures export",
    "archive signatures follow", "archive signatures status", "archive signatures verify", "config render",
    "config rollback", "controller run", "demo", "drill judge", "drill report", "gate", "lab down",
    "lab exec", "lab fault", "lab heal", "lab shell", "lab status", "lab up", "pki init", "pki modality",
    "pki trust", "spec init",
)  # fmt: skip

LEVELS: Final[dict[str, Level]] = {
    **dict.fromkeys(_VIEW, Level.VIEW),
    **dict.fromkeys(_OPERATE, Level.OPERATE),
    **dict.fromkeys(_DANGEROUS, Level.DANGEROUS),
    **dict.fromkeys(_HOST, Level.HOST),
}
# (command, option) that needs more than its command.
RAISED: Final[dict[tuple[str, str], Level]] = {
    ("failover", "to"): Level.DANGEROUS,
    ("failover", "force"): Level.DANGEROUS,
    ("approve", "id_"): Level.DANGEROUS,
    ("switchover", "ends"): Level.DANGEROUS,
}
# Of any command.
RAISED_ANYWHERE: Final[dict[str, Level]] = {"force": Level.DANGEROUS}
# Options and arguments that read or write a file of the host, by command.
FILES: Final[frozenset[tuple[str, str]]] = frozenset({
    ("archive lint", "openssl_conf"), ("history", "file"), ("incident list", "file"),
    ("incident show", "file"), ("journal tail", "file"), ("journal verify", "file"), ("man", "into"),
    ("spec check", "file"),
})  # fmt: skip
# Arguments that may name a file as well as a node: only nodes of the spec are let through.
NODES_ONLY: Final[frozenset[tuple[str, str]]] = frozenset({("archive lint", "targets")})
# One of these must be given: without them the command starts an editor, which can start anything.
NEEDED: Final[dict[str, tuple[str, ...]]] = {"config edit": ("pairs", "gone")}
