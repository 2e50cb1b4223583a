"""Faults of PostgreSQL and its data: it cannot start, hangs as a whole, is damaged, cannot be rewound."""

from __future__ import annotations

import time
from typing import Final

from hactl import layout
from hactl.errors import Refused, StepFailed
from hactl.lab import faults_process
from hactl.lab.lab import Lab
from hactl.lab.machine import Power

AHEAD: Final = 4.0  # seconds in which the primary alone takes commits that the stale standby never gets

# $1 the data folder. Killed, and Patroni's own looks and starts fail on what it may not read.
_BAR: Final = """
pid=$(head -n 1 "$1/postmaster.pid") || exit 3
chmod 000 "$1/global"
kill -KILL "$pid"
"""
_UNBAR: Final = (
    'for folder in "$1/global" "$1".kept*/global; do [ ! -d "$folder" ] || chmod 700 "$folder"; done'
)
_HANG: Final = """
pid=$(head -n 1 "$1/postmaster.pid") || exit 3
kill -STOP "$pid"
pkill -STOP -P "$pid"
exit 0
"""
# Patroni stands still meanwhile, or it would start PostgreSQL before the damage is done. $2 what is done.
_DAMAGE: Final = """
pid=$(head -n 1 "$1/postmaster.pid") || exit 3
patroni=$(systemctl show --property=MainPID --value patroni.service)
kill -STOP "$patroni"
kill -KILL "$pid"
for try in $(seq 100); do pgrep -P "$pid" >/dev/null || break; sleep 0.05; done
newest=$(ls -t "$1/pg_wal" | grep -E '^[0-9A-F]{24}$' | head -n 1)
case $2 in
wal) dd if=/dev/urandom of="$1/pg_wal/$newest" bs=64k count=16 conv=notrunc status=none ;;
control) : >"$1/global/pg_control" ;;
esac
kill -CONT "$patroni"
"""
# $1 pg_rewind. It runs as postgres, which may not change it: the marker says that it was killed once. Patroni
# asks it for help first; killed is the one that works, when it has begun to change the data folder.
_BREAK_REWIND: Final = """
[ ! -e "$1.hactl-lab" ] || exit 0
rm -rf /var/lib/postgresql/hactl-lab-rewind
mv "$1" "$1.hactl-lab"
cat >"$1" <<'END'
#!/bin/sh
case "$*" in *--source-server*) ;; *) exec "$0.hactl-lab" "$@" ;; esac
mkdir /var/lib/postgresql/hactl-lab-rewind 2>/dev/null || exec "$0.hactl-lab" "$@"
said=/var/lib/postgresql/hactl-lab-rewind/said
"$0.hactl-lab" "$@" 2>"$said" &
pid=$!
while kill -0 "$pid" 2>/dev/null && ! grep -q "need to copy" "$said"; do sleep 0.01; done
kill -KILL "$pid"
wait "$pid"
code=$?
cat "$said" >&2
exit "$code"
END
chmod 755 "$1"
sync "$1" "$1.hactl-lab"
"""
_MEND_REWIND: Final = (
    '[ ! -e "$1.hactl-lab" ] || mv "$1.hactl-lab" "$1"; rm -rf /var/lib/postgresql/hactl-lab-rewind'
)


def bar(lab: Lab, node: str) -> None:
    """PostgreSQL is killed and cannot start. Raises Refused: none runs there."""
    _on_data(lab, node, _BAR)


def unbar(lab: Lab, node: str) -> None:
    _run(lab, node, _UNBAR, _data(lab))


def hang(lab: Lab, node: str) -> None:
    """SIGSTOP to the postmaster and all its children. Raises Refused: none runs there."""
    _on_data(lab, node, _HANG)


def damage_wal(lab: Lab, node: str) -> None:
    """PostgreSQL is killed, and the newest WAL segment is rubbish when it starts. Raises Refused."""
    _standby(lab, node)
    _on_data(lab, node, _DAMAGE, "wal")


def damage_control(lab: Lab, node: str) -> None:
    """PostgreSQL is killed, and its control file is empty: a copy of no use any more. Raises Refused."""
    _standby(lab, node)
    _on_data(lab, node, _DAMAGE, "control")


def break_rewind(lab: Lab, node: str) -> None:
    """The next pg_rewind there is killed when it has just begun; those after it are not."""
    _run(lab, node, _BREAK_REWIND, _rewind(lab))


def make_stale(lab: Lab, node: str) -> None:
    """The standby is off while the primary goes on; then the primary is off and the standby is back, alone.

    Raises Refused: it is no database node, or there is no other.
    """
    other = _other(lab, node)
    lab.power_off(node)
    time.sleep(AHEAD)
    lab.power_off(other)
    lab.power_on(node)


def end_stale(lab: Lab, node: str) -> None:
    for name in (node, _other(lab, node)):
        if lab.machine(name).power() is Power.OFF:
            lab.power_on(name)


def heal(lab: Lab) -> None:
    """On every database machine that runs."""
    for node in lab.spec.databases:
        if lab.machine(node).power() is Power.ON:
            unbar(lab, node)
            _run(lab, node, _MEND_REWIND, _rewind(lab))


def thaw(lab: Lab, node: str) -> None:
    faults_process.thaw_postgres(lab, node)


def _data(lab: Lab) -> str:
    return str(layout.pg_data(lab.spec.database.version))


def _rewind(lab: Lab) -> str:
    return str(layout.pg_bin(lab.spec.database.version) / "pg_rewind")


def _other(lab: Lab, node: str) -> str:
    others = [n for n in lab.spec.databases if n != node]
    if node not in lab.spec.databases or not others:
        raise Refused(f"{node} is not one of a pair")
    return others[0]


def _standby(lab: Lab, node: str) -> None:
    """The only good copy is never damaged. Raises Refused: it is no standby."""
    ask = ["runuser", "-u", "postgres", "--", "psql", "-XAtc", "select pg_is_in_recovery()"]
    if lab.exec(node, ask, within=10, check=False).out.strip() != "t":
        raise Refused(f"{node} is no standby: its data may be the only copy")


def _on_data(lab: Lab, node: str, script: str, *words: str) -> None:
    try:
        _run(lab, node, script, _data(lab), *words)
    except StepFailed as error:
        raise Refused(f"no PostgreSQL runs on {node}") from error


def _run(lab: Lab, node: str, script: str, *words: str) -> None:
    lab.exec(node, ["sh", "-c", script, "fault", *words], within=30)
