from __future__ import annotations

import json
import os
from pathlib import Path
from types import ModuleType
from typing import Any, cast

import pytest
from click.testing import CliRunner

from hactl.adapters.command import run
from hactl.cli.lab import command
from hactl.errors import LockHeld, Refused, Unreachable, UsageError
from hactl.lab import (
    datadisk,
    disk,
    down,
    faults_postgres,
    faults_process,
    faults_storage,
    machine,
    preflight,
    scope,
)
from hactl.lab.faults import FAULTS, FAULTS_WITH, fault, injected
from hactl.lab.folder import LabFolder, MachineFolder, check_name, replace
from hactl.lab.lab import Lab, only_lab
from hactl.lab.lock import held
from hactl.lab.wait import wait_until


class FakeLab:
    """Takes the place of a Lab: notes what was asked."""

    def __init__(self) -> None:
        self.did: list[str] = []

    def isolate(self, node: str) -> None:
        self.did.append(f"isolate {node}")

    def join(self, node: str) -> None:
        self.did.append(f"join {node}")


@pytest.fixture
def fake(monkeypatch: pytest.MonkeyPatch) -> FakeLab:
    lab = FakeLab()
    for kind, inject, heal in (("isolate", FakeLab.isolate, FakeLab.join), ("join", FakeLab.join, None)):
        monkeypatch.setitem(FAULTS, kind, cast("Any", type(FAULTS[kind])(inject, heal)))
    return lab


def test_a_fault_is_healed_at_the_end(fake: FakeLab) -> None:
    with injected(cast("Lab", fake), "isolate", "db1"):
        assert fake.did == ["isolate db1"]
    assert fake.did == ["isolate db1", "join db1"]


def test_a_fault_is_healed_when_the_user_interrupts(fake: FakeLab) -> None:
    def hold() -> None:
        with injected(cast("Lab", fake), "isolate", "db1"):
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        hold()
    assert fake.did[-1] == "join db1"


def test_what_is_a_mending_itself_is_not_undone(fake: FakeLab) -> None:
    with injected(cast("Lab", fake), "join", "db1"):
        pass
    assert fake.did == ["join db1"]


def test_every_fault_of_the_interface_is_there() -> None:
    whole = {"power-off", "power-on", "isolate", "join", "freeze", "thaw"}
    programs = {"patroni", "etcd", "keepalived", "agent", "controller", "orthanc"}
    parts = {f"{how}-{p}" for how in ("kill", "lose", "freeze") for p in programs}
    network = {"deaf", "voiceless", "cut-etcd", "lose-garp", "lose-names"}
    data = {"bar-postgres", "hang-postgres", "damage-wal", "damage-control", "break-rewind", "make-stale"}
    assert set(FAULTS) == {
        *whole,
        *parts,
        *network,
        *data,
        "dud-bmc",
        "freeze-bmc",
        "freeze-quorum",
        "lead-etcd",
        "own-clock",
        "own-page",
        "crash-postgres",
        "damage-page",
        "freeze-pool",
        "freeze-postgres",
        "readonly-storage",
        "stall-disk",
        "stall-etcd-disk",
        "stop-hactl",
        "swap-storage",
        "unmount-storage",
    }
    assert set(FAULTS_WITH) == {"cut", "one-way", "loss", "narrow", "fill-disk", "fill-storage", "turn-clock"}


def test_a_disk_is_filled_to_the_end_unless_it_is_said_how_far() -> None:
    """The rest of the words have no usual one."""
    assert fault("fill-disk").heal
    assert {kind for kind, f in FAULTS_WITH.items() if f.usual} == {"fill-disk", "fill-storage", "turn-clock"}


@pytest.mark.parametrize("kind", [kind for kind, f in FAULTS_WITH.items() if not f.usual])
def test_a_fault_that_needs_a_word_says_which(kind: str) -> None:
    with pytest.raises(UsageError, match=FAULTS_WITH[kind].word):
        fault(kind)
    assert fault(kind, "db2").heal


def test_a_word_too_many_is_refused() -> None:
    with pytest.raises(UsageError, match="db2"):
        fault("freeze", "db2")


def test_an_unknown_fault_names_the_known_ones() -> None:
    with pytest.raises(UsageError) as error:
        fault("flood")
    assert "power-off" in error.value.hint


