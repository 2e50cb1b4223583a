"""Data files looked through after a drill: the primary's first, and what could not be looked at is told."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import pytest

from hactl.cli import labdrill
from hactl.drill.ground import Ground
from hactl.drill.history import History, Mark, Sound
from hactl.drill.session import Session
from hactl.errors import StepFailed, Unreachable
from hactl.lab.lab import Lab

HISTORY = "ab12  /var/lib/postgresql/15/main/pg_wal/00000002.history\n"


def session(tmp_path: Path, look: Callable[[str], Sound] | None) -> Session:
    ground = SimpleNamespace(databases=("db1", "db2"), sound=look)
    return Session(cast("Ground", ground), History.create(tmp_path / "h.jsonl"), "run")


def test_the_primary_first_for_the_standby_has_the_extension_from_it(tmp_path: Path) -> None:
    made = session(tmp_path, Sound)
    made.look_through(lambda: "db2")
    assert [e.node for e in made.history.snapshot() if isinstance(e, Sound)] == ["db2", "db1"]


@pytest.mark.parametrize("fails", ["the primary", "a node"])
def test_what_could_not_be_looked_at_is_a_note(tmp_path: Path, fails: str) -> None:
    def look(node: str) -> Sound:
        if node == "db2":
            raise StepFailed("pg_amcheck ended with 1: no")
        return Sound(node)

    def nobody() -> str:
        raise Unreachable("no primary")

    made = session(tmp_path, look)
    made.look_through(nobody if fails == "the primary" else lambda: "db1")
    [note] = [e for e in made.history.snapshot() if isinstance(e, Mark)]
    assert note.detail.startswith("data files not looked through: ")


def test_where_nobody_can_look_nothing_is_said(tmp_path: Path) -> None:
    made = session(tmp_path, None)
    made.look_through(lambda: pytest.fail("asked for nothing"))
    assert made.history.snapshot() == ()


class FakeLab:
    """Its nodes answer as they should; `amcheck`: what that ends with and prints."""

    def __init__(self, amcheck: tuple[int, str, str]) -> None:
        self.amcheck, self.asked = amcheck, list[tuple[str, str]]()
        self.spec = SimpleNamespace(
            databases={"db1": None, "db2": None}, database=SimpleNamespace(version=15, name="orthanc")
        )

    def exec(self, node: str, argv: list[str], **_: Any) -> SimpleNamespace:
        words = " ".join(argv)
        self.asked.append((node, words))
        if "pg_is_in_recovery" in words:
            return SimpleNamespace(code=0, out="f\n" if node == "db1" else "t\n", err="")
        if "pg_amcheck" in words:
            code, out, err = self.amcheck
            return SimpleNamespace(code=code, out=out, err=err)
        return SimpleNamespace(code=0, out=HISTORY if argv[0] == "find" else "", err="")


def look(node: str, *amcheck: Any) -> tuple[Sound, list[str]]:
    lab = FakeLab(amcheck or (0, "", ""))
    found = labdrill.sound(cast("Lab", lab), node)
    return found, [words for at, words in lab.asked if at == node]


def test_each_database_is_looked_through_on_each_node() -> None:
    for node, makes in (("db1", 2), ("db2", 0)):
        found, asked = look(node)
        assert found == Sound(node, (), {"00000002.history": "ab12"})
        assert sum("create extension" in words for words in asked) == makes
        [words] = [words for words in asked if "pg_amcheck" in words]
        assert "--database hactl --database orthanc" in words


def test_what_it_complains_of_is_kept_and_what_it_skips_is_not_sound() -> None:
    said = 'btree index "hactl.public.x":\n    ERROR:  invalid page in block 3\n'
    assert look("db1", 2, said, "")[0].said == (
        'btree index "hactl.public.x": ERROR:  invalid page in block 3',
    )
    with pytest.raises(StepFailed, match=r"ended with 0: .*skipping"):
        look("db1", 0, "", 'pg_amcheck: warning: skipping database "orthanc": amcheck is not installed')
