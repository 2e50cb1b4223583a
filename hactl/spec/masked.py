"""A spec's text for places that more people read than the file: addresses that hold a token are left out."""

from __future__ import annotations

from collections.abc import Iterator

import yaml
from yaml.nodes import MappingNode, Node, ScalarNode, SequenceNode

from hactl.spec import document
from hactl.spec.shown import HIDDEN, dotted

MASK = f'"{HIDDEN}"'
# All else that may be a secret a spec cannot hold: rules_services.agent_options, rules_database.parameters.
SECRET_KEYS = frozenset({"webhook"})
Path = tuple[str | int, ...]


def masked(text: str) -> str:
    """`text`, each secret replaced. What is no YAML is left out as a whole."""
    try:
        places = [(n.start_mark.index, n.end_mark.index) for p, n in _scalars(text) if _secret(p, n)]
    except yaml.YAMLError:
        return MASK
    return _replaced(text, [(begin, end, MASK) for begin, end in places])


def filled(text: str, current: str) -> str:
    """A masked text with the secrets that stand at the same places in `current`.

    Raises:
        ValueError: `current` has none at some of them; names these.

    """
    known = {p: current[n.start_mark.index : n.end_mark.index] for p, n in _scalars(current) if _secret(p, n)}
    places = [(p, n) for p, n in _scalars(text) if n.value == HIDDEN]
    missing = [dotted(p) for p, _ in places if p not in known]
    if missing:
        raise ValueError(f"secrets are not kept, and the spec of today has none for {', '.join(missing)}")
    return _replaced(text, [(n.start_mark.index, n.end_mark.index, known[p]) for p, n in places])


def _replaced(text: str, places: list[tuple[int, int, str]]) -> str:
    for begin, end, new in sorted(set(places), reverse=True):
        text = text[:begin] + new + text[end:]
    return text


def _secret(path: Path, node: ScalarNode) -> bool:
    word = next((part for part in reversed(path) if isinstance(part, str)), "")
    return word in SECRET_KEYS or "@" in str(node.value).partition("://")[2].partition("/")[0]


def _scalars(text: str) -> Iterator[tuple[Path, ScalarNode]]:
    root = document.compose(text)
    if root is not None:
        yield from _below(root, (), 0)


def _below(node: Node, path: Path, depth: int) -> Iterator[tuple[Path, ScalarNode]]:
    if depth > document.MAX_DEPTH:  # an alias to itself
        return
    if isinstance(node, ScalarNode):
        yield path, node
    elif isinstance(node, MappingNode):
        for key, value in node.value:
            yield from _below(value, (*path, str(key.value)), depth + 1)
    elif isinstance(node, SequenceNode):
        for index, value in enumerate(node.value):
            yield from _below(value, (*path, index), depth + 1)
