"""The manual pages as `man` and groff read them."""

from __future__ import annotations

import os
import subprocess
from pathlib import Path

import pytest
from click.testing import CliRunner

from hactl.cli.app import root
from hactl.cli.help_tree import tree


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    into = tmp_path_factory.mktemp("share") / "man" / "man1"
    CliRunner().invoke(root, ["man", "--into", str(into)], catch_exceptions=False)
    return into


def test_groff_has_nothing_to_say_about_any_page(folder: Path) -> None:
    pages = sorted(folder.iterdir())
    assert len(pages) == len(list(tree(root)))
    argv = ["groff", "-man", "-ww", "-k", "-Tutf8", "-z"]
    for page in pages:
        done = subprocess.run(
            [*argv, page], capture_output=True, text=True, timeout=30, check=False, cwd=folder
        )
        assert (done.returncode, done.stdout, done.stderr) == (0, "", ""), page.name


def test_man_finds_and_shows_a_page(folder: Path) -> None:
    environment = {
        **os.environ,
        "MANPATH": str(folder.parent),
        "MANWIDTH": "80",
        "LC_ALL": "C.UTF-8",
        "PAGER": "cat",
    }
    for argv in (["man", "hactl-archive-drain"], ["man", "-l", str(folder / "hactl-archive-drain.1")]):
        done = subprocess.run(argv, capture_output=True, text=True, timeout=60, check=False, env=environment)
        assert (done.returncode, done.stderr) == (0, "")
        assert "hactl archive drain [OPTIONS] NODE" in done.stdout
        assert "--within SECONDS" in done.stdout
        assert "EXIT STATUS" in done.stdout
