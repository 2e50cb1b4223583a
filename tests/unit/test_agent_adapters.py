"""The small adapters of the agent, on files and sockets in the test's folder."""

from __future__ import annotations

import errno
import socket
from pathlib import Path

import pytest

from hactl.adapters import kernel
from hactl.adapters.agent_notes import AgentNotes
from hactl.adapters.canary import FsyncCanary
from hactl.adapters.command import Result, run
from hactl.adapters.kernel import LeaseTable
from hactl.adapters.ledger_files import newest_ledger
from hactl.adapters.postgres_local import LocalPostgres
from hactl.adapters.processes import Process, Processes, UnitProcesses
from hactl.adapters.systemd_notify import SystemdNotify
from hactl.errors import LockHeld, StepFailed, Unreachable


@pytest.fixture
def notes(tmp_path: Path) -> AgentNotes:
    for name in ("run", "state"):
        (tmp_path / name).mkdir()
    return AgentNotes(tmp_path / "run", tmp_path / "state")


def test_the_track_file_is_always_a_whole_one(notes: AgentNotes, tmp_path: Path) -> None:
    file = tmp_path / "run" / "track"
    assert notes.tracked(), "keepalived takes a missing file for a 0"
    notes.track(may_hold=False)
    assert file.read_text() == "-254\n"
    assert not notes.tracked()
    old = file.open()
    notes.track(may_hold=True)
    assert file.read_text() == "0\n"
    assert old.read() == "-254\n", "another file took its place"
    old.close()
    assert file.stat().st_mode & 0o777 == 0o644


