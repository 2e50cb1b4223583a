"""One version of the configuration, as it stands in etcd: the spec's text, and who changed it why."""

from __future__ import annotations

import difflib
import hashlib
import json
from dataclasses import asdict, dataclass

from hactl.view.parse.fields import document, mapping, number

FORMAT = 1


@dataclass(frozen=True)
class ConfigVersion:
    """`text` has no secrets; `digest` is of the whole file. `how`: deploy, edit, rollback to N.

    `at` and `applied` are times as text; `applied` "": not, or not to the end. `changes`: against the former.
    """

    number: int
    author: str
    machine: str
    at: str
    how: str
    reason: str
    digest: str
    text: str
    changes: str = ""
    applied: str = ""


def digest_of(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()


def changes_between(before: str, after: str, old: str, new: str) -> str:
    """A unified diff; "": no difference."""
    lines = difflib.unified_diff(
        before.splitlines(keepends=True), after.splitlines(keepends=True), old, new, n=2
    )
    return "".join(line if line.endswith("\n") else f"{line}\n" for line in lines)


def version_text(version: ConfigVersion) -> str:
    return json.dumps({"format": FORMAT, **asdict(version)}, ensure_ascii=False, sort_keys=True)


def parse_version(value: str) -> ConfigVersion:
    """Raises ValueError: it is no version's text."""
    found = mapping(document(value.encode(), "version"), "version")
    count = number(found.get("number"))
    if count is None or found.get("format") != FORMAT:
        raise ValueError("version: no number, or a format that this hactl does not know")
    words = {
        name: str(found.get(name, ""))
        for name in ("author", "machine", "at", "how", "reason", "digest", "text", "changes", "applied")
    }
    return ConfigVersion(number=count, **words)
