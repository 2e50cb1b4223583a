"""A frozen process goes on though whoever froze it is gone: the node's own program, real signals, real time.

Of systemd only the timer is played: a process of its own session waits and calls the program again, as the
transient timer does. tests/acceptance/test_drill_production.py has the real one.
"""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from hactl.errors import StepFailed
from tests.contract.test_ssh_contract import USER, Node, serving
from tests.support.faults import source
from tests.support.leftovers import scratch
from tests.support.servers import wait_until

LASTS = 2  # s, instead of 30
# What `systemd-run --on-active=2s PROGRAM heal` does: returns at once, and nobody's end ends it.
TIMER = """#!/bin/sh
for word; do case "$word" in --on-active=*) after=${word#--on-active=};; esac; done
exec >/dev/null 2>&1 </dev/null
setsid sh -c 'sleep "$1"; exec "$2" "$3" heal' timer "${after%s}" %python% %program% &
"""


@pytest.fixture
def postmaster(tmp_path: Path) -> Iterator[subprocess.Popen[bytes]]:
    """Something called postgres, whose number stands where PostgreSQL writes it."""
    sleep = shutil.which("sleep")
    assert sleep
    program = tmp_path / "postgres"
    shutil.copy(sleep, program)
    process = subprocess.Popen([str(program), "60"])
    (tmp_path / "postmaster.pid").write_text(f"{process.pid}\n/data\n")
    yield process
    process.kill()
    process.wait(10)


@pytest.fixture
def fault(tmp_path: Path) -> list[str]:
    """How the program is called: rendered for db1, with its places here."""
    mine = Path("/proc/self/cgroup").read_text().splitlines()[0].rpartition("/")[2]
    program, timer, systemctl = (tmp_path / n for n in ("fault", "systemd-run", "systemctl"))
    text = source("db1").replace('"/patroni.service"', json.dumps(f"/{mine}")).replace(", 30)", f", {LASTS})")
    places = {
        "/run/hactl-drill": str(tmp_path / "drill"), "/usr/bin/systemd-run": str(timer),
        "/usr/bin/systemctl": str(systemctl),
        "/var/lib/postgresql/15/hactl/postmaster.pid": str(tmp_path / "postmaster.pid"),
    }  # fmt: skip
    for there, here in places.items():
        assert there in text
        text = text.replace(there, here)
    program.write_text(text)
    timer.write_text(TIMER.replace("%python%", sys.executable).replace("%program%", str(program)))
    systemctl.write_text("#!/bin/sh\n")
    for file in (timer, systemctl):
        file.chmod(0o755)
    return [sys.executable, str(program)]


@pytest.fixture
def node(fault: list[str]) -> Iterator[Node]:
    """A real sshd whose dispatcher calls the program, without sudo."""
    with scratch() as folder:
        for served in serving(folder):
            script = folder / "dispatch"
            calls = f'"{fault[0]}", "{fault[1]}", word]'
            text = script.read_text().replace('"/usr/bin/sudo", "-n", FAULT, word]', calls)
            assert calls in text
            script.write_text(text)
            yield served


def state(process: subprocess.Popen[bytes]) -> str:
    stat = Path(f"/proc/{process.pid}/stat").read_text()
    return stat[stat.rindex(")") + 2]


def test_whoever_froze_it_is_killed_and_it_goes_on(
    fault: list[str], postmaster: subprocess.Popen[bytes], tmp_path: Path
) -> None:
    # As over SSH: what asked is the leader of a session, and all of it dies with the connection.
    asking = subprocess.Popen(["/bin/sh", "-c", '"$@"; sleep 60', "ssh", *fault, "freeze-postgres"],
                              start_new_session=True)  # fmt: skip
    wait_until("it is frozen", lambda: state(postmaster) == "T", 10)
    began = time.monotonic()
    os.killpg(asking.pid, signal.SIGKILL)
    asking.wait(10)
    assert state(postmaster) == "T"
    wait_until("it goes on", lambda: state(postmaster) != "T", LASTS + 5)
    assert LASTS - 1 < time.monotonic() - began < LASTS + 3
    wait_until("nothing is under way", lambda: not (tmp_path / "drill.json").exists(), 5)


def test_it_goes_on_at_once_when_it_is_asked_to(
    fault: list[str], postmaster: subprocess.Popen[bytes]
) -> None:
    assert subprocess.run([*fault, "freeze-postgres"], timeout=20, check=False).returncode == 0
    assert state(postmaster) == "T"
    again = subprocess.run(
        [*fault, "crash-postgres"], capture_output=True, text=True, timeout=20, check=False
    )
    assert (again.returncode, "freeze-postgres" in again.stderr) == (3, True)
    assert subprocess.run([*fault, "heal"], timeout=20, check=False).returncode == 0
    assert state(postmaster) != "T"


def test_what_is_not_patroni_s_is_not_touched(
    fault: list[str], postmaster: subprocess.Popen[bytes], tmp_path: Path
) -> None:
    program = Path(fault[1])
    program.write_text(program.read_text().replace("MINE = ", "MINE = '/somebody-else.service' + "))
    done = subprocess.run([*fault, "crash-postgres"], capture_output=True, text=True, timeout=20, check=False)
    assert (done.returncode, "not Patroni's" in done.stderr) == (5, True)
    assert postmaster.poll() is None
    assert not (tmp_path / "drill.json").exists()


# What hactl does until it is killed: asks, and waits for the database.
ASKING = """
import sys, time
from pathlib import Path
from hactl.adapters.clock import SystemClock
from hactl.adapters.ssh import Dispatcher
folder, port, user = Path(sys.argv[1]), int(sys.argv[2]), sys.argv[3]
asked = Dispatcher("127.0.0.1", port=port, user=user, key=folder / "operator",
                   known_hosts=folder / "known_hosts", clock=SystemClock())
with asked.talk() as talk:
    talk.ask("fault freeze-postgres", 20)
    time.sleep(60)
"""


def test_over_ssh_the_operator_and_the_connection_may_be_gone(
    node: Node, postmaster: subprocess.Popen[bytes]
) -> None:
    told = json.loads(node.dispatcher().ask("fault state", within=20))
    assert told == {"closed": "", "fault": None}
    argv = [sys.executable, "-c", ASKING, str(node.folder), str(node.port), USER]
    with subprocess.Popen(argv) as asking:
        wait_until("it is frozen", lambda: state(postmaster) == "T", 10)
        asking.kill()
    with pytest.raises(StepFailed, match="another fault is under way here: freeze-postgres"):
        node.dispatcher().ask("fault crash-postgres", within=20)
    wait_until("it goes on", lambda: state(postmaster) != "T", LASTS + 5)
    asks = node.dispatcher().ask
    wait_until("it is over", lambda: json.loads(asks("fault state", within=20))["fault"] is None, 10)
