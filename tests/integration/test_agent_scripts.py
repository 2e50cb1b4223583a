"""Rendered scripts of the agent, run as they are: keepalived's check, and root's acts."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from hactl import layout
from hactl.adapters.processes import Processes
from tests.support import rendered
from tests.support.servers import wait_until


@pytest.fixture
def check(tmp_path: Path) -> Path:
    text = rendered.content("db1", str(layout.LIB / "check-primary"))
    files = ((layout.LEASE_FILE, "lease"), (layout.OPEN_FILE, "open"), (layout.OPEN_RUN, "open-run"))
    for there, here in files:
        text = text.replace(str(there), str(tmp_path / here))
    file = tmp_path / "check"
    file.write_text(text)
    return file


def answer(check: Path) -> int:
    return subprocess.run(["/bin/sh", str(check)], capture_output=True, timeout=20, check=False).returncode


@pytest.mark.parametrize(
    ("lease", "code"),
    [
        pytest.param("{:.2f}\n", 0, id="the agent's word counts"),
        pytest.param("1.00\n", 1, id="it is too old"),
        pytest.param(None, 1, id="there is none"),
        pytest.param("", 1, id="nothing in the file"),
        pytest.param("nonsense\n", 1, id="not a number"),
    ],
)
def test_with_an_agent_the_check_looks_at_the_age_of_its_word(
    check: Path, tmp_path: Path, lease: str | None, code: int
) -> None:
    if lease is not None:
        text = lease.format(time.clock_gettime(time.CLOCK_BOOTTIME) + 3)
        (tmp_path / "lease").write_text(text)
    assert answer(check) == code


@pytest.mark.parametrize("flag", ["open", "open-run"])
def test_in_mode_open_the_check_asks_patroni(check: Path, tmp_path: Path, flag: str) -> None:
    (tmp_path / flag).write_text("")
    (tmp_path / "lease").write_text("99999999999.00\n")
    assert answer(check) == 1, "no Patroni answers here"


@pytest.fixture
def act(tmp_path: Path) -> dict[str, Any]:
    """The script's names, its control group replaced by a folder."""
    names: dict[str, Any] = {"__name__": "act"}
    exec(compile(rendered.content("db1", str(layout.ACT)), "act", "exec"), names)  # noqa: S102 - the subject
    names["CGROUP"] = str(tmp_path / "patroni.service")
    return names


@pytest.fixture
def group(tmp_path: Path) -> Iterator[list[subprocess.Popen[bytes]]]:
    """Two postgres, one of them stopped, and something else, in what looks like Patroni's control group."""
    (tmp_path / "patroni.service").mkdir()
    sleep = shutil.which("sleep")
    assert sleep
    started = []
    for name in ("postgres", "postgres", "patroni"):
        program = tmp_path / f"bin-{len(started)}" / name
        program.parent.mkdir()
        shutil.copy(sleep, program)
        started.append(subprocess.Popen([str(program), "60"]))
    os.kill(started[1].pid, signal.SIGSTOP)
    pids = "".join(f"{p.pid}\n" for p in started)
    (tmp_path / "patroni.service" / "cgroup.procs").write_text(pids)
    yield started
    for process in started:
        process.kill()
        process.wait(10)


def test_root_kills_every_postgres_also_a_frozen_one_and_nothing_else(
    act: dict[str, Any], group: list[subprocess.Popen[bytes]], tmp_path: Path
) -> None:
    found = Processes(tmp_path).of("patroni.service").processes
    assert sorted(p.name for p in found) == ["patroni", "postgres", "postgres"]
    wait_until(
        "one is stopped",
        lambda: "T" in [p.state for p in Processes(tmp_path).of("patroni.service").processes],
        5,
    )
    assert act["stop_postgres"]() == "2 processes of PostgreSQL killed"
    assert [p.poll() for p in group[:2]] == [-9, -9]
    assert group[2].poll() is None
    assert act["stop_postgres"]() == "0 processes of PostgreSQL killed"


@pytest.mark.parametrize(
    "words",
    [
        [],
        ["nonsense"],
        ["fence", "now"],
        ["restart"],
        ["restart", "ssh.service"],
        ["start", "../x"],
        ["stop"],
        ["stop", "ssh.service"],
    ],
    ids=" ".join,
)
def test_nothing_but_the_vocabulary(
    act: dict[str, Any], words: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    assert act["main"](words) == 2
    assert "not in the vocabulary" in capsys.readouterr().err


def test_what_cannot_be_done_is_said(act: dict[str, Any], capsys: pytest.CaptureFixture[str]) -> None:
    def fails(*_: object, **__: object) -> str:
        raise act["Failed"]("no systemd")

    act["systemctl"] = fails
    assert act["main"](["restart", "etcd.service"]) == 5
    assert "no systemd" in capsys.readouterr().err
    assert act["main"](["fence"]) == 5, "PostgreSQL is stopped, but Patroni may start it again"


def test_a_node_without_a_database_has_no_verbs_of_one() -> None:
    names: dict[str, Any] = {"__name__": "act"}
    exec(compile(rendered.content("arc1", str(layout.ACT)), "act", "exec"), names)  # noqa: S102 - the subject
    assert names["main"](["fence"]) == 2
