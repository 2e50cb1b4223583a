"""A value somebody wrote against what PostgreSQL says a parameter may be: units, ranges, words.

As PostgreSQL reads postgresql.conf (guc.c: parse_int, parse_real, parse_bool, convert_to_base_unit).
"""

from __future__ import annotations

import re
from decimal import ROUND_HALF_EVEN, Decimal
from typing import Final

from hactl.view.setting import Setting

_NUMBER: Final = re.compile(r"([+-]?(?:[0-9]+(?:\.[0-9]*)?|\.[0-9]+)(?:[eE][+-]?[0-9]{1,3})?)\s*([A-Za-z]*)")
_UNIT: Final = re.compile(r"([0-9]*)([A-Za-z]+)")
# From the largest to the smallest, in bytes and in microseconds.
_MEMORY: Final = (("TB", 1024**4), ("GB", 1024**3), ("MB", 1024**2), ("kB", 1024), ("B", 1))
_TIME: Final = (
    ("d", 86_400_000_000), ("h", 3_600_000_000), ("min", 60_000_000), ("s", 1_000_000), ("ms", 1000),
    ("us", 1),
)  # fmt: skip
_TRUE, _FALSE = ("true", "yes", "on", "1"), ("false", "no", "off", "0")
_ALIAS: Final = {("wal_compression", "on"): "pglz"}  # what SHOW says afterwards
_CLOSE: Final = Decimal("1e-9")
_HUGE: Final = Decimal(10) ** 20  # above all ranges; Decimal rounds no more than 28 digits


def canonical(setting: Setting, value: object) -> str:
    """The value as pg_settings would show it, in the parameter's own unit.

    Raises:
        ValueError: PostgreSQL would not take it; the sentence says why.

    """
    text = ("on" if value else "off") if isinstance(value, bool) else str(value).strip()
    if setting.kind == "bool":
        return _switch(text)
    if setting.kind == "enum":
        return _word(setting, text)
    if setting.kind in {"integer", "real"}:
        return _number(setting, text)
    return str(value)


def same(setting: Setting, one: object, other: object) -> bool:
    """Whether the two mean one value; what cannot be read is equal to itself only."""
    try:
        first, second = canonical(setting, one), canonical(setting, other)
    except ValueError:
        return str(one) == str(other)
    if setting.kind == "real":
        a, b = Decimal(first), Decimal(second)
        return abs(a - b) <= _CLOSE * max(abs(a), abs(b), Decimal(1))
    return first == second


def written(value: object) -> str:
    """A value of the spec or of Patroni's configuration, as one writes it; nothing: not set."""
    if isinstance(value, bool):
        return "on" if value else "off"
    return "" if value is None else str(value)


def _switch(text: str) -> str:
    """As parse_bool: any beginning of a word that says which one it is."""
    low = text.lower()
    yes = [w for w in _TRUE if low and w.startswith(low)]
    no = [w for w in _FALSE if low and w.startswith(low)]
    if bool(yes) == bool(no):
        raise ValueError("is a switch: on or off")
    return "on" if yes else "off"


def _word(setting: Setting, text: str) -> str:
    low = text.lower()
    if low in setting.words:
        return _ALIAS.get((setting.name, low), low)
    # PostgreSQL takes true, yes and 1 where a word is `on`, and does not list them.
    if {"on", "off"} <= set(setting.words):
        for words, meaning in ((_TRUE, "on"), (_FALSE, "off")):
            if low in words:
                return _ALIAS.get((setting.name, meaning), meaning)
    raise ValueError(f"is one of {', '.join(setting.words)}")


def _number(setting: Setting, text: str) -> str:
    found = _NUMBER.fullmatch(text)
    if found is None or re.match(r"[+-]?0[0-9]", text):  # 010 would be 8
        raise ValueError(
            "is a number" + (f", with or without a unit ({_units(setting.unit)})" if setting.unit else "")
        )
    number = Decimal(found[1])
    if found[2]:
        number = _in_base_unit(setting, number, found[2])
    whole = setting.kind == "integer"
    if whole and abs(number) < _HUGE:
        number = number.quantize(Decimal(1), ROUND_HALF_EVEN)
    low, high = Decimal(setting.low or "-Infinity"), Decimal(setting.high or "Infinity")
    if not low <= number <= high:
        raise ValueError(f"must lie between {_shown(setting, low)} and {_shown(setting, high)}")
    return str(int(number)) if whole else _plain(number)


def _in_base_unit(setting: Setting, number: Decimal, unit: str) -> Decimal:
    table = _table(setting.unit)
    names = [name for name, _ in table]
    if unit not in names:
        says = f"its units are {_units(setting.unit)} (as written here)" if table else "it has no unit"
        raise ValueError(f"has the unit {unit}: {says}")
    count, base = _base(setting.unit)
    sizes = dict(table)
    number = number * sizes[unit] / (count * sizes[base])
    below = names.index(unit) + 1
    if (
        below < len(names) and setting.kind == "integer" and abs(number) < _HUGE
    ):  # 30.1GB is a whole number of MB
        step = Decimal(sizes[names[below]]) / (count * sizes[base])
        number = (number / step).quantize(Decimal(1), ROUND_HALF_EVEN) * step
    return number


def _base(unit: str) -> tuple[int, str]:
    found = _UNIT.fullmatch(unit)
    if found is None:
        raise ValueError(f"has a unit that hactl does not know: {unit}")
    return int(found[1] or 1), found[2]


def _table(unit: str) -> tuple[tuple[str, int], ...]:
    name = _base(unit)[1] if unit else ""
    return next((table for table in (_MEMORY, _TIME) if name in dict(table)), ())


def _units(unit: str) -> str:
    return ", ".join(name for name, _ in reversed(_table(unit))) or "none"


def _shown(setting: Setting, number: Decimal) -> str:
    """With the largest unit that leaves a whole number."""
    table = _table(setting.unit)
    if not number.is_finite() or number <= 0 or not table:
        return _plain(number)
    count, base = _base(setting.unit)
    total = number * count * dict(table)[base]
    for name, size in table:
        if total % size == 0:
            return f"{_plain(total / size)}{name}"
    return f"{_plain(number)} x {setting.unit}"


def _plain(number: Decimal) -> str:
    if not number.is_finite():
        return "anything"
    return f"{number.normalize():f}"
