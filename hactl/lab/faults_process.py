"""Faults of single programs: killed, killed for good, or stopped where they are, by systemd's own cgroups.

A unit's processes are found by its cgroup inside the machine, never by a name.
"""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from typing import Final

from hactl import layout
from hactl.errors import Refused
from hactl.lab.lab import Lab
from hactl.lab.machine import Power

ALL: Final = "all"  # instead of a node's name, where a fault can be everywhere at once
# What a fault calls a program, and its unit.
PROGRAMS: Final = {
    "patroni": "patroni.service",
    "etcd": "etcd.service",
    "keepalived": "keepalived.service",
    "agent": "hactl-agent.service",
    "controller": "hactl-controller.service",
    "orthanc": "orthanc.service",
}
# PostgreSQL lives in Patroni's cgroup and must not share its fate.
_ONE_PROCESS: Final = frozenset({"patroni.service"})
_HACTL: Final = ("hactl-agent.service", "hactl-controller.service")
# An archive node has no controller, and a bare machine neither.
_STOP: Final = 'systemctl list-unit-files --no-legend "$@" | cut -d" " -f1 | xargs -r systemctl disable --now'
_START: Final = 'systemctl list-unit-files --no-legend "$@" | cut -d" " -f1 | xargs -r systemctl enable --now'
_DROPIN: Final = "zz-hactl-lab-fault.conf"  # after all others
_LOSE: Final = """
mkdir -p "/run/systemd/system/$1.d"
printf '[Service]\\nRestart=no\\n' >"/run/systemd/system/$1.d/$2"
systemctl daemon-reload
"""
# $1 the drop-in's name, then the units: let go on what was stopped, start what was not to come back.
_HEAL: Final = """
dropin=$1; shift
for unit in "$@"; do
    systemctl kill --kill-whom=all --signal=CONT "$unit" 2>/dev/null
    [ -e "/run/systemd/system/$unit.d/$dropin" ] || continue
    rm "/run/systemd/system/$unit.d/$dropin"
    systemctl daemon-reload
    systemctl start "$unit"
done
exit 0
"""
# $1 a folder of ours. What a name resolves to is a file that a machine's services share.
_LOSE_NAMES: Final = """
mkdir -p "$1"
touch /etc/resolv.conf
printf 'nameserver 192.0.2.1\\n' >"$1/resolv.conf"
printf '127.0.0.1 localhost\\n' >"$1/hosts"
for file in resolv.conf hosts; do mountpoint -q "/etc/$file" || mount --bind "$1/$file" "/etc/$file"; done
"""
_FIND_NAMES: Final = """
[ -d "$1" ] || exit 0
for file in resolv.conf hosts; do ! mountpoint -q "/etc/$file" || umount "/etc/$file"; done
rm -r "$1"
"""
_NAMES: Final = "/run/hactl-lab-names"
# $1 the client's address, $2 the database. What was caught in a transaction is let go, and tried again.
_FREEZE_POOL: Final = """
ask() {
    runuser -u postgres -- psql -XAtc "select pid from pg_stat_activity
        where client_addr = '$1' and datname = '$2' and $3 order by pid" 2>/dev/null
}
[ -n "$(ask "$1" "$2" true)" ] || exit 1
for try in $(seq 100); do
    stopped=$(ask "$1" "$2" "state = 'idle'")
    kill -STOP $stopped
    busy=$(ask "$1" "$2" "state <> 'idle'")
    [ -z "$busy" ] && [ "$stopped" = "$(ask "$1" "$2" true)" ] && exit 0
    kill -CONT $stopped $busy
    sleep 0.03
done
exit 1
"""


def kill(lab: Lab, node: str, unit: str) -> None:
    """SIGKILL; systemd starts it again. Raises Refused when it does not run."""
    _signal(lab, node, unit, "KILL")


def lose(lab: Lab, node: str, unit: str) -> None:
    """SIGKILL, and systemd leaves it at that until it is healed, or the machine boots."""
    _script(lab, node, _LOSE, unit, _DROPIN)
    _signal(lab, node, unit, "KILL")


