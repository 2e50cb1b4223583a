"""The wheelhouse: everything that pip needs on the nodes, in one tar, because nodes have no internet.

Third-party wheels are fetched once per set of versions for the nodes' interpreter (Debian 12: CPython 3.11 on
amd64), whatever interpreter hactl runs with here, and cached under the hash of that set.
"""

from __future__ import annotations

import hashlib
import os
import shutil
import sys
import tarfile
import tempfile
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

from packaging.utils import canonicalize_name, parse_wheel_filename

from hactl import layout
from hactl.adapters.command import run
from hactl.deploy import ownwheel, pins
from hactl.deploy.pins import Pin
from hactl.errors import StepFailed

PYTHON = "3.11"
# glibc of Debian 12 is 2.36; wheels for any glibc up to 2.34 exist and work there.
PLATFORMS = (
    "manylinux_2_34_x86_64", "manylinux_2_28_x86_64", "manylinux_2_17_x86_64", "manylinux2014_x86_64",
    "manylinux_2_12_x86_64", "manylinux2010_x86_64", "linux_x86_64",
)  # fmt: skip
FETCH_WITHIN = 600.0
SOURCE_ONLY = (
    "python-etcd",
    "ydiff",
)  # published as source only; pure Python, so a wheel made here fits there


@dataclass(frozen=True)
class Venv:
    """One virtual environment on the nodes. `stamp` changes when, and only when, its wheels do."""

    path: str
    stamp: str
    wheels: tuple[str, ...]

    @property
    def target(self) -> str:
        """Where the link `path` points on a node that has it (library/hactl_venv.py makes both)."""
        place = PurePosixPath(self.path)
        return str(place.parent / "hactl-venvs" / f"{place.name}-{self.stamp}")


@dataclass(frozen=True)
class Wheelhouse:
    tar: Path
    hactl: Venv
    patroni: Venv


def cache_folder() -> Path:
    if os.geteuid() == 0:
        return Path("/var/cache/hactl/wheels")
    base = os.environ.get("XDG_CACHE_HOME")
    return (Path(base) if base else Path.home() / ".cache") / "hactl" / "wheels"


def stamp(*parts: str) -> str:
    """A short name for a set of wheels."""
    return hashlib.sha256("\n".join(parts).encode()).hexdigest()[:16]


def build(cache: Path, say: Callable[[str], None] = lambda _: None) -> Wheelhouse:
    """The wheelhouse of this hactl, from the cache when it is there.

    Raises:
        StepFailed: pip cannot get or make a wheel; the message has its last lines.
        Refused: this installation does not know its own dependencies.

    """
    for_hactl, for_patroni = pins.of_hactl(), pins.of_patroni()
    everything = tuple(sorted({*for_hactl, *for_patroni}))
    own = ownwheel.fingerprint()
    wheels = _third_party(cache, everything, say)
    names: dict[str, str] = {
        canonicalize_name(parse_wheel_filename(w.name)[0]): w.name for w in wheels.glob("*.whl")
    }
    result = Wheelhouse(
        tar=cache / f"wheelhouse-{stamp(own, *map(str, everything))}.tar",
        hactl=_venv(str(layout.VENV), for_hactl, names, own),
        patroni=_venv(str(layout.PATRONI_VENV), for_patroni, names),
    )
    if not result.tar.exists():
        _pack(result.tar, wheels)
    return result


def _venv(path: str, chosen: Iterable[Pin], names: dict[str, str], own: str = "") -> Venv:
    wheels = [names[canonicalize_name(pin.name)] for pin in chosen]
    if own:
        wheels.append(ownwheel.name())
    return Venv(path, stamp(PYTHON, own, *wheels), tuple(wheels))


def _third_party(cache: Path, chosen: tuple[Pin, ...], say: Callable[[str], None]) -> Path:
    """A folder with one wheel a pin; complete or not there at all."""
    folder = cache / f"wheels-{stamp(PYTHON, *PLATFORMS, *map(str, chosen))}"
    if folder.is_dir():
        return folder
    say(f"fetching {len(chosen)} Python packages for the nodes")
    cache.mkdir(mode=0o755, parents=True, exist_ok=True)
    scratch = Path(tempfile.mkdtemp(prefix=".wheels-", dir=cache))
    try:
        _fetch(scratch, chosen)
        scratch.rename(folder)
    except OSError as error:
        if not folder.is_dir():  # another hactl may have been faster: then its folder is as good
            raise StepFailed(f"the wheelhouse cannot be kept in {cache}: {error.strerror}") from error
    finally:
        shutil.rmtree(scratch, ignore_errors=True)
    return folder


def _fetch(folder: Path, chosen: tuple[Pin, ...]) -> None:
    # -P: a module of the caller's working folder must not pass for one of pip's.
    pip = [sys.executable, "-P", "-m", "pip", "--disable-pip-version-check", "--quiet"]
    source = [str(p) for p in chosen if p.name in SOURCE_ONLY]
    ready = [str(p) for p in chosen if p.name not in SOURCE_ONLY]
    environment = {
        k: v for k, v in os.environ.items() if k.startswith("PIP_") or k.lower().endswith("_proxy")
    }
    if source:
        run(
            [*pip, "wheel", "--no-deps", "--wheel-dir", str(folder), *source],
            within=FETCH_WITHIN,
            env=environment,
        )
    argv = [*pip, "download", "--no-deps", "--only-binary=:all:", *_target(), "--dest", str(folder), *ready]
    run(argv, within=FETCH_WITHIN, env=environment)
    strange = [w.name for w in folder.glob("*.whl") if "-none-any" not in w.name and "x86_64" not in w.name]
    if strange:
        raise StepFailed(f"these wheels do not fit the nodes: {', '.join(strange)}")


def _target() -> Iterator[str]:
    """Pip's options for the nodes' interpreter."""
    yield from ("--implementation", "cp", "--python-version", PYTHON)
    for abi in ("cp311", "abi3", "none"):
        yield from ("--abi", abi)
    for platform in PLATFORMS:
        yield from ("--platform", platform)


def _pack(tar: Path, wheels: Path) -> None:
    with tempfile.TemporaryDirectory(dir=tar.parent) as scratch:
        own = ownwheel.build(Path(scratch))
        fresh = Path(scratch) / "wheelhouse.tar"
        with tarfile.open(fresh, "w") as archive:  # wheels are compressed already
            for wheel in (*sorted(wheels.glob("*.whl")), own):
                archive.add(wheel, arcname=wheel.name)
        fresh.chmod(0o644)
        fresh.replace(tar)
    _sweep(tar)


def _sweep(newest: Path, keep: int = 3) -> None:
    """Each change of hactl makes a new tar; a few are kept, for going back and for other installations."""
    tars = sorted(newest.parent.glob("wheelhouse-*.tar"), key=lambda p: p.stat().st_mtime, reverse=True)
    for old in tars[keep:]:
        if old != newest:
            old.unlink(missing_ok=True)
