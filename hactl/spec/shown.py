"""How paths and values of a spec are shown in messages: short, safe for a terminal, never a secret."""

from __future__ import annotations

import json
import re
from collections.abc import Sequence
from typing import Any, Final

MAX_SHOWN: Final = 60
MAX_SENTENCE: Final = 400
HIDDEN: Final = "(not shown)"
_PLAIN_KEY = re.compile(r"[A-Za-z0-9_-]{1,64}")
_SECRET = re.compile(
    r"pass|secret|token|credential|community|private|api_?key|webhook|conninfo|://[^/\s]*@",
    re.IGNORECASE,
)
_KINDS = {type(None): "nothing", dict: "a mapping", list: "a list", tuple: "a list"}
# Whole branches whose values may hold a secret under any name.
_SECRET_BRANCHES = {"options", "notify", "parameters"}


def dotted(path: Sequence[str | int]) -> str:
    """`nodes.db1.address`, `notify[0].webhook`, `nodes."DB 1"`."""
    text = ""
    for part in path:
        if isinstance(part, int):
            text += f"[{part}]"
        else:
            word = part if _PLAIN_KEY.fullmatch(part) else _quoted(part)
            text += f".{word}" if text else word
    return text


def shown(path: Sequence[str | int], value: Any) -> str:
    """A value for a message: 60 characters on one line; containers by their kind; secrets never."""
    if value is None or isinstance(value, dict | list | tuple | bool):
        return _KINDS.get(type(value)) or ("true" if value else "false")
    if _is_secret(path, str(value)):
        return HIDDEN
    if not isinstance(value, str):
        return str(value)[:MAX_SHOWN]
    return value if value.isascii() and _is_plain(value) else _quoted(value)


def safe(sentence: str) -> str:
    """A sentence that may quote names from the document, made fit for a terminal and a line."""
    text = "".join(c if c.isprintable() else f"\\u{ord(c):04x}" for c in sentence[:MAX_SENTENCE])
    return text + ("..." if len(sentence) > MAX_SENTENCE else "")


def _is_plain(text: str) -> bool:
    return text.isprintable() and text == text.strip() and 0 < len(text) <= MAX_SHOWN


def _is_secret(path: Sequence[str | int], text: str) -> bool:
    words = [part for part in path if isinstance(part, str)]
    return (
        not _SECRET_BRANCHES.isdisjoint(words)
        or any(_SECRET.search(word) for word in words)
        or _SECRET.search(text) is not None
    )


def _quoted(text: str) -> str:
    return json.dumps(text[:MAX_SHOWN]) + ("..." if len(text) > MAX_SHOWN else "")
