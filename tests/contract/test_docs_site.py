"""The documentation as mkdocs builds it: every link holds, and nothing is fetched from anywhere."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).parents[2]
FETCHES = re.compile(
    r"""(?:src|srcset)=["']?(?:https?:)?//|<link[^>]+href=["']?(?:https?:)?//|@import|url\(["']?(?:https?:)?//"""
)


def test_the_site_is_whole_and_needs_no_network(tmp_path: Path) -> None:
    argv = [sys.executable, "-m", "mkdocs", "build", "--strict", "--site-dir", str(tmp_path)]
    environment = {**os.environ, "NO_MKDOCS_2_WARNING": "1"}
    done = subprocess.run(
        argv, capture_output=True, text=True, timeout=120, check=False, cwd=ROOT, env=environment
    )
    assert done.returncode == 0, done.stderr
    read = [p for kind in ("html", "css") for p in tmp_path.rglob(f"*.{kind}")]
    assert len(read) > 100
    assert [p.name for p in read if FETCHES.search(p.read_text(encoding="utf-8"))] == []
