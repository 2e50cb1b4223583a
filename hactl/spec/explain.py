"""pydantic's errors -> problems that a user can act on: path, value, reason, hint."""

from __future__ import annotations

import difflib
from collections.abc import Iterable, Sequence
from typing import Any, Final, get_args

from pydantic import BaseModel, ValidationError
from pydantic_core import ErrorDetails

from hactl.errors import Problem
from hactl.spec.model import ClusterSpec, Role
from hactl.spec.shown import dotted, shown
from hactl.spec.types import SAYS

Path = tuple[str | int, ...]

_REASONS: Final = {
    "missing": "is missing",
    "extra_forbidden": "unknown key",
    "model_type": "must be a mapping",
    "dict_type": "must be a mapping",
    "tuple_type": "must be a list",
    "string_type": "must be text",
    "bool_type": "must be true or false",
    "int_type": "must be a whole number",
    "is_instance_of": "is not a duration",
    "ip_v4_address": "is not an IPv4 address",
    "ip_v4_interface": "is not an IPv4 address with a prefix length",
    "ip_v4_network": "is not an IPv4 network",
    "too_short": "must not be empty",
}
_HINTS: Final = {
    "string_type": "write it in quotes",
    "tuple_type": "write [a, b], or one entry on each line after a hyphen",
    "int_type": "write it without quotes and without a leading zero",
    "bool_type": "write true or false without quotes",
    "is_instance_of": "write for example 500ms, 3s, 10min, 4h",
    "ip_v4_address": "write it like 192.0.2.11",
    "ip_v4_interface": "write it like 192.0.2.100/24",
    "ip_v4_network": "write the network's own address, like 192.0.2.0/24",
    "notice": "write for example - email: oncall@example.org",
}


def problems(error: ValidationError, document: object) -> list[Problem]:
    """All of pydantic's findings about `document`, in its order."""
    return [_problem(detail, document) for detail in error.errors(include_url=False) if not _is_echo(detail)]


def _is_echo(detail: ErrorDetails) -> bool:
    """A list that is called too short because its entries are wrong; those are named already."""
    return detail["type"] == "too_short" and len(detail["input"]) >= detail["ctx"]["min_length"]


def _problem(detail: ErrorDetails, document: object) -> Problem:
    kind = detail["type"]
    path = _real_path(detail["loc"], document, missing=kind == "missing")
    if kind == "missing":
        return Problem(dotted(path), "", _REASONS[kind], _describe(path))
    if kind == "extra_forbidden":
        return Problem(dotted(path), "", _REASONS[kind], _near_keys(path))
    value = path[-1] if detail["loc"] and detail["loc"][-1] == "[key]" else detail["input"]
    return Problem(dotted(path), shown(path, value), _reason(detail), _hint(detail))


def _real_path(loc: Sequence[str | int], document: object, *, missing: bool) -> Path:
    """The path without the parts that name no place: "[key]", and the tag of a union."""
    path: list[str | int] = []
    here: Any = document
    for n, part in enumerate(loc):
        is_key = isinstance(here, dict) and part in here
        is_index = isinstance(here, list) and isinstance(part, int)
        if is_key or is_index or (missing and n == len(loc) - 1):
            path.append(part)
            here = here[part] if is_key or is_index else None
    return tuple(path)


def _reason(detail: ErrorDetails) -> str:
    kind, context = detail["type"], detail.get("ctx", {})
    sentences = {
        "string_pattern_mismatch": lambda: SAYS.get(context["pattern"], detail["msg"]),
        "string_too_long": lambda: f"is longer than {context['max_length']} characters",
        "greater_than_equal": lambda: f"must be at least {context['ge']}",
        "less_than_equal": lambda: f"must be at most {context['le']}",
        "enum": lambda: f"must be {context['expected']}",
        "literal_error": lambda: f"must be {context['expected']}",
    }
    return sentences[kind]() if kind in sentences else _REASONS.get(kind, detail["msg"])


def _hint(detail: ErrorDetails) -> str:
    kind, given = detail["type"], detail["input"]
    if kind == "string_type" and isinstance(given, dict | list | None):
        return ""
    if kind == "enum" and isinstance(given, str):
        return did_you_mean(given, list(Role))
    return _HINTS.get(kind, "")


def did_you_mean(given: str, known: Iterable[str]) -> str:
    """A hint that names the one key that was probably meant, or "" when nothing is near."""
    near = difflib.get_close_matches(given.lower()[:64], list(known), n=1, cutoff=0.7)
    return f"did you mean {near[0]}?" if near else ""


def _near_keys(path: Path) -> str:
    model = _model_at(path[:-1])
    if model is None:
        return ""
    return did_you_mean(str(path[-1]), model.model_fields) or f"known here: {', '.join(model.model_fields)}"


def _describe(path: Path) -> str:
    model = _model_at(path[:-1])
    field = model.model_fields.get(str(path[-1])) if model else None
    return field.description or "" if field else ""


def _model_at(path: Path) -> type[BaseModel] | None:
    """The model that describes the mapping at a path of the spec."""
    here: Any = ClusterSpec
    for part in path:
        if isinstance(here, type) and issubclass(here, BaseModel):
            field = here.model_fields.get(str(part))
            here = _given(field.annotation) if field else None
        else:
            here = _inner(here)
    return here if isinstance(here, type) and issubclass(here, BaseModel) else None


def _given(annotation: Any) -> Any:
    """The type of `X | None` where there is one."""
    types = [argument for argument in get_args(annotation) if argument is not type(None)]
    return types[0] if len(types) == 1 and type(None) in get_args(annotation) else annotation


def _inner(container: Any) -> Any:
    """What a dict or tuple holds: the last type among dict[Name, Node] or tuple[Network, ...]."""
    types = [argument for argument in get_args(container) if argument is not Ellipsis]
    return types[-1] if types else None
