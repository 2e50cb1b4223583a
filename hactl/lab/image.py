"""Builds the Debian image all machines of a lab share, once; cached by the hash of what it is made of."""

from __future__ import annotations

import os
import re
import time
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Final

from hactl.adapters.command import run
from hactl.errors import LockHeld, Refused, StepFailed
from hactl.lab import scope, sources
from hactl.lab.folder import LABS, LabFolder, replace
from hactl.lab.lock import held
from hactl.lab.recipe import Recipe
from hactl.site import LAB_FILE

CACHE: Final = Path("/var/cache/hactl/lab-image")
BUILD_LIMIT: Final = 1800.0  # seconds; about 75 s with a near mirror on two cores
_DIGEST: Final = re.compile(r"[0-9a-f]{16}")
_SUPPORTED: Final = "bookworm"

# $1 is the working folder; then the builder's argv. Leaves its exit code in a file, as its last act.
_BUILD: Final = """
dir=$1; shift
"$@"
echo $? >"$dir/exit.new" && mv "$dir/exit.new" "$dir/exit"
"""


def recipe(etc: Path = Path("/etc")) -> Recipe:
    """The image this machine can make, from its own apt sources.

    Raises:
        Refused: the machine is not Debian 12, or has no Debian sources.

    """
    release = sources.release_fields((etc / "os-release").read_text(encoding="utf-8"))
    codename = release.get("VERSION_CODENAME", "")
    if codename != _SUPPORTED or release.get("ID") != "debian":
        raise Refused(
            "the lab's image is Debian 12; it is built from the package sources of a Debian 12 machine"
        )
    text = _apt_sources(etc / "apt", codename)
    if not text:
        raise Refused(
            f"apt has no Debian source for {codename}",
            hint=f"add one to {etc}/apt/sources.list.d/debian.sources",
        )
    return Recipe(codename, run(["dpkg", "--print-architecture"], within=10).out.strip(), text)


def path_of(made: Recipe) -> Path:
    return CACHE / made.digest


def root_of(image: Path) -> Path:
    return image / "root"


def ready(made: Recipe) -> bool:
    """An image is there when it is there under its final name."""
    return root_of(path_of(made)).is_dir()


def ensure(made: Recipe, lab_scope: str, on_line: Callable[[str], None]) -> Path:
    """The image's folder, built if need be in the scope `lab_scope`; `on_line` gets the builder's progress.

    Another lab that builds it is waited for.

    Raises:
        LockHeld: another lab is building it still after the time that a build may take.
        StepFailed: the builder failed; its last lines.

    """
    image = path_of(made)
    if not ready(made):
        on_line("waiting until no other lab builds it")
        with held(CACHE, "the lab's image", wait=BUILD_LIMIT):
            clear(CACHE)
            if not ready(made):
                _build(made, lab_scope, on_line)
                _forget_others(image)
    # Old programs with setuid bits are in it: no other account of this machine may come to them.
    image.chmod(0o700)
    return image


def clear_abandoned() -> None:
    """Remove what killed builds left, unless another lab is building now."""
    if CACHE.is_dir():
        with suppress(LockHeld), held(CACHE, "the lab's image"):
            clear(CACHE)


def clear(cache: Path) -> None:
    """Remove what killed builds left; the caller holds the cache's lock."""
    for entry in cache.glob("building-*"):
        run(["rm", "-rf", "--one-file-system", str(entry)], within=300)


def account(image: Path, name: str) -> tuple[int, int]:
    """User and group id of an account in the image: shared storage must belong to the image's orthanc."""
    for line in (root_of(image) / "etc/passwd").read_text(encoding="utf-8").splitlines():
        fields = line.split(":")
        if fields[0] == name:
            return int(fields[2]), int(fields[3])
    raise StepFailed(
        f"the lab's image has no account {name}", hint="hactl lab down --image, then hactl lab up"
    )


