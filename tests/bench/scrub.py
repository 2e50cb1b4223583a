"""How fast the scrub reads beside `sha256sum` over the same files, and how much memory a large index takes.

python -m tests.bench.scrub [--files N] [--size BYTES] [--folder DIR] [--objects N ...] [--json FILE]
"""

from __future__ import annotations

import argparse
import hashlib
import json
import os
import resource
import shutil
import subprocess
import sys
import tempfile
import time
import uuid as uuids
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from hactl.integrity.chain import INGEST, Record
from hactl.integrity.manifest import Manifest
from hactl.integrity.marks import Marks
from hactl.integrity.model import DICOM, Hashed, Row, Stored, place
from hactl.integrity.plan import Plan
from hactl.integrity.reports import Progress
from hactl.integrity.scrub import Scrub, ScrubParts
from hactl.integrity.storage import Listing, Storage
from tests.support.integrity import CLUSTER, MemoryIndex, unhurried

ROUNDS = 3


def files(root: Path, count: int, size: int) -> Iterator[tuple[Row, str]]:
    """Images of random bytes where Orthanc would put them; each row, and its SHA-256."""
    for number in range(count):
        name, content = str(uuids.uuid4()), os.urandom(size)
        path = root / place(name)
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content)
        digest = hashlib.md5(content, usedforsecurity=False).hexdigest()
        yield Row(name, size, digest, number + 1, DICOM), hashlib.sha256(content).hexdigest()


def forget(root: Path, rows: list[Row]) -> None:
    """Both sides begin with nothing in memory, as far as the file system can forget."""
    for row in rows:
        handle = os.open(root / place(row.uuid), os.O_RDONLY)
        os.posix_fadvise(handle, 0, 0, os.POSIX_FADV_DONTNEED)
        os.close(handle)


Took = tuple[float, float]  # seconds by the clock, and of processors


def sha256sum(root: Path, rows: list[Row]) -> Took:
    """`xargs sha256sum` over the same files in the same order."""
    names = "\0".join(str(root / place(row.uuid)) for row in sorted(rows, key=lambda r: r.uuid)) + "\0"
    began, used = time.monotonic(), _cpu(resource.RUSAGE_CHILDREN)
    argv = ["xargs", "-0", "sha256sum"]
    subprocess.run(argv, input=names.encode(), stdout=subprocess.DEVNULL, check=True, timeout=3600)
    return time.monotonic() - began, _cpu(resource.RUSAGE_CHILDREN) - used


def _cpu(who: int) -> float:
    found = resource.getrusage(who)
    return found.ru_utime + found.ru_stime


def parts(folder: Path, storage: Storage, index: MemoryIndex, readers: int) -> ScrubParts:
    return ScrubParts(
        index=index, storage=storage, plan=Plan(folder / "plan.db"),
        manifest=Manifest(folder / "manifest.db", "bench"), marks=Marks(folder / "marks.db"),
        pace=unhurried(), readers=readers, save=lambda _: None, stopping=lambda: False,
    )  # fmt: skip


def scrub(work: ScrubParts) -> Took:
    progress = Progress(run=str(time.monotonic()))
    began, used = time.monotonic(), _cpu(resource.RUSAGE_SELF)
    whole = Scrub(work, progress).run()
    took = time.monotonic() - began, _cpu(resource.RUSAGE_SELF) - used
    if not whole or progress.done != progress.objects or any(work.marks.counts().values()):
        raise SystemExit(f"the scrub did not read everything well: {progress}")
    return took


def throughput(folder: Path, count: int, size: int) -> dict[str, Any]:
    """MB/s of both, in turns; the best of some rounds: others use the machine too."""
    root = folder / "images"
    root.mkdir()
    (root / ".hactl-storage").write_text(CLUSTER)
    index, rows, records = MemoryIndex(), [], []
    for row, sha in files(root, count, size):
        index.rows[row.uuid] = row
        rows.append(row)
        records.append(Record(INGEST, row.uuid, size, row.md5, sha, 1, 1))
    found: dict[str, Any] = {"files": count, "bytes": size, "cpus": os.cpu_count()}
    mega = count * size / 1e6
    for name, known in (("without manifest", False), ("with manifest", True)):
        for readers in (1, 2):
            work = parts(folder, Storage(root, CLUSTER), index, readers)
            if known and work.manifest.objects() == 0:
                work.manifest.append(records)
            theirs, ours = [], []
            for _ in range(ROUNDS):
                forget(root, rows)
                theirs.append(sha256sum(root, rows))
                forget(root, rows)
                ours.append(scrub(work))
            work.manifest.close()
            work.marks.close()
            found[f"{name}, readers: {readers}"] = _compared(mega, theirs, ours)
    return found


