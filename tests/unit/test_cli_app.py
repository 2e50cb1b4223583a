from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path

import click
import pytest

from hactl import errors
from hactl.cli import app, boundary
from hactl.cli.app import main
from hactl.cli.common import with_common_options


@pytest.fixture
def command(monkeypatch: pytest.MonkeyPatch) -> Callable[[Callable[[], object]], None]:
    """Makes `hactl version` run a function instead."""

    def install(body: Callable[[], object]) -> None:
        made = with_common_options(click.Command("version", callback=body))
        monkeypatch.setattr(app.LazyGroup, "get_command", lambda *_: made)

    return install


Install = Callable[[Callable[[], object]], None]


def call(*argv: str) -> int:
    with pytest.raises(SystemExit) as ended:
        main(list(argv))
    return int(ended.value.code or 0)


def raising(error: BaseException) -> Callable[[], object]:
    def body() -> object:
        raise error

    return body


@pytest.mark.parametrize(
    ("error", "code", "line"),
    [
        (errors.HactlError("it broke"), 1, "hactl: it broke"),
        (errors.UsageError("not so"), 2, "hactl: not so"),
        (errors.SpecError("c.yaml", [errors.Problem("a", "", "is missing")]), 2, "hactl: c.yaml: 1 problem"),
        (errors.Refused("no", ["because", "and"]), 3, "hactl: no"),
        (errors.Unreachable("no answer"), 4, "hactl: no answer"),
        (errors.StepFailed("step 3 failed", last_done="step 2"), 5, "hactl: step 3 failed"),
        (errors.LockHeld("held"), 6, "hactl: held"),
        (errors.NotHealthy("degraded"), 7, "hactl: degraded"),
        (click.UsageError("bad option"), 2, "Error: bad option"),
        (click.ClickException("bad"), 2, "Error: bad"),
        (click.Abort(), 130, "hactl: interrupted"),
        (KeyboardInterrupt(), 130, "hactl: interrupted"),
        (
            ModuleNotFoundError("x", name="ansible_runner"),
            2,
            "hactl: this command needs the Python package ansible_runner",
        ),
    ],
)
def test_exit_codes(
    error: BaseException, code: int, line: str, command: Install, capsys: pytest.CaptureFixture[str]
) -> None:
    command(raising(error))
    assert call("version") == code
    assert line in capsys.readouterr().err.splitlines()


def test_all_vetoes_steps_and_hints_are_shown(command: Install, capsys: pytest.CaptureFixture[str]) -> None:
    command(raising(errors.Refused("no", ["because", "and"], hint="hactl doctor")))
    call("version")
    assert capsys.readouterr().err.splitlines() == [
        "hactl: no",
        "  - because",
        "  - and",
        "  next: hactl doctor",
    ]
    command(raising(errors.StepFailed("step 3 failed", last_done="step 2")))
    call("version")
    assert capsys.readouterr().err.splitlines() == ["hactl: step 3 failed", "  last step done: step 2"]


def test_problems_of_a_spec_are_shown_with_line_value_and_hint(
    command: Install, capsys: pytest.CaptureFixture[str]
) -> None:
    problems = [
        errors.Problem("nodes.db1", "x", "is wrong", "do it right", 12),
        errors.Problem("", "", "is empty"),
        errors.Problem("a.password", "(not shown)", "is secret"),
    ]
    command(raising(errors.SpecError("c.yaml", problems)))
    call("version")
    assert capsys.readouterr().err.splitlines() == [
        "hactl: c.yaml: 3 problems",
        "  line 12   nodes.db1: is wrong (found x)",
        "              -> do it right",
        "            is empty",
        "            a.password: is secret (its value is not shown)",
        "  next: hactl spec schema",
    ]


def test_success_and_codes_of_commands(command: Install) -> None:
    command(lambda: None)
    assert call("version") == 0
    command(lambda: click.get_current_context().exit(7))
    assert call("version") == 7
    assert call("--help") == 0
    assert call("--version") == 0


def test_usage_errors(capsys: pytest.CaptureFixture[str]) -> None:
    assert call("nosuch") == 2
    assert call("version", "--nosuch") == 2
    assert call("-o", "xml", "version") == 2
    assert "Traceback" not in capsys.readouterr().err