def _build(made: Recipe, lab_scope: str, on_line: Callable[[str], None]) -> None:
    work = CACHE / f"building-{made.digest}"
    work.mkdir(mode=0o755)
    replace(work / "debian.sources", made.sources)
    # In a file, not in argv: a proxy's address may hold a password.
    replace(
        work / "apt.conf",
        sources.acquire_options(run(["apt-config", "dump"], within=20).out, os.environ),
        0o600,
    )
    log = work / "log"
    log.touch(0o600)
    where = scope.scopes()
    where.remove(lab_scope)
    where.start(lab_scope, ["sh", "-c", _BUILD, "build", str(work), *builder(made, work)], log)
    try:
        _follow(work, log, on_line)
    finally:
        where.remove(lab_scope)
    code = (work / "exit").read_text(encoding="ascii").strip()
    if code != "0":
        tail = " / ".join(log.read_text(encoding="utf-8", errors="replace").strip().splitlines()[-4:])
        raise StepFailed(
            f"the lab's image could not be built: {tail}", hint=f"the builder's whole output is in {log}"
        )
    (work / "apt.conf").unlink()
    (work / "root").chmod(0o755)
    work.chmod(0o700)
    work.rename(path_of(made))


def _follow(work: Path, log: Path, on_line: Callable[[str], None]) -> None:
    end = time.monotonic() + BUILD_LIMIT
    with log.open(encoding="utf-8", errors="replace") as file:
        while not (work / "exit").exists():
            for line in file:
                on_line(line.strip())
            if time.monotonic() >= end:
                raise StepFailed(
                    f"the lab's image was not built within {BUILD_LIMIT:g} s", hint=f"look into {log}"
                )
            time.sleep(0.1)


def _forget_others(kept: Path | None = None) -> None:
    """Images of older recipes that no lab stands on. Their folders are of ours alone: sixteen hex digits."""
    used = {kept, *(Path(LabFolder(file.parent).read()["image"]) for file in LABS.glob(f"*/{LAB_FILE}"))}
    for entry in CACHE.iterdir():
        if _DIGEST.fullmatch(entry.name) and entry not in used:
            run(["rm", "-rf", "--one-file-system", str(entry)], within=300)


def builder(made: Recipe, work: Path) -> list[str]:
    """The argv that makes the image's root in the folder `work`, where its sources and apt's options lie."""
    dpkg = ["force-unsafe-io", *(f"path-exclude={pattern}" for pattern in made.excluded)]
    return [
        "env", "DEBIAN_FRONTEND=noninteractive",
        "mmdebstrap", "--mode=root", "--variant=minbase", f"--architectures={made.architecture}",
        f"--include={','.join(made.packages)}", f"--aptopt={work / 'apt.conf'}",
        *(f"--dpkgopt={option}" for option in dpkg),
        f"--essential-hook={made.before}", f"--customize-hook={made.after}",
        made.codename, str(work / "root"), str(work / "debian.sources"),
    ]  # fmt: skip


def _apt_sources(apt: Path, codename: str) -> str:
    stanzas: list[str] = []
    for file in sorted((apt / "sources.list.d").glob("*.sources")):
        stanzas += sources.debian_stanzas(file.read_text(encoding="utf-8"), codename)
    if stanzas:
        return "\n\n".join(stanzas) + "\n"
    lines: list[str] = []
    for file in [apt / "sources.list", *sorted((apt / "sources.list.d").glob("*.list"))]:
        if file.is_file():
            lines += sources.debian_lines(file.read_text(encoding="utf-8"), codename)
    return "".join(f"{line}\n" for line in lines)


def remove_all() -> None:
    """Forget all cached images but those that a lab stands on."""
    if CACHE.is_dir():
        with held(CACHE, "the lab's image"):
            clear(CACHE)
            _forget_others()
        with suppress(OSError):  # not empty: some are in use
            CACHE.rmdir()
