"""What mkdocs calls: in the nav of mkdocs.yml `codes/*` stands for all pages of docs/codes."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from mkdocs.config.defaults import MkDocsConfig


def on_config(config: MkDocsConfig) -> MkDocsConfig:
    config.nav = unfolded(config.nav or [], Path(config.docs_dir))
    return config


def unfolded(nav: Any, docs: Path) -> Any:
    """`nav` with that folder's pages for each `FOLDER/*` in a list, but for those that are there by name."""
    if isinstance(nav, dict):
        return {title: unfolded(part, docs) for title, part in nav.items()}
    if not isinstance(nav, list):
        return nav
    named = {part for part in nav if isinstance(part, str)}
    found: list[Any] = []
    for part in nav:
        if isinstance(part, str) and part.endswith("/*"):
            pages = sorted(p.relative_to(docs).as_posix() for p in docs.glob(part.removesuffix("*") + "*.md"))
            found += [page for page in pages if page not in named]
        else:
            found.append(unfolded(part, docs))
    return found
