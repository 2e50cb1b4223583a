"""The newest lost-commit ledger on this node: what a rewind would have thrown away, counted."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path

LIMIT = 8192  # bytes: it goes into etcd with the facts


def newest_ledger(folder: Path) -> Mapping[str, object]:
    """Empty: there is none, or it cannot be read."""
    try:
        files = sorted(folder.glob("*.json"), key=lambda path: path.stat().st_mtime)
        found = json.loads(files[-1].read_bytes()[:LIMIT]) if files else {}
    except (OSError, ValueError):
        return {}
    return found if isinstance(found, dict) else {}
