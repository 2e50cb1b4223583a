"""YAML text -> plain dicts, lists and scalars, without YAML's surprises.

Refused: duplicate keys, keys that are not text, tags, recursion, documents that unfold to something huge.
Numbers are read as YAML 1.2 does, so that `0104` is not 68 and `1:30` is not 90; dates stay text.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any, Final

import yaml
from yaml.nodes import MappingNode, Node, ScalarNode, SequenceNode

from hactl.errors import Problem
from hactl.spec.shown import dotted, shown

MAX_TEXT: Final = 1024 * 1024
MAX_DEPTH: Final = 32  # the spec itself needs 6
MAX_NUMBER: Final = 64
MAX_NODES: Final = 100_000  # after aliases are followed; a spec of a thousand nodes has 10,000
MERGE: Final = "tag:yaml.org,2002:merge"
QUOTE_HINT: Final = "a value that begins with one of * & ! % @ ` must stand in quotes"

Path = tuple[str | int, ...]


@dataclass
class Document:
    """`data` is what the text says, as far as it could be read; `lines`: dotted path -> line."""

    data: Any = None
    problems: list[Problem] = field(default_factory=list)
    lines: dict[str, int] = field(default_factory=dict)


class _Loader(yaml.SafeLoader):
    """SafeLoader that stops at MAX_DEPTH instead of exhausting Python's stack."""

    depth = 0

    def compose_node(self, parent: Node | None, index: int) -> Node | None:
        self.depth += 1
        if self.depth > MAX_DEPTH:
            raise yaml.MarkedYAMLError(problem="too many levels", problem_mark=self.get_mark())
        found: Node | None = super().compose_node(parent, index)
        self.depth -= 1
        return found


# YAML 1.2's numbers, so that JSON is read as JSON; without its 0o17 and 0x1F, which are text here.
_INT = ("tag:yaml.org,2002:int", re.compile(r"[-+]?(?:0|[1-9][0-9]*)$"))
_FLOAT = (
    "tag:yaml.org,2002:float",
    re.compile(
        r"(?:[-+]?(?:[0-9]+\.[0-9]*|\.[0-9]+)(?:[eE][-+]?[0-9]+)?|[-+]?[0-9]+[eE][-+]?[0-9]+"
        r"|[-+]?\.(?:inf|Inf|INF)|\.(?:nan|NaN|NAN))$"
    ),
)


def _resolvers() -> dict[str, list[tuple[str, re.Pattern[str]]]]:
    keep = {f"tag:yaml.org,2002:{kind}" for kind in ("bool", "null", "merge")}
    table = {k: [r for r in v if r[0] in keep] for k, v in yaml.SafeLoader.yaml_implicit_resolvers.items()}
    for first in "-+.0123456789":
        table[first] = [_INT, _FLOAT, *table.get(first, [])]
    return table


_Loader.yaml_implicit_resolvers = _resolvers()


def compose(text: str) -> Node | None:
    """The document's nodes, each with its place in the text; None: it is empty. Raises yaml.YAMLError."""
    loader = _Loader(text)
    try:
        found: Node | None = loader.get_single_node()
        return found
    finally:
        loader.dispose()


def parse(text: str) -> Document:
    """Read one YAML document. Never raises: what is wrong stands in `problems`."""
    document = Document()
    if len(text) > MAX_TEXT:
        document.problems.append(Problem("", "", f"the text is longer than {MAX_TEXT // 1024} KiB"))
        return document
    try:
        loader = _Loader(text)
        try:
            root = loader.get_single_node()
            if root is not None and _is_too_large(root):
                document.problems.append(
                    Problem("", "", "its aliases unfold to something huge, or to itself")
                )
            elif root is not None:
                document.data = _Reader(loader, document).read(root, ())
        finally:
            loader.dispose()
    except yaml.YAMLError as error:
        document.problems.append(_syntax(error))
    return document


def _syntax(error: yaml.YAMLError) -> Problem:
    """One sentence with line and column. The text around it is not shown: it may be a secret."""
    mark = getattr(error, "problem_mark", None) or getattr(error, "context_mark", None)
    problem = str(getattr(error, "problem", None) or getattr(error, "reason", None) or "it cannot be read")
    # Quoted words longer than a character come from the document (`password: *hunter2`).
    problem = re.sub(r"\s*'[^']{2,}'", "", problem.splitlines()[0])
    where = f"line {mark.line + 1}, column {mark.column + 1}: " if mark else ""
    hint = QUOTE_HINT if re.search(r"alias|anchor|tag|cannot start|directive", problem) else ""
    return Problem("", "", f"this is not YAML: {where}{problem}", hint)


