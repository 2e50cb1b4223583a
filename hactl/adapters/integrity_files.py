"""What manifest, scrub and reconcile last wrote on this node."""

from __future__ import annotations

import dataclasses
import json
import time
from pathlib import Path
from typing import Any, Final

from hactl.view.integrity import IntegrityFacts
from hactl.view.parse.integrity import from_files, signing_age

LIMIT: Final = 64 * 1024  # bytes; theirs have a few hundred


def integrity_facts(folder: Path) -> IntegrityFacts:
    """Missing and damaged files count as never written. Raises nothing."""
    names = ("manifest.json", "scrub.json", "reconcile.json")
    manifest, scrub, reconcile = (_read(folder / name) for name in names)
    now = time.time()
    facts = from_files(manifest, scrub, reconcile, now)
    return dataclasses.replace(facts, signs=signing_age(_read(folder / "signing.json"), now))


def _read(path: Path) -> dict[str, Any] | None:
    try:
        with path.open("rb") as file:
            found = json.loads(file.read(LIMIT))
    except (OSError, ValueError, RecursionError):
        return None
    return found if isinstance(found, dict) else None
