"""The wall clock of hactl's programs and Patroni on a node, turned. PostgreSQL keeps the machine's.

All machines have this kernel's one clock, and Linux has no namespace for it. So the programs, all Python,
get a `time.time` of their own, by a module that Python loads before all. etcd and keepalived count by a
clock that does not jump.
"""

from __future__ import annotations

from typing import Final

from hactl.errors import UsageError
from hactl.lab.lab import Lab
from hactl.lab.machine import Power

FOLDER: Final = "/run/hactl-lab-clock"
USUAL: Final = "-300"  # seconds
READY: Final = 60.0  # seconds until the programs, started anew, work again
UNITS: Final = ("hactl-controller.service", "hactl-agent.service", "patroni.service")
MODULE: Final = """\
import os, time
SECONDS = os.path.join(os.path.dirname(os.path.abspath(__file__)), "seconds")
wall, wall_ns = time.time, time.time_ns
def turned():
    try:
        with open(SECONDS) as file:
            return int(file.read())
    except FileNotFoundError:
        if not os.path.isdir(os.path.dirname(SECONDS)):
            time.time, time.time_ns = wall, wall_ns
        return 0
time.time = lambda: wall() + turned()
time.time_ns = lambda: wall_ns() + turned() * 10**9
"""
_DROPIN: Final = "zz-hactl-lab-clock.conf"
# Whoever reads it finds a whole one. $1 seconds.
_TURN: Final = f'cd {FOLDER} && printf "%s\\n" "$1" >new && mv new seconds'
# $1 the drop-in's name, then the units; the module is the input. Patroni is killed: PostgreSQL lives on.
_OWN: Final = f"""
name=$1; shift
mkdir -p -m 0755 {FOLDER}
cat >{FOLDER}/sitecustomize.py
for unit in "$@"; do
    systemctl is-active --quiet "$unit" || continue
    mkdir -p "/run/systemd/system/$unit.d"
    printf '[Service]\\nEnvironment=PYTHONPATH={FOLDER}\\n' >"/run/systemd/system/$unit.d/$name"
    systemctl daemon-reload
    if [ "$unit" = patroni.service ]; then
        old=$(systemctl show -P MainPID "$unit")
        systemctl kill --kill-whom=main --signal=KILL "$unit"
        until new=$(systemctl show -P MainPID "$unit") && [ "$new" != 0 ] && [ "$new" != "$old" ] &&
            ss -Hltn 'sport = :8008' | grep -q .
        do sleep 0.2; done
    else
        systemctl restart "$unit"
    fi
done
sleep 2
touch {FOLDER}/done
"""
_FORGET: Final = f"""
name=$1; shift
for unit in "$@"; do rm -f "/run/systemd/system/$unit.d/$name"; done
systemctl daemon-reload
rm -rf {FOLDER}
"""


def own(lab: Lab, node: str) -> None:
    """The programs are started anew, one by one, with a clock of their own, which is right yet."""
    if not _own(lab, node):
        lab.exec(node, ["sh", "-c", _OWN, "fault", _DROPIN, *UNITS], within=READY, stdin=MODULE)


def turn(lab: Lab, node: str, seconds: str) -> None:
    """Their clock is `seconds` from the machine's. Raises UsageError: no number."""
    if not seconds.removeprefix("-").removeprefix("+").isdigit():
        raise UsageError(f"turn-clock needs seconds, such as {USUAL} or +300, not {seconds!r}")
    own(lab, node)
    lab.exec(node, ["sh", "-c", _TURN, "fault", str(int(seconds))])


def right(lab: Lab, node: str, _seconds: str = "") -> None:
    """They have the machine's time again. They are not started anew for it."""
    if _own(lab, node):
        lab.exec(node, ["sh", "-c", _TURN, "fault", "0"])


def forget(lab: Lab, node: str) -> None:
    """The machine's time, and at the next start nothing of this is left."""
    lab.exec(node, ["sh", "-c", _FORGET, "fault", _DROPIN, *UNITS])


def heal(lab: Lab) -> None:
    for node in lab.nodes:
        if lab.machine(node).power() is Power.ON and _own(lab, node):
            forget(lab, node)


def _own(lab: Lab, node: str) -> bool:
    return lab.exec(node, ["test", "-e", f"{FOLDER}/done"], check=False).code == 0