@pytest.mark.parametrize("name", ["", "Demo", "a b", "../x", "1a", "a.b", "x" * 33, "demo\n"])
def test_names_that_do_not_fit_everywhere_are_refused(name: str) -> None:
    with pytest.raises(UsageError):
        check_name(name)


def test_the_only_lab_needs_no_name(tmp_path: Path) -> None:
    with pytest.raises(Refused, match="there is no lab"):
        only_lab(tmp_path, None)
    for name in ("one", "two"):
        (tmp_path / name).mkdir()
    (tmp_path / "one" / "lab.json").write_text("{}", encoding="ascii")
    assert only_lab(tmp_path, None) == tmp_path / "one"
    (tmp_path / "two" / "lab.json").write_text("{}", encoding="ascii")
    with pytest.raises(Refused, match="several labs: one, two"):
        only_lab(tmp_path, None)
    assert only_lab(tmp_path, "two") == tmp_path / "two"


def test_a_folder_without_a_lab_is_no_lab(tmp_path: Path) -> None:
    with pytest.raises(Unreachable, match="no lab"):
        Lab.open(tmp_path)


def test_half_a_lab_json_is_no_lab(tmp_path: Path) -> None:
    (tmp_path / "lab.json").write_text('{"name": "de', encoding="ascii")
    with pytest.raises(Unreachable):
        LabFolder(tmp_path).read()


def test_a_file_is_replaced_whole(tmp_path: Path) -> None:
    file = tmp_path / "f"
    (tmp_path / ".f.new").write_text("left by a crash", encoding="ascii")
    replace(file, "one", 0o600)
    replace(file, "two", 0o600)
    assert file.read_text(encoding="ascii") == "two"
    assert file.stat().st_mode & 0o777 == 0o600
    assert [entry.name for entry in tmp_path.iterdir()] == ["f"]


def test_a_lock_is_held_once_and_free_again(tmp_path: Path) -> None:
    with (
        held(tmp_path / "lab", "the lab"),
        pytest.raises(LockHeld, match="the lab"),
        held(tmp_path / "lab", "the lab"),
    ):
        pass
    with held(tmp_path / "lab", "the lab"):
        pass


def test_a_lock_survives_that_its_folder_is_removed(tmp_path: Path) -> None:
    folder = tmp_path / "lab"
    with held(folder, "the lab"):
        folder.rmdir()
        with held(folder, "another lab in the same place"):
            pass


def test_waiting_has_an_end() -> None:
    with pytest.raises(Unreachable, match="never came"):
        wait_until(lambda: False, within=0.01, say=lambda: "it never came", pause=0.001)
    wait_until(lambda: True, within=0, say=lambda: "")


def test_a_cgroups_state_is_read_from_its_events(tmp_path: Path) -> None:
    (tmp_path / "cgroup.events").write_text("populated 1\nfrozen 1\n", encoding="ascii")
    assert scope.populated(tmp_path)
    assert scope.is_frozen(tmp_path)
    assert not scope.populated(tmp_path / "gone")
    assert not scope.is_frozen(tmp_path / "gone")


def test_processes_below_count_too(tmp_path: Path) -> None:
    (tmp_path / "payload" / "init.scope").mkdir(parents=True)
    (tmp_path / "cgroup.procs").write_text("", encoding="ascii")
    (tmp_path / "payload" / "init.scope" / "cgroup.procs").write_text("12\n13\n", encoding="ascii")
    assert scope.processes(tmp_path) == [12, 13]


