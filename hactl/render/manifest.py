"""The list of a node's rendered files: what `deploy` installs and the dispatcher's verb `files` reports."""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

from hactl import layout
from hactl.errors import Refused
from hactl.render.engine import json_document
from hactl.render.targets import RenderedFile

FILE = "manifest.json"


def _entry(file: RenderedFile, name: str) -> dict[str, Any]:
    return {
        "path": file.path, "file": name, "mode": file.mode, "owner": file.owner, "group": file.group,
        "component": file.component, "validate": file.validate, "on_change": file.on_change,
        "unit": file.unit, "secret": file.secret,
    }  # fmt: skip


def _name(path: str) -> str:
    return FILE if path == str(layout.MANIFEST) else f"files{path}"


def manifest(node: str, files: Sequence[RenderedFile]) -> RenderedFile:
    """The manifest of `node`'s `files`; it names itself too: installing all of its entries installs it."""
    blank = RenderedFile(node=node, path=str(layout.MANIFEST), content="", component="hactl")
    entries = [_entry(f, _name(f.path)) for f in sorted((*files, blank), key=lambda f: f.path)]
    return RenderedFile(
        node=node, path=blank.path, component="hactl", content=json_document({"node": node, "files": entries})
    )


def _write(target: Path, content: str) -> None:
    target.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    # 0600 from the first byte on: some of these hold passwords.
    handle = os.open(target, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
    with os.fdopen(handle, "w", encoding="utf-8") as out:
        out.write(content)


def write(files: Iterable[RenderedFile], out: Path) -> tuple[Path, ...]:
    """Write `<out>/<node>/manifest.json` and `<out>/<node>/files/...`; returns the folders of the nodes.

    Of what was there, only `files/` of the nodes in `files` is replaced: `out` may be a folder a user named.

    Raises:
        Refused: others can write into `out`, so they could have the passwords sent elsewhere by a link.

    """
    out.mkdir(mode=0o700, parents=True, exist_ok=True)
    found = out.stat()
    if found.st_uid != os.geteuid() or found.st_mode & 0o002:
        raise Refused(f"{out} belongs to another account or is open to all", hint="name a folder of your own")
    nodes: dict[str, list[RenderedFile]] = {}
    for file in files:
        nodes.setdefault(file.node, []).append(file)
    for node, mine in nodes.items():
        shutil.rmtree(out / node / "files", ignore_errors=True)
        for file in mine:
            _write(out / node / _name(file.path), file.content)
    return tuple(out / node for node in nodes)