def freeze(lab: Lab, node: str, unit: str) -> None:
    """SIGSTOP. Raises Refused when it does not run."""
    _signal(lab, node, unit, "STOP")


def thaw(lab: Lab, node: str, unit: str) -> None:
    """Let go on what is stopped, and start what was lost. A unit that ended in between stays ended."""
    _script(lab, node, _HEAL, _DROPIN, unit)


def freeze_postgres(lab: Lab, node: str) -> None:
    """SIGSTOP to the postmaster alone: sessions go on, new ones are accepted by the kernel and then hang.

    Raises Refused: no PostgreSQL runs there.
    """
    pid_file = layout.pg_data(lab.spec.database.version) / "postmaster.pid"
    found = lab.exec(node, ["head", "-n", "1", str(pid_file)], check=False).out.strip()
    if not found.isdigit() or lab.exec(node, ["kill", "-STOP", found], check=False).code != 0:
        raise Refused(f"no PostgreSQL runs on {node}")


def thaw_postgres(lab: Lab, node: str) -> None:
    thaw(lab, node, PROGRAMS["patroni"])


def freeze_pool(lab: Lab, node: str) -> None:
    """The database's side of all of an archive node's connections stops: they hang, new ones do not.

    Only while none of them is in a transaction, whose locks would hang the other nodes as well.
    Raises Refused: it is no archive node, or no database has connections of it that come to rest.
    """
    if node not in lab.spec.archives:
        raise Refused(f"{node} is no archive node")
    argv = ["sh", "-c", _FREEZE_POOL, "fault", str(lab.spec.nodes[node].address), lab.spec.database.name]
    databases = [name for name in _on(lab) if name in lab.spec.databases]
    if all(lab.exec(name, argv, within=30, check=False).code for name in databases):
        raise Refused(f"no database has connections of {node}, or they are never at rest")


def thaw_pool(lab: Lab, _node: str) -> None:
    for name in _on(lab):
        if name in lab.spec.databases:
            thaw(lab, name, PROGRAMS["patroni"])


def stop_hactl(lab: Lab, node: str) -> None:
    """Agent and controller stop, in order, and do not come back at a boot either."""
    _everywhere(lab, node, _STOP)


def start_hactl(lab: Lab, node: str) -> None:
    _everywhere(lab, node, _START)


def lose_names(lab: Lab, node: str) -> None:
    """No name server answers it, and its own file of names is empty."""
    _script(lab, node, _LOSE_NAMES, _NAMES)


def find_names(lab: Lab, node: str) -> None:
    _script(lab, node, _FIND_NAMES, _NAMES)


def heal(lab: Lab) -> None:
    """Undo all of them on every machine that runs."""
    _everywhere(lab, ALL, _FIND_NAMES, _NAMES)
    _everywhere(lab, ALL, _HEAL, _DROPIN, *PROGRAMS.values())
    _everywhere(lab, ALL, _START)


def _everywhere(lab: Lab, node: str, script: str, *arguments: str) -> None:
    nodes = _on(lab) if node == ALL else [node]
    with ThreadPoolExecutor(len(lab.nodes)) as pool:
        list(pool.map(lambda n: _script(lab, n, script, *(arguments or _HACTL)), nodes))


def _on(lab: Lab) -> list[str]:
    return [n for n in lab.nodes if lab.machine(n).power() is Power.ON]


def _script(lab: Lab, node: str, script: str, *arguments: str) -> None:
    lab.exec(node, ["sh", "-c", script, "fault", *arguments], within=60)


def _signal(lab: Lab, node: str, unit: str, signal: str) -> None:
    whom = "main" if unit in _ONE_PROCESS else "all"
    argv = ["systemctl", "kill", f"--kill-whom={whom}", f"--signal={signal}", unit]
    running = lab.exec(node, ["systemctl", "is-active", "--quiet", unit], check=False).code == 0
    if not running or lab.exec(node, argv, check=False).code != 0:
        raise Refused(f"{unit} does not run on {node}")
