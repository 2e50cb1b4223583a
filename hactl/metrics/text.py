"""Samples as Prometheus's text: of a thousand archive nodes there are tens of thousands, at each scrape.

The client library makes objects of them first, which takes it seven times as long.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Final

from hactl.metrics.registry import METRICS, Kind
from hactl.metrics.seen import Row

_ESCAPED: Final = str.maketrans({"\\": r"\\", "\n": r"\n", '"': r"\""})


class Text:
    """Thread-safe. It keeps how each series is written: from one scrape to the next hardly any is new."""

    def __init__(self) -> None:
        self._known: dict[str, dict[tuple[str, ...], str]] = {}

    def of(self, rows: Iterable[Row], *, openmetrics: bool) -> str:
        """Each metric's lines together, as both formats demand; in the order in which metrics first come.

        Without OpenMetrics' end mark, so that more may follow. Raises KeyError: a metric that the registry
        lacks.
        """
        by_name: dict[str, tuple[dict[tuple[str, ...], str], list[str]]] = {}
        for name, labels, value in rows:
            found = by_name.get(name)
            if found is None:
                known = self._known.setdefault(name, {})
                found = by_name[name] = known, [_head(name, openmetrics=openmetrics)]
            known, lines = found
            series = known.get(labels)
            if series is None:
                series = known[labels] = _series(name, labels)
            lines.append(series + (_NUMBERS.get(value) or _number(value)))
        self._forget({name: len(lines) for name, (_, lines) in by_name.items()})
        return "".join("".join(lines) for _, lines in by_name.values())

    def _forget(self, used: Mapping[str, int]) -> None:
        """Series come and go: most of what is kept must be of use."""
        for name in list(self._known):
            if len(self._known[name]) > 2 * used.get(name, 0):
                self._known[name] = {}


def _series(name: str, values: tuple[str, ...]) -> str:
    labels = zip(METRICS[name].labels, values, strict=True)
    shown = ",".join(f'{label}="{value.translate(_ESCAPED)}"' for label, value in labels)
    return f"{name}{{{shown}}} " if shown else f"{name} "


def _head(name: str, *, openmetrics: bool) -> str:
    about = METRICS[name]
    family = name.removesuffix("_total") if openmetrics and about.kind is Kind.COUNTER else name
    return f"# HELP {family} {about.help}\n# TYPE {family} {about.kind.value}\n"


def _number(value: float) -> str:
    found = repr(float(value))
    return f"{_SPECIAL.get(found, found)}\n"


_SPECIAL: Final[Mapping[str, str]] = {"inf": "+Inf", "-inf": "-Inf", "nan": "NaN"}
_NUMBERS: Final[Mapping[float, str]] = {0: "0.0\n", 1: "1.0\n"}  # most are
