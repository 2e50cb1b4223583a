#!/usr/bin/python3
"""Install a component's files on a node, all or none.

Every changed file is written beside its place and validated by its own program first; only when all of them
passed are they moved into place. The bundle arrives as one opaque string: it holds secrets, and an argument
that is masked as a whole cannot mask harmless words in the output.
"""

from __future__ import annotations

import base64
import grp
import gzip
import json
import os
import pwd
import re
import stat
import subprocess
import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ansible.module_utils.basic import AnsibleModule

VALIDATE_WITHIN = 30  # seconds; nginx -t and promtool take about one
MASK = "********"
# Secrets that were replaced are not in the mask any more, and an encoded one never was: hide what such words
# introduce, what the generator makes (letters of both kinds and digits, 16 or more), the end of pgpass lines.
_SECRET_LINE = re.compile(
    r"(?i)((?:password|passwd|secret|basic|hactl_admin|hactl_ops|scram-sha-256)[^\s:=$]*[\s\"':=$]+).+"
)
_GENERATED = re.compile(r"\b(?=\w*[a-z])(?=\w*[A-Z])(?=\w*[0-9])[A-Za-z0-9]{16,}={0,2}")
_LINE = re.compile(r"(?m)^.+$")
_PGPASS_LINE = re.compile(r"(?m)^(([^:\n]*:){4}).+$")


class Rejected(Exception):
    """A file cannot be installed; says which one and why."""


@dataclass(frozen=True)
class Wanted:
    """A file as it should be; `mode` is octal text, `secret` content is shown only masked."""

    path: str
    content: str
    mode: str
    owner: str
    group: str
    validate: list[str] | None
    secret: bool


@dataclass(frozen=True)
class Found:
    """What lies there now; content is None when there is no plain file."""

    content: bytes | None
    attributes: str


def unpack(bundle: str) -> dict[str, Any]:
    loaded: dict[str, Any] = json.loads(gzip.decompress(base64.b64decode(bundle)))
    return loaded


def _ids(owner: str, group: str) -> tuple[int, int] | None:
    """Numeric owner and group, or None when this node does not know one of them (yet)."""
    try:
        return pwd.getpwnam(owner).pw_uid, grp.getgrnam(group).gr_gid
    except KeyError:
        return None


def _names(uid: int, gid: int) -> str:
    try:
        owner = pwd.getpwuid(uid).pw_name
    except KeyError:
        owner = str(uid)
    try:
        group = grp.getgrgid(gid).gr_name
    except KeyError:
        group = str(gid)
    return f"{owner}:{group}"


def look(path: str) -> Found:
    """The file at `path`; a symbolic link or a folder counts as no file."""
    try:
        status = os.lstat(path)
    except (FileNotFoundError, NotADirectoryError):
        return Found(None, "absent")
    attributes = f"{stat.S_IMODE(status.st_mode):04o} {_names(status.st_uid, status.st_gid)}"
    if not stat.S_ISREG(status.st_mode):
        return Found(None, "not a plain file")
    return Found(Path(path).read_bytes(), attributes)


def differs(wanted: Wanted, found: Found) -> bool:
    return (
        found.content != wanted.content.encode()
        or found.attributes != f"{wanted.mode} {wanted.owner}:{wanted.group}"
    )


def masked(path: str, text: str, secrets: list[str]) -> str:
    """As hactl/render/compare.py does it, from which a module on a node cannot import."""
    for secret in secrets:
        text = text.replace(secret, MASK)
    if path.endswith("/bmc"):  # nothing but a password, which a site may have chosen
        return _LINE.sub(MASK, text)
    if path.endswith("pgpass"):
        text = _PGPASS_LINE.sub(rf"\1{MASK}", text)
    return _GENERATED.sub(MASK, _SECRET_LINE.sub(rf"\1{MASK}", text))


def diff_of(wanted: Wanted, found: Found, mask: list[str]) -> dict[str, str]:
    """Before and after for Ansible's --diff. A private key never shows, a secret file shows masked."""
    before = (found.content or b"").decode(errors="replace")
    after = wanted.content
    if wanted.path.endswith(".key"):
        before, after = (f"{word} private key\n" for word in ("the old", "the new"))
    elif wanted.secret:
        before, after = (masked(wanted.path, text, mask) for text in (before, after))
    return {
        "before_header": f"{wanted.path} ({found.attributes})",
        "after_header": f"{wanted.path} ({wanted.mode} {wanted.owner}:{wanted.group})",
        "before": before,
        "after": after,
    }


def _prepare(wanted: Wanted) -> str:
    """Write the new content beside its place with its final rights; returns the temporary path."""
    ids = _ids(wanted.owner, wanted.group)
    if ids is None:
        raise Rejected(
            f"{wanted.path}: this node has no user {wanted.owner} or group {wanted.group}:"
            " is its package installed?"
        )
    folder, name = os.path.split(wanted.path)
    os.makedirs(folder, mode=0o755, exist_ok=True)
    # The suffix stays last: validators look at it.
    handle, temporary = tempfile.mkstemp(prefix=".hactl-", suffix=f"-{name}", dir=folder)
    with os.fdopen(handle, "wb") as out:
        os.fchown(handle, *ids)
        os.fchmod(handle, int(wanted.mode, 8))
        out.write(wanted.content.encode())
        out.flush()
        os.fsync(handle)
    return temporary


