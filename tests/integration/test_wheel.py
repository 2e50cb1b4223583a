"""The wheel of pyproject.toml and the one that hactl makes of itself for the nodes are the same."""

from __future__ import annotations

import subprocess
import sys
import zipfile
from pathlib import Path

from hactl.deploy import ownwheel

ROOT = Path(__file__).parents[2]


def content(wheel: Path) -> dict[str, bytes]:
    with zipfile.ZipFile(wheel) as archive:
        return {name: archive.read(name) for name in archive.namelist()}


def test_both_wheels_hold_the_same(tmp_path: Path) -> None:
    argv = [sys.executable, "-m", "hatchling", "build", "-t", "wheel", "-d", str(tmp_path)]
    done = subprocess.run(argv, cwd=ROOT, capture_output=True, text=True, timeout=60, check=False)
    assert done.returncode == 0, f"{done.stderr}\nhatchling is in the extra `dev`: pip install -e '.[dev]'"
    built = content(tmp_path / ownwheel.name())
    (tmp_path / "own").mkdir()
    own = content(ownwheel.build(tmp_path / "own"))
    assert sorted(built) == sorted(own)
    # The rest of the metadata says who built the wheel, and lists what was compared here.
    about = {
        name
        for name in own
        if name.endswith((".dist-info/WHEEL", ".dist-info/RECORD", ".dist-info/METADATA"))
    }
    assert {name for name in own if own[name] != built[name]} <= about
    assert any(name.startswith("hactl/_data/ansible/") for name in own)
    assert any(name.startswith("hactl/_data/templates/") for name in own)
