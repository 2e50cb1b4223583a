"""The rendered files of the sample spec, one node of each role; `pytest --write-golden` writes them anew."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from hactl import layout
from hactl.render.targets import RenderedFile
from tests.support.rendered import rendered

GOLDEN = Path(__file__).parent / "rendered"
NODES = ("db1", "wit1", "arc1")
FILES = [f for f in rendered() if f.node in NODES]


def place(file: RenderedFile) -> Path:
    return GOLDEN / file.node / file.path.lstrip("/").replace("/", "__")


@pytest.mark.parametrize("file", FILES, ids=lambda f: f"{f.node}:{f.path}")
def test_as_before(file: RenderedFile, request: pytest.FixtureRequest) -> None:
    path = place(file)
    if request.config.getoption("--write-golden"):
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(file.content)
    assert path.is_file(), "a new file: pytest --write-golden tests/golden"
    assert file.content == path.read_text()


def test_nothing_is_left_of_files_that_are_not_rendered_any_more(request: pytest.FixtureRequest) -> None:
    wanted = {place(f) for f in FILES}
    stale = [path for path in GOLDEN.rglob("*") if path.is_file() and path not in wanted]
    if request.config.getoption("--write-golden"):
        for path in stale:
            path.unlink()
        stale = []
    assert stale == []


def test_the_second_node_of_a_role_differs_in_names_and_addresses_only() -> None:
    files = [f for f in rendered() if not f.path.endswith("/hactl-scrub.timer")]  # the nodes take turns
    for one, two in (("db1", "db2"), ("arc1", "arc2")):
        first = {f.path: words(exchanged(f.content)) for f in files if f.node == one}
        assert first == {f.path: words(f.content) for f in files if f.node == two}
        assert str(layout.MANIFEST) in first


def words(text: str) -> list[str]:
    """In any order: each node lists itself first."""
    return sorted(re.split(r"[\s,]+", text))


def exchanged(text: str) -> str:
    """Every name and address of a pair's nodes replaced by the other one's."""
    return re.sub(r"\b(db|arc|192\.0\.2\.[12])([12])\b", lambda m: f"{m[1]}{3 - int(m[2])}", text)