def _is_too_large(root: Node) -> bool:
    """Whether the document, its aliases followed, is too large, too deep, or contains itself."""
    known: dict[int, tuple[int, int]] = {}
    never = (MAX_NODES + 1, MAX_DEPTH + 1)

    def measure(node: Node) -> tuple[int, int]:
        """Number of nodes and depth. Aliases point back, so this goes no deeper than the text itself."""
        if id(node) not in known:
            known[id(node)] = never  # seen again before it is replaced: the node contains itself
            sizes = [measure(child) for child in _children(node)]
            known[id(node)] = (
                1 + sum(n for n, _ in sizes),
                1 + max((depth for _, depth in sizes), default=0),
            )
        return known[id(node)]

    size, depth = measure(root)
    return size > MAX_NODES or depth > MAX_DEPTH


def _children(node: Node) -> list[Node]:
    if isinstance(node, SequenceNode):
        return list(node.value)
    if isinstance(node, MappingNode):
        return [part for pair in node.value for part in pair]
    return []


class _Reader:
    """Turns YAML nodes into plain values and notes what is wrong on the way."""

    def __init__(self, loader: _Loader, document: Document) -> None:
        self._loader = loader
        self._document = document

    def read(self, node: Node, path: Path) -> Any:
        self._document.lines[dotted(path)] = node.start_mark.line + 1
        kind = node.tag.removeprefix("tag:yaml.org,2002:")
        if isinstance(node, MappingNode) and kind == "map":
            return self._mapping(node, path)
        if isinstance(node, SequenceNode) and kind == "seq":
            return [self.read(child, (*path, n)) for n, child in enumerate(node.value)]
        if isinstance(node, ScalarNode) and kind in {"str", "bool", "null", "int", "float"}:
            return self._scalar(node, path)
        self._note(path, node, "YAML tags have no meaning in a spec", QUOTE_HINT)
        return None

    def _mapping(self, node: MappingNode, path: Path) -> dict[str, Any]:
        self._refuse_duplicates(node, path)
        found: dict[str, Any] = {}
        for key, value in self._pairs(node, path):
            if not isinstance(key, ScalarNode) or key.tag != "tag:yaml.org,2002:str":
                text = shown((), key.value) if isinstance(key, ScalarNode) else "a list or mapping"
                self._note(
                    path, key, f"a key must be text, this is {text}", "write it in quotes, or as a word"
                )
            elif key.value not in found:
                found[key.value] = self.read(value, (*path, key.value))
                self._document.lines[dotted((*path, key.value))] = key.start_mark.line + 1
        return found

    def _pairs(self, node: MappingNode, path: Path) -> Iterator[tuple[Node, Node]]:
        """The mapping's own pairs, then those it merges (`<<`); of two with the same key the first counts."""
        merged = [value for key, value in node.value if key.tag == MERGE]
        yield from (pair for pair in node.value if pair[0].tag != MERGE)
        for value in merged:
            for part in value.value if isinstance(value, SequenceNode) else [value]:
                if isinstance(part, MappingNode):
                    yield from self._pairs(part, path)
                else:
                    self._note(path, part, "only mappings can be merged by <<")

    def _refuse_duplicates(self, node: MappingNode, path: Path) -> None:
        first_lines: dict[tuple[str, str], int] = {}
        for key, _ in node.value:
            if not isinstance(key, ScalarNode):
                continue
            if first := first_lines.get((key.tag, key.value)):
                self._note(
                    (*path, key.value), key, f"stands here a second time; the first is on line {first}"
                )
            else:
                first_lines[key.tag, key.value] = key.start_mark.line + 1

    def _scalar(self, node: ScalarNode, path: Path) -> Any:
        if node.tag in {_INT[0], _FLOAT[0]} and len(node.value) > MAX_NUMBER:
            self._note(path, node, "this number is too long")
            return None
        try:
            return self._loader.construct_object(node)
        except (ValueError, LookupError):  # an explicit tag, as in `!!int many`
            self._note(path, node, "this is not what its YAML tag says")
        return None

    def _note(self, path: Path, node: Node, reason: str, hint: str = "") -> None:
        line = node.start_mark.line + 1
        self._document.problems.append(Problem(dotted(path), "", reason, hint, line))
