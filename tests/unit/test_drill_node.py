"""What a node lets operations break, and that it is armed to mend it before it breaks it."""

from __future__ import annotations

import json
import os
import signal
from pathlib import Path
from typing import Any

import pytest

from hactl.render.all import render
from hactl.render.drills import FAULT, ROWS, faults
from tests.support.faults import agreed, program, source
from tests.support.rendered import sample, secrets

SUDOERS = "/etc/sudoers.d/hactl"
DISPATCH = "/usr/local/lib/hactl/dispatch"


class World:
    """Answers the program's calls, in order of their first word that is known; notes what was called."""

    def __init__(self, **answers: tuple[int, str]) -> None:
        self.answers = answers
        self.called: list[str] = []
        self.given: list[str] = []

    def __call__(self, argv: list[str], within: float, given: str | None = None) -> tuple[int, str]:
        assert within > 0
        self.called.append(" ".join([argv[0].rsplit("/", 1)[-1], *argv[1:]]))
        self.given.append(given or "")
        for words, answer in self.answers.items():
            if words.replace("_", "-") in self.called[-1]:
                return answer
        return 0, ""

    def first(self, words: str) -> int:
        return next(n for n, said in enumerate(self.called) if words in said)


@pytest.fixture
def killed(monkeypatch: pytest.MonkeyPatch) -> list[tuple[int, int]]:
    found: list[tuple[int, int]] = []
    monkeypatch.setattr(os, "kill", lambda pid, number: found.append((pid, number)))
    return found


def node(name: str, tmp_path: Path, world: World, **changes: Any) -> dict[str, Any]:
    names = program(name, tmp_path)
    names["call"] = world
    names["postmaster"], names["process"] = lambda: 4711, lambda _: 99
    names.update(changes)
    return names


def test_without_a_window_no_node_knows_any_of_it() -> None:
    spec = sample(drills={})
    files = {(f.node, f.path): f.content for f in render(spec, secrets(spec))}
    assert all(not faults(spec, name) for name in spec.nodes)
    for name in ("db1", "wit1", "arc1"):
        assert str(FAULT) not in files[name, SUDOERS]
        assert "FAULT" not in files[name, DISPATCH]
    assert not {str(FAULT), str(ROWS)} & {path for _, path in files}


def test_each_node_has_its_own_and_sudo_names_each_word() -> None:
    wanted = {
        "db1": {"crash-postgres", "freeze-postgres", "kill-patroni", "kill-keepalived"},
        "arc1": {"kill-keepalived", "kill-orthanc"},
        "wit1": {"power-off-db1", "power-off-db2"},
    }
    for name, words in wanted.items():
        assert set(faults(agreed(), name)) == words
        lines = [line for line in source(name, SUDOERS).splitlines() if str(FAULT) in line]
        assert lines == [
            f"hactl ALL=(root) NOPASSWD: {FAULT} {word}"
            for word in (*faults(agreed(), name), "heal", "state")
        ]
    assert f'(hactl) NOPASSWD: {ROWS} ""\n' in source("db1", SUDOERS)
    assert str(ROWS) not in source("wit1", SUDOERS)


@pytest.mark.parametrize(
    "asked", ["fault", "fault sh", "fault kill-orthanc", "fault freeze-postgres 90", "drill-rows x"]
)
def test_the_dispatcher_takes_no_other_word(asked: str) -> None:
    names: dict[str, Any] = {"__name__": "dispatch"}
    exec(compile(source("db1", DISPATCH), "dispatch", "exec"), names)  # noqa: S102 - the subject
    names["call"] = world = World()
    assert names["main"](asked) == 2
    assert world.called == []
    assert names["main"]("fault freeze-postgres") == 0
    assert names["main"]("drill-rows") == 0
    assert world.called == [f"sudo -n {FAULT} freeze-postgres", f"sudo -n -u hactl {ROWS}"]


@pytest.mark.parametrize("words", [[], ["sh"], ["kill-orthanc"], ["freeze-postgres", "900"], ["heal", "db2"]])
def test_nor_does_the_program(tmp_path: Path, words: list[str]) -> None:
    world = World()
    assert node("db1", tmp_path, world)["main"](words) == 2
    assert world.called == []


@pytest.mark.parametrize(
    ("word", "number"), [("freeze-postgres", signal.SIGSTOP), ("crash-postgres", signal.SIGKILL)]
)
def test_the_timer_stands_before_the_signal(
    tmp_path: Path, killed: list[tuple[int, int]], word: str, number: int
) -> None:
    world = World()
    names = node("db1", tmp_path, world)

    def armed(*_: object) -> None:
        assert world.called[-1].startswith("systemd-run ")

    names["os"].kill = lambda pid, sent: (armed(), killed.append((pid, sent)))
    assert names["main"]([word]) == 0
    (argv,) = world.called
    lasts = faults(agreed(), "db1")[word][2]
    assert f"--unit=hactl-drill-heal --on-active={lasts}s" in argv
    assert argv.endswith(f"{FAULT} heal")
    assert killed == [(4711, number)]


