"""What this machine lacks for a lab: all of it at once, one sentence each, tried before anything is made.

`python -m hactl.lab.preflight` prints the sentences and ends with 0 when there are none, else 1.
"""

from __future__ import annotations

import ctypes
import os
import shutil
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Final

from hactl.adapters.command import BASE_ENV, run
from hactl.errors import HactlError, Refused
from hactl.lab import datadisk, image, scope
from hactl.lab.folder import LABS
from hactl.lab.topology import prefix

# program -> the Debian package that has it
TOOLS: Final = {
    "systemd-nspawn": "systemd-container",
    "mmdebstrap": "mmdebstrap",
    "ip": "iproute2",
    "nft": "nftables",
    "ssh-keygen": "openssh-client",
    "nsenter": "util-linux",
    "unshare": "util-linux",
    "setsid": "util-linux",
    "mount": "mount",
    "mkfs.ext4": "e2fsprogs",
    "apt-config": "apt",
}
# Measured: five machines with everything deployed 2.1 GiB, and data grows; the image 0.9, more while built.
LAB_SPACE: Final = 4 * 1024**3
IMAGE_SPACE: Final = 2 * 1024**3
WATCHES: Final = 45  # seven a machine were seen, and some for what is deployed
_INOTIFY: Final = Path("/proc/sys/fs/inotify/max_user_instances")
_TRIAL_DISK: Final = 8 * 1024**2  # bytes
NO_LAB: Final = "-preflight"  # no lab can be called so

# In namespaces that vanish with the shell. Each line that fails says so by its number on standard output.
_NETWORK: Final = """
ip link add lan type bridge 2>/dev/null || echo bridge
ip link add port type veth peer name host0 2>/dev/null || echo veth
nft add table inet trial 2>/dev/null || echo nft
nft add set inet trial s '{type ipv4_addr; flags timeout;}' 2>/dev/null || echo timeout
"""
_OVERLAY: Final = """
cd "$1" && mkdir lower upper work root
mount -t overlay overlay -o lowerdir=lower,upperdir=upper,workdir=work root
"""
_SENTENCES: Final = {
    "bridge": "the kernel makes no bridges (module bridge)",
    "veth": "the kernel makes no veth pairs (module veth)",
    "nft": "the kernel has no nftables (module nf_tables)",
    "timeout": "the kernel's nftables has no sets with time-outs",
}


def lacks(lab: str = NO_LAB, *, needs_image: bool = True, boots: bool = True) -> list[str]:
    """What is missing, one sentence each; empty when the lab can be made here. What can be tried is tried.

    `needs_image`: the image must be built; `boots`: its machines do not run yet.
    """
    if os.geteuid() != 0:
        return ["the lab needs root: it makes namespaces, mounts and cgroups"]
    absent = {tool for tool in TOOLS if not shutil.which(tool, path=BASE_ENV["PATH"])}
    found = [f"{tool} is not installed: apt-get install {TOOLS[tool]}" for tool in TOOLS if tool in absent]
    found += _release()
    for needed, trial in _TRIALS:
        if absent.isdisjoint(needed):
            found += trial(lab)
    return [*found, *(_watches() if boots else ()), *_space(needs_image=needs_image)]


def require(lab: str, *, needs_image: bool = True, boots: bool = True) -> None:
    """Raises Refused with everything that is missing."""
    if missing := lacks(lab, needs_image=needs_image, boots=boots):
        raise Refused("this machine cannot make the lab", missing)


def _release() -> Iterator[str]:
    try:
        image.recipe()
    except HactlError as error:
        yield error.message


def _network(_lab: str) -> Iterator[str]:
    tried = run(["unshare", "--net", "--mount", "sh", "-c", _NETWORK], within=20, check=False)
    if tried.err.strip():
        yield f"network namespaces cannot be made here: {tried.err.strip().splitlines()[-1]}"
    for word in tried.out.split():
        yield _SENTENCES[word]


def left_folders(lab: str) -> list[Path]:
    """What a trial of this lab's that was killed left beside the labs' folder."""
    return [folder for place in (LABS, LABS.parent) for folder in place.glob(f"{_trial_prefix(lab)}*")]


