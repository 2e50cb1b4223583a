"""pgbench through the virtual IP, and what its log says of each transaction."""

from __future__ import annotations

import tempfile
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import psycopg2

from hactl.adapters.command import run

PROGRAM: Final = "/usr/lib/postgresql/15/bin/pgbench"
WARM: Final = 5.0  # seconds that do not count: caches, and the first pages after a checkpoint
TABLES: Final = ("pgbench_accounts", "pgbench_branches", "pgbench_history", "pgbench_tellers")


@dataclass(frozen=True)
class Pgbench:
    """`conninfo`: libpq's; the password is in the file that it names. `folder`: for logs, removed after."""

    conninfo: str
    clients: int
    folder: Path

    def fill(self, scale: int) -> None:
        run([PROGRAM, "--initialize", "--quiet", f"--scale={scale}", self.conninfo], within=180)

    def drop(self) -> None:
        connection = psycopg2.connect(f"{self.conninfo} connect_timeout=10")
        try:
            connection.autocommit = True
            connection.cursor().execute(f"drop table if exists {', '.join(TABLES)}")
        finally:
            connection.close()

    def run(self, seconds: int) -> dict[str, Any]:
        """Transactions a second and their latencies, of all but the first seconds."""
        with tempfile.TemporaryDirectory(dir=self.folder) as logs:
            argv = [
                PROGRAM, "--no-vacuum", f"--client={self.clients}", f"--jobs={min(2, self.clients)}",
                f"--time={seconds}", "--log", f"--log-prefix={logs}/log", self.conninfo,
            ]  # fmt: skip
            run(argv, within=seconds + 60)
            lines = [line for log in sorted(Path(logs).iterdir()) for line in log.read_text().splitlines()]
        return figures(lines)


def figures(lines: Iterable[str]) -> dict[str, Any]:
    """Of a log's lines: client, number, microseconds, script, end in seconds and microseconds."""
    seen = sorted((int(w[4]) + int(w[5]) / 1e6, int(w[2]) / 1000) for w in map(str.split, lines))
    begin = seen[0][0] + WARM
    counted = [(end, latency) for end, latency in seen if end >= begin]
    latencies = sorted(latency for _, latency in counted)
    took = counted[-1][0] - begin
    return {
        "seconds": round(took, 2),
        "transactions": len(counted),
        "tps": round(len(counted) / took, 2),
        "ms": {f"p{part}": percentile(latencies, part) for part in (50, 95, 99, 100)},
    }


def percentile(ascending: list[float], part: int) -> float:
    """The smallest value that `part` percent are not above."""
    place = max(0, -(-len(ascending) * part // 100) - 1)
    return round(ascending[place], 3)
