"""The valid sample spec, and copies of it with single values changed."""

from __future__ import annotations

import functools
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final

import yaml

from hactl.errors import Problem, SpecError
from hactl.spec.document import Document
from hactl.spec.load import check, load
from hactl.spec.model import ClusterSpec

SAMPLE: Final = Path(__file__).parent.parent / "samples" / "cluster.yaml"
GONE: Final = object()


@functools.cache
def _sample() -> str:
    """The sample as JSON, which is read a hundred times faster."""
    return json.dumps(yaml.safe_load(SAMPLE.read_text(encoding="utf-8")))


@functools.cache
def sample() -> ClusterSpec:
    return load(SAMPLE.read_text(encoding="utf-8"), "sample")


def edited(changes: Mapping[str, Any]) -> dict[str, Any]:
    """The sample as a plain document, with dotted paths set to other values, or removed where GONE."""
    document: dict[str, Any] = json.loads(_sample())
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
    """As `found_in_text`, of the sample with `changes`; without lines, as there is no text."""
    try:
        check(Document(edited(changes)), "spec.yaml")
    except SpecError as error:
        return error.problems
    return ()
