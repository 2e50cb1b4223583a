"""YAML text -> ClusterSpec, or every problem in it at once."""

from __future__ import annotations

from collections.abc import Iterable

from pydantic import ValidationError

from hactl.errors import Problem, SpecError
from hactl.spec import document, explain, rules
from hactl.spec.model import ClusterSpec
from hactl.spec.shown import safe


def load(text: str, source: str) -> ClusterSpec:
    """The spec in `text`; `source` is the file's name, for messages.

    Raises:
        SpecError: with all problems found: of the YAML, of single values, and between values.

    """
    return check(document.parse(text), source)


def check(read: document.Document, source: str) -> ClusterSpec:
    """The spec in a document that was read; raises as `load`."""
    if read.data is None and not read.problems:
        raise SpecError(source, [Problem("", "", "the document is empty", "write one: hactl spec init")])
    if not isinstance(read.data, dict):
        wrong = Problem("", "", "a spec is a mapping: lines of the form `key: value`", "see hactl spec init")
        raise SpecError(source, read.problems or [wrong])
    spec, found = _validate(read.data)
    problems = _in_order([*read.problems, *found, *rules.broken(read.data)], read.lines)
    if problems or spec is None:
        raise SpecError(source, problems)
    return spec


def _validate(data: object) -> tuple[ClusterSpec | None, list[Problem]]:
    try:
        return ClusterSpec.model_validate(data), []
    except ValidationError as error:
        return None, explain.problems(error, data)


def _in_order(problems: Iterable[Problem], lines: dict[str, int]) -> list[Problem]:
    """Problems with their lines, in the order of the text; of two that say the same about one place, one."""
    placed = [
        Problem(
            path=safe(problem.path),
            value=safe(problem.value),
            reason=safe(problem.reason),
            hint=safe(problem.hint),
            line=problem.line or _line(problem.path, lines),
        )
        for problem in problems
    ]
    return sorted(dict.fromkeys(placed), key=lambda problem: problem.line)


def _line(path: str, lines: dict[str, int]) -> int:
    """The line of a path, or of what surrounds it when the text does not have it."""
    while path and path not in lines:
        path = path.rpartition(".")[0]
    return lines.get(path, 0)
