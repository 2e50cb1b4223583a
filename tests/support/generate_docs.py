"""Writes the pages of docs/ that are made from the code: `./bootstrap docs`. A test compares each."""

from __future__ import annotations

from pathlib import Path

from hactl.decide import reference as health
from hactl.decide.lint import rules as lint
from hactl.render import alerts
from hactl.spec import reference as spec
from tests.support import docs_commands

DOCS = Path(__file__).resolve().parents[2] / "docs"
FOLDERS = ("codes", "commands")  # nothing by hand lies there


def pages() -> dict[str, str]:
    """Path below docs/ -> text."""
    return {
        "spec.md": spec.reference(),
        "lint.md": lint.reference(),
        **docs_commands.pages(),
        **health.pages({alert.name: alert.lasts for alert in alerts.health()}),
    }


def write(docs: Path = DOCS) -> None:
    made = pages()
    for folder in FOLDERS:
        for page in (docs / folder).glob("*.md"):
            if page.relative_to(docs).as_posix() not in made:
                page.unlink()
    for path, text in made.items():
        (docs / path).parent.mkdir(parents=True, exist_ok=True)
        (docs / path).write_text(text, encoding="utf-8")


if __name__ == "__main__":
    write()
