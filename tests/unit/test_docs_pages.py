from __future__ import annotations

from pathlib import Path

import pytest

from hactl.decide.codes import CODES
from hactl.decide.reference import ADVICE, commands
from tests.support import generate_docs
from tests.support.doc_files import DOCS
from tests.support.site_hooks import unfolded

MADE = generate_docs.pages()


@pytest.mark.parametrize("path", MADE)
def test_a_page_that_is_made_from_the_code_is_as_the_code_says(path: str) -> None:
    page = DOCS / path
    assert page.exists(), "run: ./bootstrap docs"
    assert page.read_text(encoding="utf-8") == MADE[path], "run: ./bootstrap docs"


@pytest.mark.parametrize("folder", generate_docs.FOLDERS)
def test_nothing_else_lies_in_a_folder_of_such_pages(folder: str) -> None:
    found = {page.relative_to(DOCS).as_posix() for page in (DOCS / folder).iterdir()}
    assert found <= set(MADE)


def test_every_code_has_a_page_and_leads_there() -> None:
    assert {code.docs for code in CODES.values()} == {f"docs/codes/{name}.md" for name in CODES}
    assert all((DOCS.parent / code.docs).exists() for code in CODES.values())


def test_advice_speaks_of_codes_and_pages_that_exist() -> None:
    assert set(ADVICE) <= set(CODES)
    for name, said in ADVICE.items():
        assert set(said.related) <= set(CODES) - {name}, name
        assert all((DOCS / page).exists() for page in said.see), name


def test_every_error_says_what_hactl_does_about_it_and_what_to_do() -> None:
    lacking = [
        n for n, code in CODES.items() if code.severity == "error" and not (n in ADVICE and ADVICE[n].itself)
    ]
    assert lacking == []


@pytest.mark.parametrize(
    ("fix", "shown"),
    [
        ("hactl deploy", "`hactl deploy`"),
        ("dmesg, on NODE; hactl archive check NODE", "`dmesg`, on NODE; `hactl archive check NODE`"),
        ("hactl pki show; then hactl deploy", "`hactl pki show`; then `hactl deploy`"),
        ("mount it on NODE", "mount it on NODE"),
    ],
)
def test_a_next_command_can_be_told_from_words(fix: str, shown: str) -> None:
    assert commands(fix) == shown


def test_a_folder_of_the_nav_is_all_its_pages(tmp_path: Path) -> None:
    for name in ("b.md", "a.md", "index.md"):
        (tmp_path / "codes").mkdir(exist_ok=True)
        (tmp_path / "codes" / name).write_text("")
    nav = [{"Codes": ["codes/index.md", "codes/*"]}, {"Start": "index.md"}]
    assert unfolded(nav, tmp_path) == [
        {"Codes": ["codes/index.md", "codes/a.md", "codes/b.md"]},
        {"Start": "index.md"},
    ]