def test_a_full_disk_takes_what_the_file_has_room_for(
    notes: AgentNotes, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(*_: object, **__: object) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    file = tmp_path / "run" / "track"
    notes.track(may_hold=True)
    inode = file.stat().st_ino
    monkeypatch.setattr(Path, "write_text", full)
    notes.track(may_hold=False)
    assert (file.read_text(), file.stat().st_ino) == ("-254\n", inode)
    notes.track(may_hold=True)
    assert file.read_text() == "0\n"
    notes.ready()
    assert (tmp_path / "run" / "ready").exists()
    with pytest.raises(StepFailed, match="No space left"):
        notes.word(1.0)


def test_the_word_has_two_decimals_as_the_kernel_s_uptime(notes: AgentNotes, tmp_path: Path) -> None:
    assert notes.last_word() == 0.0
    notes.word(123.4567)
    assert (tmp_path / "run" / "lease").read_text() == "123.46\n"
    assert notes.last_word() == 123.46
    (tmp_path / "run" / "lease").write_text("nonsense")
    assert notes.last_word() == 0.0


def test_there_is_one_agent(notes: AgentNotes, tmp_path: Path) -> None:
    notes.take(within=0)
    with pytest.raises(LockHeld):
        AgentNotes(tmp_path / "run", tmp_path / "state").take(within=0)


def test_what_is_noted_of_open_and_fenced(notes: AgentNotes, tmp_path: Path) -> None:
    for folder in ("state", "run"):
        (tmp_path / folder / "open").write_text("")
        assert notes.opened()
        notes.forget_open()
        notes.forget_open()
        assert not notes.opened()
    notes.note_fenced(fenced=True)
    assert notes.fenced()
    notes.note_fenced(fenced=False)
    assert not notes.fenced()


def test_a_folder_that_is_gone_is_a_failed_step(tmp_path: Path) -> None:
    with pytest.raises(StepFailed, match="cannot write"):
        AgentNotes(tmp_path / "no", tmp_path / "no").track(may_hold=False)


def process(root: Path, pid: int, name: str, state: str) -> None:
    folder = root / "proc" / str(pid)
    folder.mkdir(parents=True)
    (folder / "stat").write_text(f"{pid} ({name}) {state} 1 1 1 0 -1 0\n")


def test_the_processes_of_a_unit_and_of_groups_below_it(tmp_path: Path) -> None:
    unit = tmp_path / "cg" / "patroni.service"
    (unit / "below").mkdir(parents=True)
    (unit / "cgroup.procs").write_text("10\n11\n12\n99\n")
    (unit / "below" / "cgroup.procs").write_text("13\n")
    (unit / "cgroup.events").write_text("populated 1\nfrozen 1\n")
    process(tmp_path, 10, "patroni", "S")
    process(tmp_path, 11, "postgres", "D")
    process(tmp_path, 12, "dead", "Z")
    process(tmp_path, 13, "odd) name (x", "T")
    found = Processes(tmp_path / "cg", tmp_path / "proc").of("patroni.service")
    assert found.frozen
    assert set(found.processes) == {
        Process(10, "patroni", "S"), Process(11, "postgres", "D"), Process(13, "odd) name (x", "T"),
    }  # fmt: skip
    assert Processes(tmp_path / "cg").of("none.service") == UnitProcesses(())
    with pytest.raises(Unreachable, match="version 2"):
        Processes(tmp_path / "none").of("patroni.service")


@pytest.mark.parametrize(
    "argv",
    [["/bin/echo", "a\0b"], ["/bin/echo", "x" * 4_000_000], ["/etc/passwd"]],
    ids=["zero", "long", "no program"],
)
def test_what_cannot_be_started_is_no_end_of_a_thread(argv: list[str]) -> None:
    with pytest.raises(Unreachable):
        run(argv, within=1.0)


@pytest.mark.parametrize(
    ("code", "out", "err", "opened"),
    [
        pytest.param(1, "", "Error: No such file or directory", True, id="no table stops it"),
        pytest.param(0, '{"nftables":[{"set":{"elem":["192.0.2.100"]}}]}', "", True, id="no end"),
        pytest.param(0, '{"nftables":[{"set":{"elem":[{"elem":{}}]}}]}', "", False, id="an end"),
        pytest.param(1, "", "netlink: Cannot allocate memory", None, id="nobody knows"),
    ],
)
def test_whether_the_lease_is_open(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, code: int, out: str, err: str, *, opened: bool | None
) -> None:
    monkeypatch.setattr(kernel, "run", lambda argv, **_: Result(tuple(argv), code, out, err))
    table = LeaseTable("192.0.2.100", tmp_path / "lease.nft")
    if opened is None:
        with pytest.raises(StepFailed, match="memory"):
            table.opened()
    else:
        assert table.opened() is opened


def test_the_canary(tmp_path: Path) -> None:
    assert FsyncCanary(tmp_path).write() < 5
    assert (tmp_path / "canary").stat().st_size == 4096
    with pytest.raises(Unreachable, match="No such file"):
        FsyncCanary(tmp_path / "none").write()


def test_the_newest_ledger(tmp_path: Path) -> None:
    assert newest_ledger(tmp_path) == {}
    (tmp_path / "a.json").write_text('{"commits": 3}')
    assert newest_ledger(tmp_path) == {"commits": 3}
    (tmp_path / "b.json").write_text("{")
    assert newest_ledger(tmp_path / "none") == {}


def test_systemd_hears(tmp_path: Path) -> None:
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as ear:
        ear.bind(str(tmp_path / "notify"))
        ear.settimeout(5)
        SystemdNotify({"NOTIFY_SOCKET": str(tmp_path / "notify")}).say("READY=1", "WATCHDOG=1")
        assert ear.recv(100) == b"READY=1\nWATCHDOG=1"
    SystemdNotify({"NOTIFY_SOCKET": str(tmp_path / "notify")}).say("nobody hears")
    SystemdNotify({}).say("nobody asked")


def test_a_look_at_postgresql_without_a_network_is_unreachable() -> None:
    with pytest.raises(Unreachable):
        LocalPostgres({"host": "/nonexistent", "port": "1", "user": "x", "dbname": "x"}).look()
