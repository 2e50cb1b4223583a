"""Who runs a command, read from a /proc that the test writes."""

from __future__ import annotations

import os
import pwd
from pathlib import Path

import pytest

from hactl.adapters import actor

ME = pwd.getpwuid(os.geteuid()).pw_name


@pytest.mark.parametrize(
    ("loginuid", "expected"),
    [
        pytest.param(None, ME, id="a kernel without audit"),
        pytest.param(str(actor.UNSET), ME, id="no login: a container"),
        pytest.param(str(os.geteuid()), ME, id="logged in as oneself"),
        pytest.param("1", f"{pwd.getpwuid(1).pw_name} as {ME}", id="by sudo"),
        pytest.param("4000123", f"uid 4000123 as {ME}", id="an account that is gone"),
        pytest.param("what", ME, id="no number"),
    ],
)
def test_the_account_is_who_logged_in(tmp_path: Path, loginuid: str | None, expected: str) -> None:
    if loginuid is not None:
        (tmp_path / "self").mkdir()
        (tmp_path / "self/loginuid").write_text(loginuid)
    assert actor.account(tmp_path) == expected


def above(proc: Path, pid: int, parent: int, variables: bytes | None) -> None:
    folder = proc / str(pid)
    folder.mkdir()
    (folder / "stat").write_text(f"{pid} (a ) name) S {parent} 1 1 0")
    if variables is not None:
        (folder / "environ").write_bytes(variables)


def test_the_session_s_origin_is_found_above_sudo(tmp_path: Path) -> None:
    sudo = os.getppid()
    above(tmp_path, sudo, 77, None)  # not readable
    above(tmp_path, 77, 78, b"HOME=/root\0")
    above(tmp_path, 78, 1, b"A=b\0SSH_CONNECTION=192.0.2.50 40000 192.0.2.2 22\0")
    assert actor.origin({}, tmp_path) == "192.0.2.50"
    assert actor.origin({"SSH_CONNECTION": "192.0.2.51 1 192.0.2.2 22"}, tmp_path) == "192.0.2.51"


def test_a_local_session_has_none(tmp_path: Path) -> None:
    assert actor.origin({}, tmp_path) == ""
    above(tmp_path, os.getppid(), os.getppid(), b"")  # and a circle ends
    assert actor.origin({}, tmp_path) == ""
