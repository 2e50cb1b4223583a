"""An orthanc.json as text -> values, read as Orthanc itself reads it.

Checked against Orthanc 1.10.1: comments of both kinds, a comma after the last entry and anything after the
end are taken; of a key that stands twice the last one counts; `${NAME:-value}` is an environment variable.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Mapping
from typing import Any

from hactl.view.orthanc_config import DEBIAN, OrthancConfig

_STRING = r'"(?:\\.|[^"\\])*"'
_COMMENT = re.compile(rf"{_STRING}|//[^\n]*|/\*.*?\*/", re.DOTALL)
_COMMA = re.compile(rf"{_STRING}|,(?=\s*[}}\]])", re.DOTALL)
_VARIABLE = re.compile(r"\$\{([^{}]+?)(?::-(.*?))?\}")
MASKED = "(masked)"


def parse_config(text: str) -> tuple[dict[str, Any], tuple[str, ...]]:
    """The values, and which keys stand twice (as dotted paths' last words).

    Environment variables are not those of the machine that lints: only their default values count.

    Raises:
        ValueError: Orthanc would not read it either; says where.

    """
    repeated: list[str] = []

    def gather(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
        names = [name for name, _ in pairs]
        repeated.extend(sorted({n for n in names if names.count(n) > 1}))
        return dict(pairs)

    plain = _COMMA.sub(_unless_string(), _COMMENT.sub(_unless_string(), _VARIABLE.sub(_default, text)))
    start = len(plain) - len(plain.lstrip("\ufeff \t\r\n"))
    try:
        found, _ = json.JSONDecoder(object_pairs_hook=gather, parse_constant=_refuse).raw_decode(plain, start)
    except json.JSONDecodeError as error:
        raise ValueError(f"line {error.lineno}: {error.msg}") from error
    except RecursionError as error:
        raise ValueError("nested too deeply") from error
    if not isinstance(found, dict):
        raise ValueError("not an object")  # noqa: TRY004 - one class for every wrong shape
    return found, tuple(repeated)


def _unless_string() -> Callable[[re.Match[str]], str]:
    """Blanks of the same lines: a place in what is left is one in the file."""
    return lambda m: m[0] if m[0].startswith('"') else re.sub(r"[^\n]", " ", m[0])


def _default(found: re.Match[str]) -> str:
    return found[0] if found[2] is None else found[2]


def _refuse(word: str) -> Any:
    raise ValueError(f"{word} is no JSON")


def merged(
    source: str,
    files: Mapping[str, str],
    *,
    mode: int | None = None,
    tls_floor: bool | None = None,
    version: tuple[int, ...] = DEBIAN,
) -> OrthancConfig:
    """One configuration of all its files, by name -> text. Raises ValueError that names the file."""
    values: dict[str, Any] = {}
    twice: list[str] = []
    repeated: list[str] = []
    for name, text in files.items():
        try:
            found, again = parse_config(text)
        except ValueError as error:
            raise ValueError(f"{name}: {error}") from error
        twice += sorted(values.keys() & found.keys())
        repeated += again
        values.update(found)
    return OrthancConfig(
        source, values, mode, tls_floor, version, tuple(twice), tuple(repeated), tuple(files)
    )


def parse_version(text: str) -> tuple[int, ...]:
    """`1.12.4` -> (1, 12, 4); "mainline" is newer than all. Raises ValueError."""
    if text == "mainline":
        return (999,)
    if not re.fullmatch(r"[0-9]+(\.[0-9]+){1,3}", text):
        raise ValueError(f"{text!r} is no version such as 1.12.4")
    return tuple(int(part) for part in text.split("."))


_FLOOR = re.compile(r"(?mi)^\s*MinProtocol\s*=\s*(\S+)\s*$")
_NEW = frozenset({"tlsv1.2", "tlsv1.3"})


def floor_of(openssl_conf: str) -> bool:
    """Whether an OpenSSL configuration forbids TLS below 1.2 to every program that uses it."""
    found = _FLOOR.findall(openssl_conf)
    return bool(found) and all(version.lower() in _NEW for version in found)
