"""The valid sample spec, and copies of it with single values changed."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final

import yaml

from hactl.errors import Problem, SpecError
from hactl.spec.load import load
from hactl.spec.model import ClusterSpec

SAMPLE: Final = Path(__file__).parent.parent / "samples" / "cluster.yaml"
GONE: Final = object()


def sample() -> ClusterSpec:
    return load(SAMPLE.read_text(encoding="utf-8"), "sample")


def edited(changes: Mapping[str, Any]) -> dict[str, Any]:
    """The sample as a plain document, with dotted paths set to other values, or removed where GONE."""
    document: dict[str, Any] = yaml.safe_load(SAMPLE.read_text(encoding="utf-8"))
    for path, value in changes.items():
        *parents, key = path.split(".")
        here = document
        for part in parents:
            here = here.setdefault(part, {})
        if value is GONE:
            del here[key]
        else:
            here[key] = value
    return document


def found_in_text(text: str) -> tuple[Problem, ...]:
    """The problems `load` finds; none when it makes a spec."""
    try:
        load(text, "spec.yaml")
    except SpecError as error:
        return error.problems
    return ()


def found_in(changes: Mapping[str, Any]) -> tuple[Problem, ...]:
    return found_in_text(yaml.safe_dump(edited(changes), sort_keys=False))
