"""The program that Patroni runs before it stops PostgreSQL, against a process that takes its time to end."""

from __future__ import annotations

import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from hactl.render.engine import header, text
from hactl.render.postgres import PROGRAMS, SWITCHOVER_WAIT

TAKES = 0.2  # seconds from the signal to the end
_POSTMASTER = f"""
import signal, sys, time
def end(*_):
    time.sleep({TAKES})
    sys.exit(7)
signal.signal(signal.SIGINT, end)
print("up", flush=True)
time.sleep(30)
"""


@dataclass
class Node:
    folder: Path
    postmaster: subprocess.Popen[str]

    def note(self, seconds: float) -> None:
        up = float(Path("/proc/uptime").read_text().split()[0])
        (self.folder / "handover").write_text(f"{up + seconds:.2f}\n")

    def stop(self) -> float:
        """How long the program took; it always ends well."""
        begin = time.monotonic()
        subprocess.run([self.folder / "before-stop"], check=True, timeout=10)
        return time.monotonic() - begin

    def ended(self) -> bool:
        return self.postmaster.poll() is not None


@pytest.fixture
def node(tmp_path: Path) -> Iterator[Node]:
    values = {"header": header("db1", "demo"), "pg_data": tmp_path, "handover": tmp_path / "handover"}
    program = tmp_path / "before-stop"
    program.write_text(text("postgres/before-stop.j2", **values, **PROGRAMS["before-stop"]))
    program.chmod(0o755)
    postmaster = subprocess.Popen([sys.executable, "-c", _POSTMASTER], stdout=subprocess.PIPE, text=True)
    assert postmaster.stdout is not None
    postmaster.stdout.readline()
    (tmp_path / "postmaster.pid").write_text(f"{postmaster.pid}\n{tmp_path}\n")
    reaper = threading.Thread(target=postmaster.wait)  # init's part: it would stay a zombie
    reaper.start()
    yield Node(tmp_path, postmaster)
    postmaster.kill()
    reaper.join()
    postmaster.stdout.close()


def test_without_a_note_nothing_is_stopped(node: Node) -> None:
    node.stop()
    assert not node.ended()


@pytest.mark.parametrize("content", ["", "soon\n", "1.00\n", "-5.00\n", "9999999999\n9"])
def test_a_note_that_says_nothing_or_is_over_stops_nothing(node: Node, content: str) -> None:
    (node.folder / "handover").write_text(content)
    node.stop()
    assert not node.ended()


def test_a_switchover_s_note_stops_it_and_waits_no_longer_than_that_takes(node: Node) -> None:
    node.note(2)
    took = node.stop()
    assert node.ended()
    assert TAKES <= took < TAKES + 1.0


def test_what_does_not_end_is_left_to_patroni_after_two_seconds(node: Node) -> None:
    node.note(2)
    node.postmaster.send_signal(signal.SIGSTOP)
    took = node.stop()
    node.postmaster.send_signal(signal.SIGCONT)
    assert not node.postmaster.poll()
    assert SWITCHOVER_WAIT <= took < 3 * SWITCHOVER_WAIT


@pytest.mark.parametrize("content", ["", "0x1\n", "-1\n"])
def test_a_pid_file_that_is_none_signals_nobody(node: Node, content: str) -> None:
    node.note(2)
    (node.folder / "postmaster.pid").write_text(content)
    node.stop()
    assert not node.ended()
