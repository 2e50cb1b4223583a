"""Runs local programs: argv lists only, always with a time limit."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from hactl.errors import StepFailed, Unreachable

# Programs behave the same for every caller: no locale, no user's aliases, system paths first.
BASE_ENV = {"LC_ALL": "C.UTF-8", "PATH": "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"}


@dataclass(frozen=True)
class Result:
    argv: tuple[str, ...]
    code: int
    out: str
    err: str


def run(
    argv: Sequence[str],
    *,
    within: float,
    stdin: str | None = None,
    check: bool = True,
    env: Mapping[str, str] | None = None,
    cwd: Path | None = None,
) -> Result:
    """Run `argv` to its end, at most `within` seconds; output is decoded as UTF-8, bad bytes replaced.

    Raises:
        StepFailed: it ended with another code than 0 and `check` is set; the message has its last lines.
        Unreachable: it cannot be started, or the time was up (it is killed then).

    """
    environment = {**BASE_ENV, "HOME": os.environ.get("HOME", "/"), **(env or {})}
    try:
        done = subprocess.run(
            list(argv), input=stdin, capture_output=True, timeout=within, check=False,
            encoding="utf-8", errors="replace", env=environment, cwd=cwd,
        )  # fmt: skip
    except FileNotFoundError as error:
        hint = f"apt-get install the package that has {argv[0]}"
        raise Unreachable(f"{argv[0]} is not installed", hint=hint) from error
    except subprocess.TimeoutExpired as error:
        raise Unreachable(f"{' '.join(argv[:3])} gave no answer within {within:g} s") from error
    except (OSError, ValueError) as error:  # no process or memory left; a word that no program can be given
        why = getattr(error, "strerror", None) or error
        raise Unreachable(f"{argv[0]} cannot be started: {why}") from error
    result = Result(tuple(argv), done.returncode, done.stdout, done.stderr)
    if check and result.code != 0:
        tail = " / ".join((result.err or result.out).strip().splitlines()[-3:])
        raise StepFailed(f"{' '.join(argv[:3])} ended with code {result.code}: {tail}")
    return result
