"""What lies on a node against what was rendered for it. Pure; secrets never reach the output."""

from __future__ import annotations

import base64
import binascii
import difflib
import hashlib
import json
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from hactl import layout
from hactl.render.targets import RenderedFile

MASK = "********"
# Secrets that were replaced meanwhile are not in the list any more: hide what such words introduce.
_SECRET_LINE = re.compile(
    r"(?i)((?:password|passwd|secret|basic|hactl_admin|hactl_ops|scram-sha-256)[^\s:=$]*[\s\"':=$]+).+"
)
# What the generator makes: letters of both kinds and digits, 16 or more of them.
_GENERATED = re.compile(r"\b(?=\w*[a-z])(?=\w*[A-Z])(?=\w*[0-9])[A-Za-z0-9]{16,}={0,2}")
_LINE = re.compile(r"(?m)^.+$")
_PGPASS_LINE = re.compile(r"(?m)^(([^:\n]*:){4}).+$")


@dataclass(frozen=True)
class Found:
    """A file as the dispatcher reports it; None in its place when there is no plain file.

    `content` is None where the file holds secrets: nodes tell only the SHA-256 of those.
    """

    sha256: str
    content: str | None
    mode: str
    owner: str
    group: str


@dataclass(frozen=True)
class Difference:
    """One file that is not as rendered: `missing`, `differs`, `rights` or `left over`; `diff` is masked."""

    node: str
    path: str
    what: str
    diff: str


def parse_files(body: bytes) -> dict[str, Found | None]:
    """The dispatcher's answer to `files`: path -> what lies there.

    Raises:
        ValueError: it is something else.

    """
    try:
        answer = json.loads(body)
        return {str(path): _found(entry) for path, entry in answer.items()}
    except (AttributeError, KeyError, TypeError, binascii.Error, UnicodeDecodeError) as error:
        raise ValueError(f"not a dispatcher's list of files: {error}") from error


def _found(entry: Mapping[str, Any] | None) -> Found | None:
    if entry is None:
        return None
    sent = entry["content"]
    content = None if sent is None else base64.b64decode(sent, validate=True).decode("utf-8", "replace")
    return Found(entry["sha256"], content, entry["mode"], entry["owner"], entry["group"])


def compare(
    node: str, rendered: Iterable[RenderedFile], found: Mapping[str, Found | None], secrets: Sequence[str]
) -> tuple[Difference, ...]:
    """Every file of `node` that is missing, differs, has other rights, or is not rendered any more."""
    wanted = {file.path: file for file in rendered if file.node == node}
    return tuple(_differences(node, wanted, found, secrets))


def _differences(
    node: str, wanted: Mapping[str, RenderedFile], found: Mapping[str, Found | None], secrets: Sequence[str]
) -> Iterator[Difference]:
    for path in sorted({*wanted, *found}):
        file, there = wanted.get(path), found.get(path)
        if file is None:
            if there is not None:
                yield Difference(node, path, "left over", "")
        elif there is None:
            yield Difference(node, path, "missing", "")
        elif there.sha256 != hashlib.sha256(file.content.encode()).hexdigest():
            yield Difference(node, path, "differs", _diff(file, there, secrets))
        elif (rights := f"{there.mode} {there.owner}:{there.group}") != _rights(file):
            yield Difference(node, path, "rights", f"-{rights}\n+{_rights(file)}\n")


def _rights(file: RenderedFile) -> str:
    return f"{file.mode} {file.owner}:{file.group}"


def _diff(file: RenderedFile, there: Found, secrets: Sequence[str]) -> str:
    if there.content is None:
        return "(holds secrets: only its digest was compared; hactl deploy --check shows what differs)\n"
    old, new = (masked(text, file, secrets) for text in (there.content, file.content))
    if old == new:
        return "(only secrets differ)\n"
    lines = difflib.unified_diff(
        old.splitlines(keepends=True), new.splitlines(keepends=True), f"{file.node}:{file.path}", "rendered"
    )
    return "".join(line if line.endswith("\n") else f"{line}\n" for line in lines)


def masked(text: str, file: RenderedFile, secrets: Sequence[str]) -> str:
    """`text` without its secrets: the known ones, and in a secret file what looks like one."""
    for secret in secrets:
        text = text.replace(secret, MASK)
    if not file.secret:
        return text
    if file.path == str(layout.BMC):
        return _LINE.sub(MASK, text)
    if file.path.endswith("pgpass"):
        text = _PGPASS_LINE.sub(rf"\1{MASK}", text)
    return _GENERATED.sub(MASK, _SECRET_LINE.sub(rf"\1{MASK}", text))