def test_nothing_is_broken_when_the_timer_cannot_be_had(
    tmp_path: Path, killed: list[tuple[int, int]]
) -> None:
    names = node("db1", tmp_path, World(systemd_run=(1, "no bus")))
    assert names["main"](["freeze-postgres"]) == 5
    assert (killed, names["armed"]()) == ([], None)


def test_one_at_a_time(
    tmp_path: Path, killed: list[tuple[int, int]], capsys: pytest.CaptureFixture[str]
) -> None:
    names = node("db1", tmp_path, World())
    assert names["main"](["freeze-postgres"]) == 0
    assert names["main"](["kill-patroni"]) == 3
    assert "another fault is under way here: freeze-postgres" in capsys.readouterr().err
    assert len(killed) == 1


def test_outside_its_window_the_node_refuses_but_always_mends(
    tmp_path: Path, killed: list[tuple[int, int]], capsys: pytest.CaptureFixture[str]
) -> None:
    names = node("db1", tmp_path, World())
    assert names["main"](["freeze-postgres"]) == 0
    names["WINDOWS"] = []
    assert names["main"](["heal"]) == 0
    assert killed[-1] == (4711, signal.SIGCONT)
    assert names["main"](["freeze-postgres"]) == 3
    assert "no window for drills is open" in capsys.readouterr().err
    capsys.readouterr()
    assert names["main"](["state"]) == 0
    assert json.loads(capsys.readouterr().out) == {"closed": "no window for drills is open", "fault": None}


def test_a_time_zone_that_it_does_not_know_is_a_closed_window(tmp_path: Path) -> None:
    names = program("db1", tmp_path, zone="Atlantis/Center")
    assert "time zone Atlantis/Center" in names["closed"]()
    assert not program("db1", tmp_path, zone="Europe/Berlin")["closed"]()


def test_another_process_with_the_same_number_is_left_alone(
    tmp_path: Path, killed: list[tuple[int, int]]
) -> None:
    names = node("db1", tmp_path, World())
    assert names["main"](["freeze-postgres"]) == 0
    names["process"] = lambda _: 100
    assert names["main"](["heal"]) == 0
    assert [number for _, number in killed] == [signal.SIGSTOP]


@pytest.mark.parametrize(("failed", "starts"), [((0, ""), True), ((3, "inactive"), False)])
def test_a_killed_unit_is_started_only_if_systemd_gave_up(
    tmp_path: Path,
    failed: tuple[int, str],
    starts: bool,  # noqa: FBT001 - one of two cases
) -> None:
    world = World(is_failed=failed)
    names = node("arc1", tmp_path, world)
    assert names["main"](["kill-orthanc"]) == 0
    assert world.called[0] == "systemctl is-active --quiet orthanc.service"
    assert world.first("systemd-run") < world.first(
        "systemctl kill --kill-whom=all --signal=KILL orthanc.service"
    )
    assert names["main"](["heal"]) == 0
    assert ("systemctl start --no-block orthanc.service" in world.called) is starts
    assert world.called[-1] == "systemctl stop hactl-drill-heal.timer"


class Bmc(World):
    on = True

    def __call__(self, argv: list[str], within: float, given: str | None = None) -> tuple[int, str]:
        super().__call__(argv, within, given)
        if "fence_ipmilan" not in argv[0]:
            return 0, ""
        action = next(w.partition("=")[2] for w in (given or "").splitlines() if w.startswith("action="))
        self.on = {"on": True, "off": False}.get(action, self.on)
        return (0, "Status: ON") if self.on else (2 if action == "status" else 0, "Status: OFF")


def test_the_power_of_another_node_is_cut_by_the_witness_and_comes_back(tmp_path: Path) -> None:
    (tmp_path / "bmc").write_text("Geheim\n")
    world = Bmc()
    names = node("wit1", tmp_path, world)
    names["POWER"]["db1"]["options"]["password_file"] = str(tmp_path / "bmc")
    assert names["main"](["power-off-db1"]) == 0
    assert not world.on
    assert world.first("systemd-run") < next(n for n, g in enumerate(world.given) if "action=off" in g)
    assert not any("Geheim" in said for said in world.called)
    assert names["main"](["heal"]) == 0
    assert world.on


def test_power_that_is_off_already_is_no_drill(tmp_path: Path) -> None:
    (tmp_path / "bmc").write_text("Geheim\n")
    world = Bmc()
    world.on = False
    names = node("wit1", tmp_path, world)
    names["POWER"]["db1"]["options"]["password_file"] = str(tmp_path / "bmc")
    assert names["main"](["power-off-db1"]) == 5
    assert not any("systemd-run" in said for said in world.called)
