"""Colours on a real terminal, and none where the user asked for none (https://no-color.org)."""

from __future__ import annotations

import os
import pty
import re
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
ESCAPE = re.compile(rb"\x1b\[[0-9;]*m")


def on_a_terminal(folder: Path, argv: list[str], **more: str) -> tuple[int, bytes]:
    environment = {**os.environ, "TERM": "xterm-256color", "PYTHONPATH": str(ROOT), **more}
    for name in {"NO_COLOR", "HACTL_SPEC"} - set(more):
        environment.pop(name, None)
    ours, theirs = pty.openpty()
    with os.fdopen(ours, "rb", buffering=0) as screen:
        done = subprocess.Popen(  # its output is short enough to wait in the terminal
            [sys.executable, "-m", "hactl", *argv],
            stdin=theirs, stdout=theirs, stderr=theirs, cwd=folder, env=environment,
        )  # fmt: skip
        os.close(theirs)
        seen = b""
        try:
            while part := screen.read(4096):
                seen += part
        except OSError:  # Linux's way to say that nobody writes any more
            pass
        return done.wait(timeout=30), seen


@pytest.mark.parametrize(
    ("argv", "code"), [(["archive", "lint", "orthanc.json"], 7), (["--spec", "none.yaml", "status"], 2)]
)
def test_no_color_is_honoured(tmp_path: Path, argv: list[str], code: int) -> None:
    (tmp_path / "orthanc.json").write_text("{}")
    plain = on_a_terminal(tmp_path, argv, NO_COLOR="1")
    coloured = on_a_terminal(tmp_path, argv)
    assert (plain[0], coloured[0]) == (code, code)
    assert ESCAPE.search(plain[1]) is None
    assert ESCAPE.search(coloured[1])
    assert ESCAPE.sub(b"", coloured[1]) == plain[1]
