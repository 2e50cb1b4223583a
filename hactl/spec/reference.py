"""Makes docs/spec.md from the model: `python -m hactl.spec.reference > docs/spec.md`."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from typing import Any, Final

from hactl.spec import types
from hactl.spec.example import EXAMPLE
from hactl.spec.rules import RULES
from hactl.spec.rules_database import REFUSED_PARAMETERS
from hactl.spec.schema import schema

_INTRO: Final = """\
# The spec

<!-- Made by `python -m hactl.spec.reference > docs/spec.md`; a test compares. Do not edit. -->

One YAML file says what the installation is meant to be. It is found at `--spec FILE`, `$HACTL_SPEC`,
`./cluster.yaml`, `/etc/hactl/cluster.yaml`, or in the lab that is up, in this order. A file that everybody
may write, or a group other than root, is refused.

- `hactl spec init` writes a commented example (below).
- `hactl spec check` names all that is wrong at once: line, path, value, reason, and what to do. Exit code 2.
- `hactl spec show` prints the spec as it takes effect; `-o yaml` reads back as the same spec.
- `hactl spec schema` prints JSON Schema for editors.

Unknown keys are refused, so are duplicate keys, keys that are not text, YAML tags, and documents that
unfold to something huge. Numbers are decimal (`0104` is text, not 68), dates are text. Secrets do not
belong into the spec; messages never show a value that may be one.

## Example

```yaml
"""
_FORMATS: Final = {
    "ipv4": "IPv4 address",
    "ipv4interface": "IPv4 address/prefix",
    "ipv4network": "IPv4 network",
}
_PLAIN: Final = {"string": "text", "integer": "whole number", "number": "number", "boolean": "true or false"}


def reference() -> str:
    """The whole document, Markdown."""
    found = schema()
    parts = [_INTRO + EXAMPLE + "```\n", "## Keys\n", _section("", found, "(top)")]
    for path, name in _places(found, found, ""):
        parts.append(_section(path, found["$defs"][name], f"`{path}`"))
    parts += ["## Rules between values\n", *_rules(), "## Kinds of text\n", *_kinds()]
    parts += ["## PostgreSQL parameters that are refused\n", *_parameters()]
    return "\n".join(parts)


def _places(whole: dict[str, Any], here: dict[str, Any], path: str) -> Iterator[tuple[str, str]]:
    """Where each model stands: (`nodes.NAME`, `Node`), ... in the order of the model."""
    for key, field in here["properties"].items():
        for suffix, name in _models(field):
            place = f"{path}.{key}{suffix}" if path else f"{key}{suffix}"
            yield place, name
            yield from _places(whole, whole["$defs"][name], place)


def _choices(field: dict[str, Any]) -> list[dict[str, Any]]:
    """What may stand there; that it may also be left out is said by its default."""
    return [choice for choice in field["anyOf"] if choice.get("type") != "null"]


def _models(field: dict[str, Any]) -> Iterator[tuple[str, str]]:
    if "$ref" in field:
        name = field["$ref"].rpartition("/")[2]
        if name != "Role":
            yield "", name
    elif "anyOf" in field:
        for choice in _choices(field):
            yield from _models(choice)
    elif "patternProperties" in field:
        value = next(iter(field["patternProperties"].values()))
        if "$ref" in value:
            yield ".NAME", value["$ref"].rpartition("/")[2]
    elif "items" in field:
        for choice in field["items"].get("oneOf", field["items"].get("anyOf", [])):
            yield "[]", choice["$ref"].rpartition("/")[2]


def _section(path: str, model: dict[str, Any], title: str) -> str:
    lines = [f"### {title}\n"]
    if path and "description" in model:
        lines.append(f"{model['description']}\n")
    lines += ["| key | what | default | meaning |", "|---|---|---|---|"]
    required = model.get("required", [])
    for key, field in model["properties"].items():
        default = "**required**" if key in required else _default(field)
        meaning = field.get("description", "").replace("|", "\\|")
        lines.append(f"| `{key}` | {_type(field)} | {default} | {meaning} |")
    return "\n".join(lines) + "\n"


def _default(field: dict[str, Any]) -> str:
    value = field.get("default")
    if value is None or value in ([], {}):
        return "as below" if "$ref" in field else "none"
    return f"`{str(value).lower() if isinstance(value, bool) else value}`"


def _type(field: dict[str, Any]) -> str:
    if "$ref" in field:
        return "`database`, `witness`, `archive`" if field["$ref"].endswith("/Role") else "mapping, see below"
    if "anyOf" in field:
        return " or ".join(dict.fromkeys(_type(choice) for choice in _choices(field)))
    if "items" in field:
        return "list, see below" if "oneOf" in field["items"] else f"list of {_type(field['items'])}"
    if "patternProperties" in field:
        return _mapping(field)
    return f"`{field['const']}`" if "const" in field else _word(field)


def _word(field: dict[str, Any]) -> str:
    pattern = field.get("pattern", "")
    if "minimum" in field and "maximum" in field:
        return f"whole number, {field['minimum']} to {field['maximum']}"
    if pattern == types.DURATION_TEXT:
        return "duration"
    return types.KINDS.get(pattern) or _FORMATS.get(field.get("format", "")) or _PLAIN[field["type"]]


def _mapping(field: dict[str, Any]) -> str:
    [(pattern, value)] = field["patternProperties"].items()
    return f"mapping: {types.KINDS[pattern]} → {_type(value).replace('mapping, see below', 'see below')}"


def _rules() -> Iterator[str]:
    yield from (f"- {(rule.__doc__ or '').strip()}" for rule in RULES)
    yield ""


def _kinds() -> Iterator[str]:
    yield "| kind | rule | pattern |\n|---|---|---|"
    for pattern, kind in types.KINDS.items():
        yield f"| {kind} | {types.SAYS[pattern]} | `{pattern}` |"
    yield "| duration | a number and ms, s, min, h or d: `500ms`, `3s`, `4h` | |\n"


def _parameters() -> Iterator[str]:
    for why, names in REFUSED_PARAMETERS.items():
        shown = ", ".join(f"`{name.replace('[a-z_]+', '*').replace('[a-z_]*', '*')}`" for name in names)
        yield f"- It {why}: {shown}."
    yield ""


if __name__ == "__main__":
    sys.stdout.write(reference())
