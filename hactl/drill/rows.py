"""What stands in the drill's table after it, asked on the node itself.

Only the peers may reach PostgreSQL at a node's own address, and a standby has no other: psql runs there.
"""

from __future__ import annotations

from typing import Final

from hactl import layout
from hactl.drill.history import Row
from hactl.errors import StepFailed

# psql quotes the variable; it does so only in what it reads, not in --command.
SQL: Final = "select client, seq, id from drill_row where run = :'run' order by id;\n"


def argv(run: str) -> list[str]:
    """How psql is run: over the local socket, as postgres; SQL goes to its standard input."""
    options = [
        "--no-psqlrc",
        "--no-align",
        "--tuples-only",
        "--set",
        "ON_ERROR_STOP=1",
        "--set",
        f"run={run}",
    ]
    return ["runuser", "-u", "postgres", "--", "psql", *options, "--dbname", layout.DATABASE_HACTL]


def parse(text: str) -> list[Row]:
    """The rows that psql printed. Raises StepFailed when it printed something else."""
    try:
        return [Row(client, int(seq), int(place)) for client, seq, place in map(_fields, text.splitlines())]
    except ValueError as error:
        raise StepFailed(f"psql answered with something else than rows: {error}") from error


def _fields(line: str) -> list[str]:
    return line.split("|")
