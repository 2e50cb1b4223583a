from __future__ import annotations

import re
from pathlib import Path

import pytest

from tests.support.doc_files import ROOT, anchors, links, pages, prose, slug

ITEM = re.compile(r"\s*([-*]|\d+\.) ")


@pytest.mark.parametrize("page", pages(), ids=lambda page: page.relative_to(ROOT).as_posix())
def test_every_relative_link_leads_somewhere_also_on_a_git_host(page: Path) -> None:
    broken = [
        f"{target.name}#{anchor}"
        for target, anchor in links(page)
        if not target.exists() or (anchor and anchor not in anchors(target))
    ]
    assert broken == []


@pytest.mark.parametrize("page", pages()[2:], ids=lambda page: page.relative_to(ROOT).as_posix())
def test_lists_and_tables_stand_apart_or_the_site_shows_one_paragraph(page: Path) -> None:
    """Git hosts begin a list in the middle of a paragraph; the site's Markdown does not."""
    found, before = [], ""
    for line in prose(page).splitlines():
        # The end of an item's second paragraph: the next item would be read as its last line.
        within = before.startswith("    ") and not line.startswith(" ")
        apart = not before.strip() or (before.startswith(("#", " ", "\t")) and not within)
        if ITEM.match(line) and not apart and not ITEM.match(before):
            found.append(line)
        if line.startswith("|") and not apart and not before.startswith("|"):
            found.append(line)
        before = line
    assert found == []


def test_anchors_are_those_of_git_hosts() -> None:
    assert slug("What `act` does: *all* of it, [twice](x.md)") == "what-act-does-all-of-it-twice"
    assert slug("ARCHIVE_GIVEN_UP") == "archive_given_up"
