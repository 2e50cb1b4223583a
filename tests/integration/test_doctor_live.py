"""`hactl doctor` as typed, against sshd and dispatcher of five nodes on which nothing else runs."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from tests.support.leftovers import scratch

pytestmark = pytest.mark.lab  # a network namespace, as root

ROOT = Path(__file__).resolve().parents[2]
NODES = {"db1", "db2", "wit1", "arc1", "arc2"}
QUICK = 25.0  # s; five nodes, their programs and the doctor share this machine's cores, and a whole test run


def doctor(*words: str) -> dict[str, Any]:
    if os.geteuid() != 0:
        raise AssertionError("network namespaces need root: run this test with sudo")
    with scratch() as folder:
        argv = [
            "/usr/bin/unshare",
            "--net",
            sys.executable,
            "-m",
            "tests.support.doctor_nodes",
            str(folder),
            *words,
        ]
        done = subprocess.run(argv, capture_output=True, text=True, timeout=180, check=False, cwd=ROOT)
    assert done.returncode == 0, done.stderr
    found: dict[str, Any] = json.loads(done.stdout.splitlines()[-1])
    assert found["said"] is not None, found["err"]
    return found


def subjects(found: dict[str, Any], code: str) -> set[str]:
    return {f["subject"] for f in found["said"]["findings"] if f["code"] == code}


def test_every_node_tells_all_that_it_is_asked() -> None:
    found = doctor()
    assert found["code"] == 7
    assert found["took"] < QUICK
    # Logged in, asked, understood: nothing that the render brings is there but the dispatcher.
    assert subjects(found, "FACTS_UNKNOWN") == set()
    assert subjects(found, "FILES_DIFFER") == NODES
    assert subjects(found, "WATCHDOG_NONE") <= {"db1", "db2"}
    # All have one clock, however slow the answer was.
    assert subjects(found, "CLOCK_SKEW") == set()
    # Everything is refused, for nothing runs; which has findings of its own, and is not said for each port.
    assert subjects(found, "ETCD_MEMBER_DOWN") == {"db1", "db2", "wit1"}
    assert subjects(found, "PORT_UNREACHABLE") == set()


def test_a_node_that_is_off_delays_nobody_and_an_older_one_is_told() -> None:
    found = doctor("--off", "db2", "--old", "arc1")
    assert found["took"] < QUICK
    assert subjects(found, "NODE_UNREACHABLE") == {"db2"}
    assert subjects(found, "FACTS_UNKNOWN") == {"arc1"}
    said = next(f for f in found["said"]["findings"] if f["code"] == "FACTS_UNKNOWN")
    assert said["detail"].startswith("its preflight: ")
    assert said["fix"] == "hactl deploy --limit arc1"
    assert "db2" not in subjects(found, "PORT_UNREACHABLE")
