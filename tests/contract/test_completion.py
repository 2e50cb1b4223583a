"""Completion in a real bash, and what zsh and fish ask for."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]


@pytest.fixture
def place(tmp_path: Path) -> Path:
    """A folder with this tree's `hactl` as a program, and a spec."""
    program = tmp_path / "hactl"
    program.write_text(f'#!/bin/sh\nPYTHONPATH={ROOT} exec {sys.executable} -m hactl "$@"\n')
    program.chmod(0o755)
    spec = tmp_path / "cluster.yaml"
    spec.write_text("nodes: {db1: {}, db2: {}, wit1: {}}\n")
    spec.chmod(0o600)
    return tmp_path


def run(place: Path, argv: list[str], **more: str) -> subprocess.CompletedProcess[str]:
    environment = {**os.environ, "PATH": f"{place}:{os.environ['PATH']}", **more}
    environment.pop("HACTL_SPEC", None)
    return subprocess.run(
        argv, capture_output=True, text=True, timeout=60, check=False, cwd=place, env=environment
    )


@pytest.mark.parametrize(
    ("words", "offered"),
    [
        (["hactl", "switch"], ["switchover"]),
        (["hactl", "switchover", "--to", "d"], ["db1", "db2"]),
        (["hactl", "mute", "PATRONI_D"], ["PATRONI_DOWN"]),
        (["hactl", "node", "ok-to-stop", "w"], ["wit1"]),
        (["hactl", "version", ""], []),
    ],
)
def test_bash_completes_by_the_script_that_is_printed(
    place: Path, words: list[str], offered: list[str]
) -> None:
    quoted = " ".join(f"'{word}'" for word in words)
    script = (
        "set -e; . <(hactl completion bash); complete -p hactl >&2\n"
        f"COMP_WORDS=({quoted}); COMP_CWORD={len(words) - 1}\n"
        "_hactl_completion hactl; printf '%s\\n' \"${COMPREPLY[@]}\"\n"
    )
    done = run(place, ["bash", "--norc", "-c", script])
    assert done.returncode == 0, done.stderr
    assert done.stdout.split() == offered
    assert done.stderr.startswith("complete ")
    assert done.stderr.count("\n") == 1, "a shell that completes must see nothing else"


@pytest.mark.parametrize(
    ("shell", "asked"),
    [
        ("zsh", {"COMP_WORDS": "hactl switchover --to", "COMP_CWORD": "3"}),
        ("fish", {"COMP_WORDS": "hactl switchover --to ", "COMP_CWORD": ""}),
    ],
)
def test_zsh_and_fish_get_a_script_and_answers(place: Path, shell: str, asked: dict[str, str]) -> None:
    script = run(place, ["hactl", "completion", shell]).stdout
    assert f"_HACTL_COMPLETE={shell}_complete" in script
    done = run(place, ["hactl"], _HACTL_COMPLETE=f"{shell}_complete", **asked)
    assert done.stderr == ""
    assert {"db1", "db2", "wit1"} <= set(done.stdout.replace(",", "\n").split())
