from __future__ import annotations

import tomllib
from pathlib import Path

from packaging.requirements import Requirement

ROOT = Path(__file__).parents[2]
NO_EXTRA = "\N{EN DASH}"


def test_every_dependency_has_its_reason_in_the_docs() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    wanted = {(NO_EXTRA, Requirement(line).name) for line in project["dependencies"]}
    for extra, lines in project["optional-dependencies"].items():
        wanted |= {(extra, Requirement(line).name) for line in lines}
    wanted = {(extra, "types-*" if name.startswith("types-") else name) for extra, name in wanted}
    table = [
        line.split("|")[1:3]
        for line in (ROOT / "docs/dependencies.md").read_text().splitlines()
        if "|" in line
    ]
    listed = {
        (extra.strip(), name.strip().split("[")[0]) for names, extra in table[2:] for name in names.split(",")
    }
    assert listed == {(extra, name) for extra, name in wanted if name != "hactl"}
