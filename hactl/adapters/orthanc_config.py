"""Where an Orthanc's configuration comes from: a file, a folder of files, or a node's dispatcher."""

from __future__ import annotations

import base64
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Protocol

from hactl import layout
from hactl.errors import StepFailed, Unreachable, UsageError
from hactl.view.orthanc_config import DEBIAN, OrthancConfig
from hactl.view.parse.fields import mapping
from hactl.view.parse.orthanc_config import floor_of, merged

LIMIT = 4 * 1024 * 1024  # bytes; Orthanc's own commented default file has 38 KB
FILES_WITHIN = 20.0  # seconds for a node's answer, as `hactl config diff`
_DROP_IN = str(layout.SYSTEMD / "orthanc.service.d" / "hactl.conf")


class Asks(Protocol):
    """A node's dispatcher."""

    def ask(self, sentence: str, *, within: float) -> bytes: ...


def read(path: Path, *, version: tuple[int, ...] = DEBIAN) -> OrthancConfig:
    """A file, or the *.json files of a folder, as Orthanc reads them: without sub-folders.

    Raises:
        UsageError: it cannot be read, or is nothing that Orthanc would read.

    """
    try:
        paths = _files(path)
        texts = {str(p): _text(p) for p in paths}
        mode = 0
        for each in paths:
            mode |= each.stat().st_mode
    except OSError as error:
        raise UsageError(f"{path}: {error.strerror}") from error
    try:
        return merged(str(path), texts, mode=mode & 0o777, version=version)
    except ValueError as error:
        raise UsageError(f"Orthanc does not read {error}") from error


def _files(path: Path) -> list[Path]:
    if not path.is_dir():
        return [path]
    found = sorted(p for p in path.iterdir() if p.suffix.lower() == ".json" and not p.is_dir())
    if not found:
        raise UsageError(f"{path} has no file whose name ends in .json")
    return found


def _text(path: Path) -> str:
    with path.open("rb") as file:
        content = file.read(LIMIT + 1)
    if len(content) > LIMIT:
        raise UsageError(f"{path} is too large for a configuration")
    return content.decode("utf-8", "replace")


def from_node(node: str, dispatcher: Asks, *, version: tuple[int, ...] = DEBIAN) -> OrthancConfig:
    """What lies on a node, its passwords masked there.

    Raises:
        Unreachable: the node does not answer, or its dispatcher is too old to tell.
        StepFailed: it has no configuration, or one that is no JSON.

    """
    try:
        answer = mapping(json.loads(dispatcher.ask("files", within=FILES_WITHIN)), "files")
    except ValueError as error:
        raise Unreachable(f"{node}: not a dispatcher's list of files: {error}") from error
    return understand(node, answer, version=version)


def understand(node: str, files: Mapping[str, Any], *, version: tuple[int, ...] = DEBIAN) -> OrthancConfig:
    """The dispatcher's answer to `files`. Raises as `from_node`."""
    place = str(layout.ORTHANC_CONFIG)
    found = files.get(place)
    if not isinstance(found, dict):
        raise StepFailed(f"{node} has no {place}", hint=f"hactl deploy --limit {node}")
    if "masked" not in found:
        raise Unreachable(f"{node} does not tell of {place}", hint=f"hactl deploy --limit {node}")
    if not isinstance(found["masked"], dict):
        raise StepFailed(f"{node}: {place} is no JSON that can be read", hint=f"hactl deploy --limit {node}")
    return OrthancConfig(node, found["masked"], int(found["mode"], 8), _floor(files), version, files=(place,))


def _floor(files: Mapping[str, Any]) -> bool:
    """Whether Orthanc's environment names an OpenSSL configuration, and that one forbids old TLS."""
    named = f"OPENSSL_CONF={layout.ORTHANC_OPENSSL}" in _content(files, _DROP_IN)
    return named and floor_of(_content(files, str(layout.ORTHANC_OPENSSL)))


def _content(files: Mapping[str, Any], path: str) -> str:
    found = files.get(path)
    sent = found.get("content") if isinstance(found, dict) else None
    return base64.b64decode(sent).decode("utf-8", "replace") if isinstance(sent, str) else ""
