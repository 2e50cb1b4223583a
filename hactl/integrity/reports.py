"""Small JSON files that say how far a run is and what came of it: for agent, dispatcher and people.

No patient's data: uuids of files, counts, reasons.
"""

from __future__ import annotations

import json
import os
from dataclasses import asdict, dataclass, field, fields
from pathlib import Path
from typing import Any, Final

from hactl.errors import StepFailed

SCRUB, RECONCILE, MANIFEST = "scrub.json", "reconcile.json", "manifest.json"
SIGNING: Final = "signing.json"
SCRUB_REPORT, RECONCILE_REPORT = "scrub-report.json", "reconcile-report.json"
LISTED: Final = 1000  # findings that a report names; all are counted, and kept in the marks


@dataclass
class Progress:
    """A scrub, while it runs and afterwards.

    `state`: planning, running, mending, done, stopped, failed. `position`: the folder up to which all was
    read. `known`: objects that the manifest has; `unchecked`: neither it nor the index has a digest.
    `held_s`: seconds it waited for others' load. `planned`, `last_whole`: Unix times.
    """

    run: str = ""
    state: str = "planning"
    started: str = ""
    ended: str = ""
    planned: float = 0.0
    position: str = ""
    objects: int = 0
    bytes: int = 0
    done: int = 0
    done_bytes: int = 0
    known: int = 0
    unchecked: int = 0
    active_s: float = 0.0
    held_s: float = 0.0
    mended: int = 0
    why: str = ""
    manifest: list[str] = field(default_factory=list)
    marks: dict[str, int] = field(default_factory=dict)
    last_whole: float = 0.0

    def plain(self) -> dict[str, Any]:
        return asdict(self)


def progress(found: dict[str, Any] | None) -> Progress:
    """From what was written; what a newer or older hactl wrote besides is left out."""
    known = {f.name for f in fields(Progress)}
    return Progress(**{name: value for name, value in (found or {}).items() if name in known})


def write(path: Path, data: dict[str, Any]) -> None:
    """Whole or not at all, readable by everybody. Raises StepFailed."""
    scratch = path.with_name(f".{path.name}.new")
    try:
        with scratch.open("w") as file:
            json.dump(data, file, indent=1)
            file.flush()
            os.fsync(file.fileno())
        scratch.chmod(0o644)
        scratch.replace(path)
    except OSError as error:
        raise StepFailed(f"{path}: {error.strerror}") from error


def read(path: Path) -> dict[str, Any] | None:
    """None: there is none, or nobody can read it."""
    try:
        found = json.loads(path.read_text())
    except (OSError, ValueError):
        return None
    return found if isinstance(found, dict) else None