def _validate(wanted: Wanted, temporary: str) -> None:
    if not wanted.validate:
        return
    argv = [temporary if word == "%s" else word.replace("%s", temporary) for word in wanted.validate]
    try:
        done = subprocess.run(
            argv, capture_output=True, text=True, errors="replace", timeout=VALIDATE_WITHIN, check=False
        )
    except FileNotFoundError as error:
        raise Rejected(
            f"{wanted.path}: {argv[0]} is not on this node, so nothing can check the new content"
        ) from error
    except subprocess.TimeoutExpired as error:
        raise Rejected(
            f"{wanted.path}: {argv[0]} did not finish checking it within {VALIDATE_WITHIN} s"
        ) from error
    if done.returncode != 0:
        said = (done.stderr or done.stdout).strip().replace(temporary, wanted.path)
        raise Rejected(
            f"{wanted.path}: {' '.join(wanted.validate[:2])} refuses the new content: {said[-600:]}"
        )


def install(changed: list[Wanted]) -> None:
    """All of `changed`, or none when one of them does not pass its validation.

    Raises:
        Rejected: one did not pass, or its owner does not exist.

    """
    prepared: list[tuple[Wanted, str]] = []
    try:
        for wanted in changed:
            # One by one: what was written before a failure has to be removed.
            prepared.append((wanted, _prepare(wanted)))  # noqa: PERF401
        for wanted, temporary in prepared:
            _validate(wanted, temporary)
        for wanted, temporary in prepared:
            if os.path.isdir(wanted.path) and not os.path.islink(wanted.path):
                raise Rejected(f"{wanted.path} is a folder")
            os.replace(temporary, wanted.path)
    finally:
        for _, temporary in prepared:
            Path(temporary).unlink(missing_ok=True)


def ensure_folders(folders: list[dict[str, str]], *, check: bool) -> list[str]:
    """The folders that were missing or had other rights, mended unless `check`."""
    changed = []
    for folder in folders:
        path, mode = folder["path"], int(folder["mode"], 8)
        ids = _ids(folder["owner"], folder["group"])
        status = os.stat(path) if os.path.isdir(path) else None
        if status and ids == (status.st_uid, status.st_gid) and stat.S_IMODE(status.st_mode) == mode:
            continue
        changed.append(path)
        if check:
            continue
        if ids is None:
            raise Rejected(f"{path}: this node has no user {folder['owner']} or group {folder['group']}")
        os.makedirs(path, exist_ok=True)
        os.chown(path, *ids)
        os.chmod(path, mode)
    return changed


def outdated(manifest: str | None, wanted: list[Wanted]) -> list[str]:
    """Files that the node's manifest names and the new one does not: hactl put them there."""
    if not manifest:
        return []
    new = next(w.content for w in wanted if w.path == manifest)
    try:
        old = [entry["path"] for entry in json.loads(Path(manifest).read_text())["files"]]
    except (OSError, ValueError, KeyError, TypeError):
        return []
    kept = {entry["path"] for entry in json.loads(new)["files"]}
    return sorted(path for path in old if path not in kept and os.path.lexists(path))


def keep(path: str, packed: str, *, check: bool) -> bool:
    """Root's own copy of the bundle, with which the node puts the files back by itself; whether it is new."""
    try:
        if Path(path).read_text(encoding="ascii") == packed:
            return False
    except (OSError, ValueError):
        pass  # none yet, or spoiled
    if not check:
        folder, name = os.path.split(path)
        os.makedirs(folder, mode=0o700, exist_ok=True)
        handle, temporary = tempfile.mkstemp(prefix=f".{name}-", dir=folder)  # 0600
        with os.fdopen(handle, "w", encoding="ascii") as out:
            out.write(packed)
        os.replace(temporary, path)
    return True


def work(bundle: dict[str, Any], *, check: bool, packed: str = "") -> dict[str, Any]:
    """Bring folders and files to what the bundle says; the result is what Ansible reports."""
    folders = ensure_folders(bundle["folders"], check=check)
    pairs = [(wanted, look(wanted.path)) for wanted in (Wanted(**f) for f in bundle["files"])]
    changed = [(wanted, found) for wanted, found in pairs if differs(wanted, found)]
    stale = outdated(bundle.get("manifest"), [wanted for wanted, _ in pairs])
    if not check:
        install([wanted for wanted, _ in changed])
        for path in stale:
            os.unlink(path)
    kept = bool(bundle.get("keep")) and keep(bundle["keep"], packed, check=check)
    return {
        "changed": bool(folders or changed or stale or kept),
        "folders": folders,
        "written": [wanted.path for wanted, _ in changed],
        "removed": stale,
        "diff": [diff_of(wanted, found, bundle["mask"]) for wanted, found in changed],
    }


def main() -> None:
    module = AnsibleModule(
        argument_spec={"bundle": {"type": "str", "required": True, "no_log": True}}, supports_check_mode=True
    )
    try:
        packed = module.params["bundle"]
        result = work(unpack(packed), check=module.check_mode, packed=packed)
    except (Rejected, OSError) as error:
        module.fail_json(msg=str(error))
    module.exit_json(**result)


if __name__ == "__main__":
    main()
