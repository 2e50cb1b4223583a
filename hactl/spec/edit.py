"""A spec's text with other `database.parameters`: every other byte, comments too, stays as it is.

The places come from the YAML parser, and the result is read again: it must say what was meant, or nothing is
changed.
"""

from __future__ import annotations

import json
import re
from collections.abc import Collection, Mapping
from typing import Any, Final

import yaml
from yaml.nodes import MappingNode, Node, ScalarNode, SequenceNode

from hactl.spec import document

Scalar = str | int | float | bool
_PLAIN: Final = re.compile(r"[A-Za-z0-9_+-][A-Za-z0-9_./%+-]*")
PLACE: Final = ("database", "parameters")


class CannotEdit(ValueError):
    """The sentence says what to write by hand."""


def scalar(text: str) -> Scalar:
    """A word from a command line, as the spec would read it if it stood there."""
    found = document.parse(text).data if _PLAIN.fullmatch(text) else text
    return found if isinstance(found, str | int | float | bool) else text


def with_parameters(text: str, wanted: Mapping[str, Scalar], gone: Collection[str] = ()) -> str:
    """`text` with these parameters, and without those in `gone`.

    Raises:
        CannotEdit: the text is written in a way that this cannot change (anchors, merge keys, odd layout).

    """
    meant = _meant(text, wanted, gone)
    new = text
    try:
        for name in gone:
            new = _without(new, name)
        for name, value in wanted.items():
            new = _with(new, name, value)
    except (yaml.YAMLError, _Odd) as error:
        raise CannotEdit(_by_hand(wanted, gone)) from error
    read = document.parse(new)
    if read.problems or read.data != meant:
        raise CannotEdit(_by_hand(wanted, gone))
    return new


class _Odd(Exception):
    """A layout that is not edited."""


def _meant(text: str, wanted: Mapping[str, Scalar], gone: Collection[str]) -> Any:
    data = document.parse(text).data
    database = data.get(PLACE[0]) or {}
    parameters = {n: v for n, v in (database.get(PLACE[1]) or {}).items() if n not in gone}
    return {**data, PLACE[0]: {**database, PLACE[1]: {**parameters, **wanted}}}


def _by_hand(wanted: Mapping[str, Scalar], gone: Collection[str]) -> str:
    lines = [*(f"{name}: {_text(value)}" for name, value in wanted.items())]
    said = f"below database.parameters write: {', '.join(lines)}" if lines else ""
    removed = f"remove from database.parameters: {', '.join(gone)}" if gone else ""
    return "; ".join(part for part in (said, removed) if part)


def _text(value: Scalar) -> str:
    if isinstance(value, bool):
        return "true" if value else "false"
    if not isinstance(value, str):
        return str(value)
    plain = _PLAIN.fullmatch(value) and document.parse(value).data == value
    return value if plain else json.dumps(value)


def _root(text: str) -> MappingNode:
    return _mapping(document.compose(text))


def _mapping(node: Node | None) -> MappingNode:
    if not isinstance(node, MappingNode):
        raise _Odd
    return node


def _find(mapping: MappingNode, name: str) -> tuple[ScalarNode, Node] | None:
    return next(((k, v) for k, v in mapping.value if isinstance(k, ScalarNode) and k.value == name), None)


def _with(text: str, name: str, value: Scalar) -> str:
    root = _root(text)
    database = _find(root, PLACE[0])
    if database is None:
        return _added(text, root, PLACE[0], f"{{{PLACE[1]}: {{{name}: {_text(value)}}}}}")
    parameters = _find(_mapping(database[1]), PLACE[1])
    if parameters is None:
        return _added(text, _mapping(database[1]), PLACE[1], f"{{{name}: {_text(value)}}}")
    if isinstance(parameters[1], ScalarNode):  # `parameters:` and nothing behind it
        raise _Odd
    inner = _mapping(parameters[1])
    there = _find(inner, name)
    if there is None:
        return _added(text, inner, name, _text(value))
    if not isinstance(there[1], ScalarNode):
        raise _Odd
    return text[: there[1].start_mark.index] + _text(value) + text[there[1].end_mark.index :]


def _added(text: str, mapping: MappingNode, name: str, value: str) -> str:
    """One more entry at the end of a mapping, in its own style."""
    if mapping.flow_style:
        end = mapping.end_mark.index - 1  # before the brace
        inner = text[mapping.start_mark.index + 1 : end]
        comma = ", " if mapping.value and not inner.rstrip().endswith(",") else ""
        blank = len(inner) - len(inner.rstrip())
        return f"{text[: end - blank]}{comma}{name}: {value}{text[end - blank :]}"
    key, last = mapping.value[-1]
    line_end = text.find("\n", _last_end(last))
    line_end = len(text) if line_end < 0 else line_end
    return f"{text[:line_end]}\n{' ' * key.start_mark.column}{name}: {value}{text[line_end:]}"


def _last_end(node: Node) -> int:
    """Where a block collection's last scalar ends: its own end lies behind the comments that follow."""
    while isinstance(node, MappingNode | SequenceNode) and node.value and not node.flow_style:
        last = node.value[-1]
        node = last[1] if isinstance(node, MappingNode) else last
    return int(node.end_mark.index)


def _without(text: str, name: str) -> str:
    database = _find(_root(text), PLACE[0])
    parameters = _find(_mapping(database[1]), PLACE[1]) if database else None
    if parameters is None or isinstance(parameters[1], ScalarNode):
        return text
    mapping = _mapping(parameters[1])
    there = _find(mapping, name)
    if there is None:
        return text
    begin, end = there[0].start_mark.index, there[1].end_mark.index
    if mapping.flow_style:
        return _out_of_flow(text, begin, end)
    if len(mapping.value) == 1:
        return f"{text[:begin]}{{}}{text[end:]}"
    line_begin = text.rfind("\n", 0, begin) + 1
    line_end = text.find("\n", end)
    return text[:line_begin] + ("" if line_end < 0 else text[line_end + 1 :])


def _out_of_flow(text: str, begin: int, end: int) -> str:
    """With one of the commas beside it."""
    if behind := re.compile(r"\s*,[ \t]*").match(text, end):
        return text[:begin] + text[behind.end() :]
    before = re.search(r",\s*$", text[:begin])
    return text[: before.start() if before else begin] + text[end:]