def test_mounts_below_a_folder_deepest_first(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    mounts = tmp_path / "mounts"
    mounts.write_text(
        "proc /proc proc rw 0 0\n"
        "x /lab/demo/a xfs rw 0 0\n"
        "x /lab/demo/a/b\\040c xfs rw 0 0\n"
        "x /lab/demo-2 xfs rw 0 0\n",
        encoding="ascii",
    )
    monkeypatch.setattr(down, "_MOUNTS", mounts)
    assert down.mounts_below(Path("/lab/demo")) == ["/lab/demo/a/b c", "/lab/demo/a"]


def test_a_data_disk_that_is_not_there_is_held_by_nothing(tmp_path: Path) -> None:
    """A lab that an older hactl made: nothing to wait for, nothing to reach."""
    assert datadisk.devices(tmp_path / "data.img") == []
    datadisk.let_go(tmp_path / "data.img")
    with datadisk.reached([os.getpid()], tmp_path) as handle:
        assert handle is None


def test_the_kernels_structures_have_its_sizes() -> None:
    """linux/loop.h: struct loop_info64, struct loop_config."""
    assert (datadisk._INFO.size, datadisk._CONFIG.size) == (232, 304)


def test_a_host_key_is_type_and_key(tmp_path: Path) -> None:
    folder = MachineFolder(tmp_path)
    key = folder.upper / "etc/ssh/ssh_host_ed25519_key.pub"
    key.parent.mkdir(parents=True)
    key.write_text("ssh-ed25519 AAAAC3 root@db1\n", encoding="ascii")
    assert disk.host_key(folder) == "ssh-ed25519 AAAAC3"


def test_everything_that_is_missing_is_told_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os, "geteuid", lambda: 0)
    present = {"ip", "mount", "unshare"}
    monkeypatch.setattr(preflight.shutil, "which", lambda tool, **_: tool if tool in present else None)
    monkeypatch.setattr(preflight.shutil, "disk_usage", lambda _: type("Usage", (), {"free": 1024**3}))
    monkeypatch.setattr(preflight, "_release", lambda: ["not Debian 12"])
    monkeypatch.setattr(
        preflight, "_TRIALS", (({"ip"}, lambda _: ["no veth"]), ({"nft"}, lambda _: ["not tried"]))
    )
    found = preflight.lacks(needs_image=False, boots=False)
    assert "nft is not installed: apt-get install nftables" in found
    assert "systemd-nspawn is not installed: apt-get install systemd-container" in found
    assert found[-3:] == [
        "not Debian 12",
        "no veth",
        "the file system of /var/lib/hactl-lab has 1.0 GiB free, 4 are needed",
    ]


def test_too_few_inotify_instances_are_told_with_the_remedy(monkeypatch: pytest.MonkeyPatch) -> None:
    class NoMore:
        def inotify_init1(self, _flags: int) -> int:
            return -1

    monkeypatch.setattr(preflight.ctypes, "CDLL", lambda *_, **__: NoMore())
    assert "sysctl -w fs.inotify.max_user_instances=" in "".join(preflight._watches())


def test_only_root_may(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os, "geteuid", lambda: 1000)
    with pytest.raises(Refused) as refused:
        preflight.require("demo")
    assert refused.value.vetoes == ("the lab needs root: it makes namespaces, mounts and cgroups",)


def test_a_time_that_is_none_is_a_usage_error(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr("hactl.cli.lab._open", lambda _name: None)
    done = CliRunner().invoke(command, ["fault", "--for", "soon", "freeze", "db1"])
    assert done.exit_code == 2
    assert "10min" in done.output
    assert not list(tmp_path.iterdir())


def test_lab_json_is_what_the_spec_lookup_reads(tmp_path: Path) -> None:
    folder = LabFolder(tmp_path)
    folder.write({"ops_netns": "hactl-lab.demo.ops"})
    assert json.loads((tmp_path / "lab.json").read_text(encoding="utf-8")) == {
        "ops_netns": "hactl-lab.demo.ops"
    }


@pytest.mark.parametrize("words", [["up"], ["down"], ["status"], ["exec", "db1", "--", "true"], ["heal"]])
def test_without_root_every_command_is_refused(words: list[str], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os, "geteuid", lambda: 1000)
    with pytest.raises(Refused, match="needs root"):
        command.main(words, standalone_mode=False)


def test_help_needs_no_root(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os, "geteuid", lambda: 1000)
    assert CliRunner().invoke(command, ["up", "--help"]).exit_code == 0


def test_what_runs_a_machine_has_no_braces_that_systemd_would_take_for_its_own_variables() -> None:
    assert "${" not in machine._RUN


@pytest.mark.parametrize("module", [faults_postgres, faults_process, faults_storage])
def test_what_is_run_on_a_machine_is_a_shell_program(module: ModuleType) -> None:
    scripts = {n: t for n, t in vars(module).items() if n.isupper() and isinstance(t, str) and " " in t}
    assert scripts
    for name, text in scripts.items():
        assert run(["sh", "-n"], within=5, stdin=text, check=False).code == 0, name