def test_a_bug_is_one_line_and_a_file_of_the_users_alone(
    command: Install, capsys: pytest.CaptureFixture[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(boundary, "_folder", lambda: tmp_path / "log")
    command(raising(ZeroDivisionError("secret")))
    assert call("version") == 1
    captured = capsys.readouterr()
    (line,) = captured.err.splitlines()
    (log,) = (tmp_path / "log").iterdir()
    assert line.startswith("hactl: this is a bug in hactl: ZeroDivisionError at cli/app.py:")
    assert line.endswith(f"the traceback is in {log}")
    assert "secret" not in line
    assert captured.out == ""
    assert log.stat().st_mode & 0o777 == 0o600
    assert (tmp_path / "log").stat().st_mode & 0o777 == 0o700
    assert "ZeroDivisionError: secret" in log.read_text(encoding="utf-8")


@pytest.mark.parametrize("argv", [["-v", "version"], ["version", "-v"]])
def test_a_bug_with_verbose_shows_the_traceback(
    argv: list[str],
    command: Install,
    capsys: pytest.CaptureFixture[str],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(boundary, "_folder", lambda: tmp_path / "log")
    command(raising(ZeroDivisionError("why")))
    assert call(*argv) == 1
    text = capsys.readouterr().err
    assert "Traceback" in text
    assert "ZeroDivisionError: why" in text
    assert not (tmp_path / "log").exists()


def test_a_bug_where_no_file_can_be_written(
    command: Install, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(boundary, "_keep", lambda _: None)
    command(raising(ModuleNotFoundError("x", name="hactl.cli.none")))
    assert call("version") == 1
    assert "run it again with -v to see the traceback" in capsys.readouterr().err


@pytest.mark.parametrize(("uid", "folder"), [(0, "/var/log/hactl"), (1000, "/x/hactl/log")])
def test_where_tracebacks_go(uid: int, folder: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_STATE_HOME", "/x")
    monkeypatch.setattr(os, "geteuid", lambda: uid)
    assert boundary._folder() == Path(folder)


@pytest.mark.parametrize(
    ("argv", "options"),
    [
        (["version"], {"spec": None, "output": "table", "verbose": 0}),
        (["--spec", "a", "-o", "json", "-v", "version"], {"spec": "a", "output": "json", "verbose": 1}),
        (["version", "--spec", "a", "-o", "json", "-vv"], {"spec": "a", "output": "json", "verbose": 2}),
        (["-o", "yaml", "version", "-o", "json"], {"spec": None, "output": "json", "verbose": 0}),
        (["-o", "yaml", "-v", "version"], {"spec": None, "output": "yaml", "verbose": 1}),
    ],
)
def test_common_options_stand_before_or_behind_the_noun(
    argv: list[str], options: dict[str, object], command: Install, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("HACTL_SPEC", raising=False)
    seen: list[dict[str, object]] = []
    command(lambda: seen.append(dict(click.get_current_context().find_root().obj)))
    assert call(*argv) == 0
    assert seen == [options]


def test_a_commands_own_options_win() -> None:
    own = click.Command("x", params=[click.Option(["-o", "--out"]), click.Option(["--verbose"])])
    assert [p.name for p in with_common_options(own).params] == ["out", "verbose", "common_spec"]
    hands_on = click.Command("x", context_settings={"ignore_unknown_options": True})
    assert with_common_options(hands_on).params == []


def test_options_are_added_once() -> None:
    inner = click.Command("x")
    group = click.Group("g", commands={"x": inner})
    with_common_options(with_common_options(group))
    assert [p.name for p in inner.params] == ["common_spec", "common_output", "common_verbose"]


@pytest.mark.parametrize(("value", "colour"), [("1", False), ("", None)])
def test_no_color(value: str, colour: bool | None, monkeypatch: pytest.MonkeyPatch) -> None:  # noqa: FBT001
    monkeypatch.setenv("NO_COLOR", value)
    assert boundary.colour() is colour


def test_every_command_of_the_help_has_a_module() -> None:
    package = Path(app.__file__).parent
    modules = [module.rpartition(".")[2] for module, _ in app.COMMANDS.values()]
    assert [name for name in modules if not (package / f"{name}.py").exists()] == []


def test_a_connection_that_breaks_is_unreachable(
    command: Install, capsys: pytest.CaptureFixture[str]
) -> None:
    command(raising(BrokenPipeError()))
    assert call("version") == 4
    assert "a connection broke" in capsys.readouterr().err
