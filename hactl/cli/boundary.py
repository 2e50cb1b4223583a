"""What a user reads when a command did not work, and where the traceback of a bug goes."""

from __future__ import annotations

import os
import tempfile
import time
import traceback
from pathlib import Path
from types import TracebackType

import click

from hactl.errors import HactlError, Problem, Refused, SpecError, StepFailed

# Third-party packages that belong to an extra -> the extra; without it the command cannot work.
EXTRAS = {
    "ansible": "deploy",
    "ansible_runner": "deploy",
    "pyghmi": "lab",
    "pyroute2": "lab",
}


def colour() -> bool | None:
    """False where the user asked for none (https://no-color.org), else None: click looks at the terminal."""
    return False if os.environ.get("NO_COLOR") else None


def report(error: HactlError) -> None:
    """An expected error: one sentence, all that belongs to it, and the next command."""
    _say(f"hactl: {error.message}", bold=True)
    if isinstance(error, SpecError):
        for problem in error.problems:
            _problem(problem)
    if isinstance(error, Refused):
        for veto in error.vetoes:
            _say(f"  - {veto}")
    if isinstance(error, StepFailed) and error.last_done:
        _say(f"  last step done: {error.last_done}")
    if error.hint:
        _say(f"  next: {error.hint}")


def _problem(problem: Problem) -> None:
    where = f"line {problem.line}" if problem.line else ""
    subject = f"{problem.path}: " if problem.path else ""
    found = f" (found {problem.value})" if problem.value else ""
    if problem.value == "(not shown)":
        found = " (its value is not shown)"
    _say(f"  {where:<9} {subject}{problem.reason}{found}")
    if problem.hint:
        _say(f"  {'':<9}   -> {problem.hint}")


def report_missing(error: ModuleNotFoundError) -> bool:
    """Say which extra is missing, if it is one: that is how hactl was installed, and no bug."""
    name = (error.name or "").partition(".")[0]
    if name not in EXTRAS:
        return False
    _say(f"hactl: this command needs the Python package {name}", bold=True)
    _say(f"  next: pip install 'hactl[{EXTRAS[name]}]'")
    return True


def report_bug(error: BaseException, *, verbose: int) -> None:
    """A bug: one line; the traceback goes to standard error with -v, else into a file of the user's alone."""
    place = _place(error.__traceback__)
    text = "".join(traceback.format_exception(error))
    if verbose:
        click.echo(text, err=True, nl=False)
        _say(f"hactl: this is a bug in hactl: {type(error).__name__} at {place}", bold=True)
        return
    where = _keep(text)
    tail = f"the traceback is in {where}" if where else "run it again with -v to see the traceback"
    _say(f"hactl: this is a bug in hactl: {type(error).__name__} at {place}; {tail}", bold=True)


def _place(trace: TracebackType | None) -> str:
    """`cli/status.py:31`: the last line of ours that was running."""
    ours = f"{Path(__file__).parent.parent}/"
    frames = [f for f in traceback.extract_tb(trace) if f.filename.startswith(ours)]
    return f"{frames[-1].filename.removeprefix(ours)}:{frames[-1].lineno}" if frames else "an unknown place"


def _folder() -> Path:
    if os.geteuid() == 0:
        return Path("/var/log/hactl")
    base = os.environ.get("XDG_STATE_HOME")
    return (Path(base) if base else Path.home() / ".local" / "state") / "hactl" / "log"


def _keep(text: str) -> Path | None:
    """Write a traceback to a new 0600 file. Its messages may hold what nobody else should read."""
    for folder in (_folder(), Path(tempfile.gettempdir())):
        try:
            folder.mkdir(mode=0o700, parents=True, exist_ok=True)
            stamp = time.strftime("%Y%m%dT%H%M%SZ-", time.gmtime())
            handle, path = tempfile.mkstemp(prefix=f"hactl-bug-{stamp}", suffix=".log", dir=folder)
        except OSError:
            continue
        with os.fdopen(handle, "w", encoding="utf-8", errors="replace") as file:
            file.write(text)
        return Path(path)
    return None


def _say(text: str, *, bold: bool = False) -> None:
    click.secho(text, err=True, bold=bold or None, color=colour())
