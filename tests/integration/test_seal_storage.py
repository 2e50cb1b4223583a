"""What lies under the mounted image storage is not Orthanc's to write to: the script, on real mounts."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest

from hactl.render import archive_checks
from tests.support.leftovers import scratch
from tests.support.rendered import sample, secrets

pytestmark = pytest.mark.lab  # mounts, as root

# $1 the storage's place, $2 the script: mounted, sealed, written to; then unmounted, and looked at.
SCENE = """
set -eu
mkdir -p "$1" && chown 65534:65534 "$1"
mount -t tmpfs -o mode=0777 tmpfs "$1"
"$2"
touch "$1/image"
umount "$1"
stat -c '%u %a' "$1"
as_other="setpriv --reuid=65534 --regid=65534 --clear-groups"
$as_other touch "$1/image" 2>/dev/null && echo written || echo refused
"""


def script(folder: Path, storage: Path) -> Path:
    spec = sample()
    files = archive_checks.render(spec, secrets(spec))
    text = next(f.content for f in files if f.node == "arc1" and f.path.endswith("/seal-storage"))
    file = folder / "seal-storage"
    file.write_text(text.replace(spec.archive.storage, str(storage)))
    file.chmod(0o755)
    return file


def run(*argv: str) -> str:
    done = subprocess.run(argv, capture_output=True, text=True, timeout=30, check=False)
    assert done.returncode == 0, done.stderr
    return done.stdout


def test_an_unmounted_storage_takes_nothing() -> None:
    """In a folder that the other account can reach: only the storage's own rights may refuse it."""
    with scratch() as folder:
        storage = folder / "srv" / "images"
        program = script(folder, storage)
        said = run("unshare", "--mount", "sh", "-c", SCENE, "scene", str(storage), str(program))
    assert said.split("\n")[:2] == ["0 555", "refused"]


def test_a_storage_that_is_no_mount_is_left_as_it_is(tmp_path: Path) -> None:
    storage = tmp_path / "images"
    storage.mkdir(mode=0o711)
    run(str(script(tmp_path, storage)))
    assert storage.stat().st_mode & 0o777 == 0o711
