"""Where drills are kept: NAME.jsonl (history), NAME.verdict.json and NAME.record.json in one folder."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from hactl.errors import UsageError

SUFFIX = ".record.json"


def folder(state: Path) -> Path:
    return state / "drills"


def save(place: Path, run: str, found: Mapping[str, Any]) -> Path:
    target = place / f"{run}{SUFFIX}"
    target.write_text(json.dumps(found, indent=1) + "\n", encoding="utf-8")
    return target


def records(place: Path) -> list[dict[str, Any]]:
    """All there are, the oldest first. Raises UsageError: a file is something else."""
    found = [_read(path) for path in place.glob(f"*{SUFFIX}")] if place.is_dir() else []
    return sorted(found, key=lambda r: str(r.get("started", "")))


def _read(path: Path) -> dict[str, Any]:
    try:
        found = json.loads(path.read_text(encoding="utf-8"))
    except (ValueError, OSError) as error:
        raise UsageError(f"{path} is not the record of a drill: {error}") from error
    if not isinstance(found, dict) or "scenario" not in found:
        raise UsageError(f"{path} is not the record of a drill")
    return found


def chosen(found: list[dict[str, Any]], run: str | None) -> dict[str, Any]:
    """The newest, or the one of this name. Raises UsageError: there is none."""
    if not found:
        raise UsageError("there was no drill yet", hint="hactl drill run primary/power-off")
    if run is None:
        return found[-1]
    named = next((r for r in found if r.get("run") == run), None)
    if named is None:
        raise UsageError(f"no drill {run!r}", hint="hactl drill report --list")
    return named
