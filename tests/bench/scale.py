"""`python -m tests.bench scale`: what one controller needs for 10, 100, 1,000 simulated archive nodes.

Needs root: it works in a network namespace of its own, so that a thousand nodes may have their usual ports.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Final

INSIDE: Final = "HACTL_SCALE_INSIDE"
# Whoever ends this ends all that it began. $@: the program to run there.
_UNSHARE: Final = ("unshare", "--net", "--pid", "--fork", "--mount-proc", "--kill-child")
_ENTER: Final = 'ip link set lo up && exec "$@"'


def main(argv: list[str]) -> None:
    asked = _arguments(argv)
    if asked.nodes and INSIDE not in os.environ:
        inside = [sys.executable, "-m", "tests.bench", "scale", *argv]
        enter = [*_UNSHARE, "sh", "-c", _ENTER, "enter", *inside]
        sys.exit(subprocess.run(enter, env={**os.environ, INSIDE: "1"}, check=False).returncode)
    from tests.bench import scale_report
    from tests.bench.scale_run import measure

    asked.out.parent.mkdir(parents=True, exist_ok=True)
    for count in asked.nodes:
        faulty = asked.faulty if asked.faulty is not None else max(1, count // 10)
        found = measure(count, faulty=faulty, warm=asked.warm, seconds=asked.seconds)
        with asked.out.open("a", encoding="utf-8") as out:
            out.write(json.dumps({**scale_report.machine(), **found}) + "\n")
        sys.stderr.write(scale_report.line(found) + "\n")
    records = scale_report.read(asked.out)
    sys.stdout.write(scale_report.text(records))
    if asked.docs is not None:
        scale_report.publish(asked.out, asked.docs)


def _arguments(argv: list[str]) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m tests.bench scale", description=__doc__)
    parser.add_argument(
        "--nodes", type=_counts, default=[10, 100, 1000], help="default: 10,100,1000; empty: none"
    )
    parser.add_argument("--seconds", type=float, default=60.0, help="measured, of each; default: 60")
    parser.add_argument("--warm", type=float, default=35.0, help="before that, of each; default: 35")
    parser.add_argument("--faulty", type=int, default=None, help="nodes that misbehave; default: a tenth")
    parser.add_argument(
        "--out", type=Path, default=Path("build/scale.jsonl"), help="raw records are appended"
    )
    parser.add_argument("--docs", type=Path, default=None, help="publish into the benchmarks page there")
    return parser.parse_args(argv)


def _counts(text: str) -> list[int]:
    return [int(part) for part in text.split(",") if part]
