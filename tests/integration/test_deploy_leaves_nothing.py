"""However a deployment ends, its processes end too: Ansible's workers, what they run, their daemons."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
import uuid
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any, Final

import pytest

from hactl.deploy.lifeline import supervised

ROOT: Final = Path(__file__).resolve().parents[2]
GONE_WITHIN: Final = 10.0  # seconds
MARK: Final = "HACTL_TEST_MARK"
HOSTS: Final = 2
# As SSH's control master: a session of its own, and a parent that has gone.
DAEMON: Final = "setsid -f sleep 301 </dev/null >/dev/null 2>&1"
STUBBORN: Final = "trap '' TERM; while :; do sleep 302; done"


@pytest.fixture
def mark() -> Iterator[str]:
    """A value that every process of the test has in its environment. Survivors are killed afterwards."""
    mark = uuid.uuid4().hex
    yield mark
    for process in marked(mark):
        with suppress(ProcessLookupError):
            os.kill(process, signal.SIGKILL)


def marked(mark: str) -> dict[int, str]:
    """The command lines of all processes alive with this mark."""
    found = {}
    for folder in Path("/proc").glob("[0-9]*"):
        with suppress(FileNotFoundError, ProcessLookupError, PermissionError):
            if f"{MARK}={mark}".encode() in (folder / "environ").read_bytes().split(b"\0"):
                found[int(folder.name)] = (folder / "cmdline").read_text().replace("\0", " ").strip()
    return found


def wait(what: Callable[[], bool], within: float, said: Callable[[], object]) -> None:
    end = time.monotonic() + within
    while not what():
        assert time.monotonic() < end, said()
        time.sleep(0.1)


def sleepers(mark: str) -> list[str]:
    return sorted(line for line in marked(mark).values() if line.startswith("sleep "))


@contextmanager
def deployment(folder: Path, mark: str, *tasks: dict[str, Any]) -> Iterator[subprocess.Popen[str]]:
    """`hactl deploy` of these tasks, as a process of its own; they run on this machine, once a host."""
    local = {"ansible_connection": "local", "ansible_become": False}
    play = {"hosts": "archive", "gather_facts": False, "vars": local, "tasks": tasks}
    (folder / "site.yml").write_text(json.dumps([play]))
    environment = {**os.environ, MARK: mark, "HACTL_STATE": str(folder / "state"), "TMPDIR": str(folder)}
    argv = [sys.executable, "-m", "tests.support.local_deploy", str(folder)]
    with (
        (folder / "said").open("w") as said,
        subprocess.Popen(argv, cwd=ROOT, env=environment, stdout=said, stderr=said, text=True) as hactl,
    ):
        yield hactl


def task(script: str) -> dict[str, Any]:
    return {"ansible.builtin.command": {"argv": ["sh", "-c", script]}}


@pytest.mark.parametrize(
    ("number", "code"), [(signal.SIGINT, 130), (signal.SIGTERM, 130), (signal.SIGKILL, -signal.SIGKILL)]
)
def test_nothing_survives_a_signal(tmp_path: Path, mark: str, number: signal.Signals, code: int) -> None:
    with deployment(tmp_path, mark, task(DAEMON), task(STUBBORN)) as hactl:
        all_of_them = ["sleep 301"] * HOSTS + ["sleep 302"] * HOSTS
        wait(lambda: sleepers(mark) == all_of_them, 120, (tmp_path / "said").read_text)
        assert any("ansible-playbook" in line for line in marked(mark).values())
        hactl.send_signal(number)
        wait(lambda: not marked(mark), GONE_WITHIN, lambda: marked(mark))
        assert hactl.wait(GONE_WITHIN) == code
    if number != signal.SIGKILL:
        assert (tmp_path / "said").read_text().endswith("hactl: interrupted\n")
        assert not list((tmp_path / "state" / "deploy").glob("run-*"))


def test_a_deployment_without_a_sign_of_life_is_ended(
    tmp_path: Path, mark: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HACTL_TEST_SILENT_AT_MOST", "6")
    with deployment(tmp_path, mark, task(STUBBORN)) as hactl:
        assert hactl.wait(120) == 5
        assert "no sign of life for 6 s" in (tmp_path / "said").read_text()
        wait(lambda: not marked(mark), GONE_WITHIN, lambda: marked(mark))


def test_nothing_survives_a_deployment_that_went_well(tmp_path: Path, mark: str) -> None:
    with deployment(tmp_path, mark, task(DAEMON)) as hactl:
        assert hactl.wait(120) == 0, (tmp_path / "said").read_text()
        assert marked(mark) == {}


def test_an_exception_of_ours_ends_what_was_started(tmp_path: Path, mark: str) -> None:
    def fail() -> None:
        with supervised(tmp_path) as words:
            argv = [*words, "sh", "-c", f"{DAEMON}; {STUBBORN}"]
            started.append(subprocess.Popen(argv, env={**os.environ, MARK: mark}, start_new_session=True))
            wait(lambda: len(sleepers(mark)) == 2, 30, lambda: marked(mark))
            raise RuntimeError("ours")

    started: list[subprocess.Popen[bytes]] = []
    with pytest.raises(RuntimeError, match="ours"):
        fail()
    assert marked(mark) == {}
    assert started[0].wait(1) == 128 + signal.SIGTERM


@pytest.mark.parametrize(
    ("program", "code", "said"),
    [
        (["sh", "-c", "echo a; exit 7"], 7, "a\n"),
        (["sh", "-c", "kill -9 $$"], 128 + signal.SIGKILL, ""),
        (["/no/such/program"], 127, "/no/such/program: No such file or directory\n"),
    ],
)
def test_a_programs_own_end_and_words_are_passed_on(
    tmp_path: Path, program: list[str], code: int, said: str
) -> None:
    with supervised(tmp_path) as words:
        done = subprocess.run(
            [*words, *program], stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, timeout=30,
            check=False, start_new_session=True,
        )  # fmt: skip
    assert (done.returncode, done.stdout) == (code, said)


def test_a_supervisor_that_finds_nobody_starts_nothing(tmp_path: Path) -> None:
    with supervised(tmp_path) as words:
        pass
    argv = [*words, "touch", str(tmp_path / "started")]
    done = subprocess.run(argv, capture_output=True, timeout=30, check=False)
    assert done.returncode != 0
    assert not (tmp_path / "started").exists()
