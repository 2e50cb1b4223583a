"""Turns values into file contents.

YAML and JSON are built as structures and serialised. Other formats are Jinja2 templates; there, a value may
hold only characters that mean nothing in any of our formats. What needs more is quoted by a filter that
knows the format.
"""

from __future__ import annotations

import functools
import json
import re
from collections.abc import Iterable, Mapping
from typing import Any

import jinja2
import yaml

from hactl import resources

# No quotes, braces, semicolons, hashes, backslashes, line ends, dollar or per cent signs: a value can end
# neither its line nor its block, and no program expands it.
_PLAIN = re.compile(r"[A-Za-z0-9_./:@=,+ -]*")


class Quoted(str):
    """Text that a filter has quoted for the format it goes into."""

    __slots__ = ()


def _finalize(value: object) -> object:
    """Raises ValueError for a value that could mean more than itself where a template prints it."""
    if isinstance(value, Quoted):
        return value
    if isinstance(value, jinja2.Undefined):
        return value  # StrictUndefined raises when it is printed
    text = str(value)
    if not _PLAIN.fullmatch(text):
        raise ValueError(f"{text[:40]!r} must not stand unquoted in a configuration file")
    return text


def sql_literal(value: object) -> Quoted:
    """An SQL string constant; right for every setting of standard_conforming_strings."""
    text = str(value)
    if "\x00" in text:
        raise ValueError("SQL text cannot hold a NUL byte")
    escaped = text.replace("'", "''").replace("\\", "\\\\")
    return Quoted(("E'" if "\\" in text else "'") + escaped + "'")


def sql_name(value: object) -> Quoted:
    """An SQL identifier. In pg_hba.conf too: quoted there, `all` is a name and not everybody."""
    text = str(value)
    if re.search(r"[\x00\r\n]", text):
        raise ValueError("an SQL name cannot hold a line end")
    return Quoted('"' + text.replace('"', '""') + '"')


def nft_set(elements: Iterable[object]) -> Quoted:
    """An anonymous set of nftables: addresses, networks or ports, each checked as any other plain value."""
    return Quoted("{ " + ", ".join(str(_finalize(element)) for element in elements) + " }")


def python_literal(value: object) -> Quoted:
    """A constant for a rendered Python script: text, numbers, lists and dicts of them."""
    return Quoted(repr(value))


def pgpass_field(value: object) -> Quoted:
    """One field of a pgpass line."""
    text = str(value)
    if re.search(r"[\x00\r\n]", text):
        raise ValueError("a pgpass field cannot hold a line end")
    return Quoted(text.replace("\\", "\\\\").replace(":", "\\:"))


@functools.cache
def _environment() -> jinja2.Environment:
    env = jinja2.Environment(
        loader=jinja2.FileSystemLoader(resources.folder("templates")),
        undefined=jinja2.StrictUndefined,
        finalize=_finalize,
        keep_trailing_newline=True,
        trim_blocks=True,
        lstrip_blocks=True,
        autoescape=False,  # noqa: S701 - no HTML here; _finalize refuses what would need escaping
    )
    env.filters |= {
        "sql": sql_literal,
        "name": sql_name,
        "pgpass": pgpass_field,
        "py": python_literal,
        "nftset": nft_set,
    }
    return env


def text(template: str, /, **values: Any) -> str:
    """Render `templates/<template>`; a value that is missing or not plain is an error, never left empty."""
    return _environment().get_template(template).render(**values)


def header(node: str, cluster: str) -> Quoted:
    """The first line of every file that allows a comment; ends with a line end."""
    return Quoted(
        f"# hactl rendered this for {node} of cluster {cluster}; the next deployment overwrites it.\n"
    )


class _Dumper(yaml.SafeDumper):
    """Quotes the text `0E0`, too: PyYAML takes it for text, YAML 1.2 (and so our reader) for a number."""

    def ignore_aliases(self, data: object) -> bool:  # noqa: ARG002 - an anchor is legal YAML, but unpleasant to read
        return True


_Dumper.add_implicit_resolver(
    "tag:yaml.org,2002:float",
    re.compile(r"[-+]?(?:[0-9]+(?:\.[0-9]*)?|\.[0-9]+)[eE][-+]?[0-9]+$"),
    list("-+.0123456789"),
)


def yaml_document(data: Mapping[str, Any], comment: str = "") -> str:
    """`data` as YAML, in its own order; parsing it back yields the same."""
    body: str = yaml.dump(
        data, Dumper=_Dumper, sort_keys=False, default_flow_style=False, allow_unicode=False, width=10_000
    )
    return comment + body


def json_document(data: Mapping[str, Any]) -> str:
    return json.dumps(data, indent=2, ensure_ascii=False) + "\n"