def _compared(mega: float, theirs: list[Took], ours: list[Took]) -> dict[str, float]:
    """MB a second, by the clock and for each processor's second, which others' load disturbs less."""
    wall = [min(took[0] for took in side) for side in (theirs, ours)]
    cpu = [min(took[1] for took in side) for side in (theirs, ours)]
    return {
        "sha256sum_mb_s": round(mega / wall[0], 1), "scrub_mb_s": round(mega / wall[1], 1),
        "ratio": round(wall[0] / wall[1], 2), "sha256sum_mb_cpu_s": round(mega / cpu[0], 1),
        "scrub_mb_cpu_s": round(mega / cpu[1], 1), "cpu_ratio": round(cpu[0] / cpu[1], 2),
    }  # fmt: skip


class ManyIndex(MemoryIndex):
    """Rows that follow from their number, sorted; none of them is kept."""

    def __init__(self, count: int) -> None:
        super().__init__()
        self.count = count

    def every(self) -> Iterator[Row]:
        for number in range(self.count):
            yield Row(name(number, self.count), 8, hashlib.md5(b"12345678").hexdigest(), number + 1, DICOM)  # noqa: S324


def name(number: int, count: int) -> str:
    digits = f"{number * (16**12 // count):012x}"
    return f"{digits[:8]}-{digits[8:]}-4000-8000-{number:012x}"


class ManyStorage(Storage):
    """As many files, made up from the plan: no disk could be filled in the time."""

    def __init__(self, plan: Plan) -> None:
        super().__init__(Path("/nonexistent"), CLUSTER)
        self._plan = plan
        self._sha = hashlib.sha256(b"12345678").hexdigest()

    def proven(self) -> None:
        pass

    def top(self) -> tuple[tuple[str, ...], tuple[str, ...]]:
        return (), ()

    def below(self, first: str) -> tuple[tuple[str, ...], tuple[str, ...]]:
        return self._plan.folders(first), ()

    def listing(self, prefix: str) -> Listing:
        return Listing(tuple(Stored(r.uuid, r.size, 0.0) for r in self._plan.below(prefix)), ())

    def hashed(self, uuid: str, **_: Any) -> Hashed:  # type: ignore[override]  # noqa: ARG002
        return Hashed(8, self._sha, hashlib.md5(b"12345678").hexdigest())  # noqa: S324


def memory(count: int) -> dict[str, Any]:
    """Peak memory of a process that scrubs `count` objects; call it in a process of its own."""
    with tempfile.TemporaryDirectory() as name_of:
        folder = Path(name_of)
        work = parts(folder, Storage(folder, CLUSTER), ManyIndex(count), 2)
        object.__setattr__(work, "storage", ManyStorage(work.plan))
        before = peak()
        took = scrub(work)
        size = sum(path.stat().st_size for path in folder.iterdir())
    return {
        "objects": count, "seconds": round(took[0], 1), "cpu_seconds": round(took[1], 1),
        "start_mib": before, "peak_mib": peak(), "files_left_mib": round(size / 2**20, 1),
    }  # fmt: skip


def peak() -> float:
    """MiB that this process ever had in memory at once."""
    text = Path("/proc/self/status").read_text()
    line = next(row for row in text.splitlines() if row.startswith("VmHWM"))
    return round(int(line.split()[1]) / 1024, 1)


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--files", type=int, default=400)
    parser.add_argument("--size", type=int, default=524_288)
    parser.add_argument("--folder", type=Path, default=None)
    parser.add_argument("--objects", type=int, nargs="*", default=[10_000, 100_000, 1_000_000])
    parser.add_argument("--memory", type=int, default=None, help="only this measurement, in this process")
    parser.add_argument("--json", type=Path, default=None)
    given = parser.parse_args()
    if given.memory is not None:
        print(json.dumps(memory(given.memory)))  # noqa: T201 - what a benchmark is for
        return
    found: dict[str, Any] = {}
    folder = Path(tempfile.mkdtemp(dir=given.folder))
    try:
        found["throughput"] = throughput(folder, given.files, given.size)
    finally:
        shutil.rmtree(folder)
    found["memory"] = [_apart(count) for count in given.objects]
    text = json.dumps(found, indent=1)
    print(text)  # noqa: T201
    if given.json:
        given.json.write_text(text + "\n")


def _apart(count: int) -> Any:
    argv = [sys.executable, "-m", "tests.bench.scrub", "--memory", str(count)]
    done = subprocess.run(argv, capture_output=True, text=True, check=True, timeout=3600)
    return json.loads(done.stdout)


if __name__ == "__main__":
    main()
