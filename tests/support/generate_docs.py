"""Writes the pages of docs/ that are made from the code: `./bootstrap docs`. A test compares each."""

from __future__ import annotations

from pathlib import Path

from hactl.decide import reference as health
from hactl.decide.lint import rules as lint
from hactl.spec import reference as spec

DOCS = Path(__file__).resolve().parents[2] / "docs"

if __name__ == "__main__":
    (DOCS / "spec.md").write_text(spec.reference(), encoding="utf-8")
    (DOCS / "health.md").write_text(health.reference(), encoding="utf-8")
    (DOCS / "lint.md").write_text(lint.reference(), encoding="utf-8")
