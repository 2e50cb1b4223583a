"""Samples as Prometheus's text: of a thousand archive nodes there are tens of thousands, at each scrape.

The client library makes objects of them first, which takes it five times as long. Pure.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Final

from hactl.metrics.registry import METRICS, Kind
from hactl.metrics.seen import Row

_ESCAPED: Final = str.maketrans({"\\": r"\\", "\n": r"\n", '"': r"\""})


def text(rows: Iterable[Row], *, openmetrics: bool) -> str:
    """Each metric's lines together, as both formats demand; in the order in which metrics first come.

    Without OpenMetrics' end mark, so that more may follow. Raises KeyError: a metric that the registry lacks.
    """
    by_name: dict[str, tuple[str, list[str]]] = {}
    written: dict[str, str] = {}  # each label's value as it is written; few differ
    for name, labels, value in rows:
        found = by_name.get(name)
        if found is None:
            found = by_name[name] = _form(name), [_head(name, openmetrics=openmetrics)]
        form, lines = found
        values = [written.get(v) or written.setdefault(v, v.translate(_ESCAPED)) for v in labels]
        lines.append(form % (*values, _NUMBERS.get(value) or _number(value)))
    return "".join("".join(lines) for _, lines in by_name.values())


def _form(name: str) -> str:
    labels = ",".join(f'{label}="%s"' for label in METRICS[name].labels)
    return f"{name}{{{labels}}} %s\n" if labels else f"{name} %s\n"


def _head(name: str, *, openmetrics: bool) -> str:
    about = METRICS[name]
    family = name.removesuffix("_total") if openmetrics and about.kind is Kind.COUNTER else name
    return f"# HELP {family} {about.help}\n# TYPE {family} {about.kind.value}\n"


def _number(value: float) -> str:
    found = repr(float(value))
    return _SPECIAL.get(found, found)


_SPECIAL: Final[Mapping[str, str]] = {"inf": "+Inf", "-inf": "-Inf", "nan": "NaN"}
_NUMBERS: Final[Mapping[float, str]] = {0: "0.0", 1: "1.0"}  # most are