def _trial_prefix(lab: str) -> str:
    return f".hactl-lab-trial.{lab}."


def _overlay(lab: str) -> Iterator[str]:
    """Tried where the machines' disks will be: an overlay cannot lie on every file system."""
    place = _existing(LABS)
    with tempfile.TemporaryDirectory(prefix=_trial_prefix(lab), dir=place) as folder:
        tried = run(["unshare", "--mount", "sh", "-c", _OVERLAY, "trial", folder], within=20, check=False)
    if tried.code != 0:
        why = (tried.err.strip() or "mount failed").splitlines()[-1]
        yield f"no overlay can be mounted on {place}'s file system: {why}"


def _data_disk(lab: str) -> Iterator[str]:
    """A loop device with a file system on it, tried where the machines' disks will be."""
    with tempfile.TemporaryDirectory(prefix=_trial_prefix(lab), dir=_existing(LABS)) as folder:
        file, place = Path(folder) / "data.img", Path(folder) / "place"
        place.mkdir()
        argv = [sys.executable, "-P", "-m", "hactl.lab.datadisk", str(file), str(place)]
        try:
            datadisk.make(file, (0, 0), _TRIAL_DISK)
            run(["unshare", "--mount", "--propagation", "slave", "--", *argv], within=30)
        except (HactlError, OSError) as error:
            yield f"a database machine's disk of its own cannot be made (module loop, device nodes): {error}"


def _cgroup(lab: str) -> Iterator[str]:
    """In a scope of the lab's own, so that `lab down` finds it when we are killed here."""
    name = f"{prefix(lab)}trial-{os.getpid()}"
    try:
        where = scope.scopes()
        for left in where.names(f"{prefix(lab)}trial-"):
            where.remove(left)
        where.start(name, ["sleep", "10"], Path("/dev/null"))
        cgroup = where.cgroup(name)
        if cgroup is None or not (cgroup / "cgroup.kill").exists():
            yield "cgroup v2 with cgroup.kill is needed (Linux 5.14 or newer)"
        where.remove(name)
    except (HactlError, OSError) as error:
        yield f"cgroups cannot be made here: {error}"


def _watches() -> Iterator[str]:
    """A machine whose systemd gets no inotify instance does not boot; the kernel's default is 128 a user."""
    libc = ctypes.CDLL(None, use_errno=True)
    handles: list[int] = []
    while len(handles) < WATCHES and (handle := libc.inotify_init1(os.O_CLOEXEC)) >= 0:
        handles.append(handle)
    for handle in handles:
        os.close(handle)
    if len(handles) < WATCHES:
        limit = int(_INOTIFY.read_text(encoding="ascii"))
        advice = f"sysctl -w fs.inotify.max_user_instances={max(512, 2 * limit)}"
        yield f"only {len(handles)} more inotify instances can be had, a lab needs about {WATCHES}: {advice}"


def _space(*, needs_image: bool) -> Iterator[str]:
    """Per file system: the image's cache and the lab mostly lie on the same one."""
    wanted: dict[int, int] = {}
    for folder, size in ((LABS, LAB_SPACE), (image.CACHE, IMAGE_SPACE if needs_image else 0)):
        device = _existing(folder).stat().st_dev
        wanted[device] = wanted.get(device, 0) + size
        free = shutil.disk_usage(_existing(folder)).free
        if size and free < wanted[device]:
            gib = f"{free / 1024**3:.1f} GiB free, {wanted[device] / 1024**3:.0f} are needed"
            yield f"the file system of {folder} has {gib}"


_TRIALS: Final = (
    ({"ip", "nft", "unshare"}, _network),
    ({"mount", "unshare"}, _overlay),
    ({"mount", "unshare", "mkfs.ext4"}, _data_disk),
    ({"setsid"}, _cgroup),
)


def _existing(folder: Path) -> Path:
    """The folder, or the nearest above it that exists."""
    return next(path for path in (folder, *folder.parents) if path.is_dir())


def main() -> int:
    missing = lacks()
    for sentence in missing:
        sys.stdout.write(f"- {sentence}\n")
    return 1 if missing else 0


if __name__ == "__main__":
    sys.exit(main())
