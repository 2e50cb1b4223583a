"""How a server is asked for its settings, and its answer."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from hactl.view.parse.fields import Json, document, items, mapping, text
from hactl.view.setting import Setting

# Where a value stands is told to pg_read_all_settings, thus pg_monitor.
SETTINGS: Final = """'settings', (select json_agg(json_build_object(
  'name', name, 'kind', vartype, 'value', setting, 'shown', current_setting(name), 'unit', unit,
  'context', context, 'low', min_val, 'high', max_val, 'words', enumvals, 'source', source,
  'file', sourcefile, 'default', boot_val, 'pending', pending_restart)) from pg_settings)"""
# One value comes back, in JSON.
QUERY: Final = f"select json_build_object({SETTINGS})"


def parse_settings(body: bytes) -> Mapping[str, Setting]:
    """By name. Raises ValueError: not the answer to QUERY."""
    answer = mapping(document(body, "settings"), "settings")
    found = [_setting(row) for row in items(answer.get("settings"), "settings")]
    if not found:
        raise ValueError("settings: none")
    return {setting.name: setting for setting in found}


def _setting(row: Json) -> Setting:
    def word(key: str) -> str:
        value = row.get(key)
        return "" if value is None else text(value, f"settings: {key}")

    words = row.get("words") or []
    if not isinstance(words, list):
        raise ValueError("settings: words")  # noqa: TRY004 - one class for every wrong shape
    return Setting(
        name=text(row.get("name"), "settings: name").lower(),  # TimeZone, DateStyle: written in any case
        kind=word("kind"), value=word("value"), shown=word("shown"), unit=word("unit"),
        context=word("context"), low=word("low"), high=word("high"),
        words=tuple(text(w, "settings: words") for w in words), source=word("source"), file=word("file"),
        default=word("default"), pending=row.get("pending") is True,
    )  # fmt: skip
