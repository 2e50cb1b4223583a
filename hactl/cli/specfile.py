"""Finds and reads the spec's file: the lookup order, and what makes a file unfit to be trusted."""

from __future__ import annotations

import errno
import json
import os
import stat
from pathlib import Path

from hactl.errors import Problem, SpecError, UsageError
from hactl.site import LAB_FILE

NODE_SPEC = Path("/etc/hactl/cluster.yaml")
LABS = Path("/var/lib/hactl-lab")
NETNS = Path("/run/netns")
MAX_SIZE = 1024 * 1024  # a spec of a thousand nodes has 100 KiB


def locate(
    chosen: str | None, *, cwd: Path | None = None, node_spec: Path | None = None, labs: Path | None = None
) -> Path:
    """The spec's path: --spec or $HACTL_SPEC, ./cluster.yaml, /etc/hactl/cluster.yaml, the lab that is up.

    Raises:
        UsageError: there is none, or several labs are up.

    """
    if chosen:
        return Path(chosen)
    node_spec = node_spec or NODE_SPEC
    for candidate in ((cwd or Path()) / "cluster.yaml", node_spec):
        if os.path.exists(candidate):  # noqa: PTH110 - pathlib raises where we may not look
            return candidate
    up = _labs_up(labs or LABS)
    if len(up) > 1:
        names = " and ".join(lab.name for lab in up)
        raise UsageError(
            f"several labs are up ({names})", hint=f"say which one: --spec {up[0] / 'cluster.yaml'}"
        )
    if up:
        return up[0] / "cluster.yaml"
    raise UsageError(
        f"no spec found: looked for ./cluster.yaml, {node_spec} and a lab that is up",
        hint="name one with --spec FILE, or write one: hactl spec init",
    )


def _labs_up(labs: Path) -> list[Path]:
    """The folders of labs whose network exists now."""
    try:
        folders = sorted(entry for entry in labs.iterdir() if (entry / LAB_FILE).is_file())
    except OSError:
        return []
    return [folder for folder in folders if (name := ops_netns(folder)) and (NETNS / name).exists()]


def ops_netns(lab: Path) -> str:
    """The name of the network namespace a lab's operator sits in; "" when lab.json does not say."""
    try:
        found = json.loads((lab / LAB_FILE).read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return ""
    name = found.get("ops_netns") if isinstance(found, dict) else None
    return name if isinstance(name, str) and "/" not in name and name not in {".", ".."} else ""


def read(path: Path) -> str:
    """The text of a spec file.

    Raises:
        UsageError: it cannot be opened.
        SpecError: others than its owner (and root) may write it; it is no file, too large, or not UTF-8.

    """
    try:
        handle = os.open(path, os.O_RDONLY | os.O_CLOEXEC | os.O_NONBLOCK)  # a FIFO must not block us
    except OSError as error:
        hint = "write one: hactl spec init" if error.errno == errno.ENOENT else ""
        raise UsageError(f"cannot read the spec {path}: {error.strerror}", hint=hint) from error
    try:
        if unfit := _unfit(path, os.fstat(handle)):
            raise SpecError(str(path), [unfit])
        with open(handle, "rb", closefd=False) as file:
            raw = file.read(MAX_SIZE + 1)
    finally:
        os.close(handle)
    if len(raw) > MAX_SIZE:
        raise SpecError(str(path), [Problem("", "", f"the file is larger than {MAX_SIZE // 1024} KiB")])
    try:
        return raw.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        line = raw.count(b"\n", 0, error.start) + 1
        raise SpecError(str(path), [Problem("", "", f"line {line} is not UTF-8")]) from error


def _unfit(path: Path, found: os.stat_result) -> Problem | None:
    """Why this file must not decide where a hospital's data goes, if so."""
    if not stat.S_ISREG(found.st_mode):
        return Problem("", "", "this is not a regular file")
    mode = f"mode {stat.S_IMODE(found.st_mode):04o}"
    if found.st_mode & stat.S_IWOTH:
        return Problem("", mode, "everybody may write this file", f"chmod go-w {path}")
    if found.st_mode & stat.S_IWGRP and found.st_gid != 0:
        return Problem(
            "", f"{mode}, group {found.st_gid}", "its group may write this file", f"chmod g-w {path}"
        )
    return None
