"""What stands in the drill's table after it."""

from __future__ import annotations

import psycopg2

from hactl.drill.checker import Row
from hactl.drill.link import Conninfo, Link, first_line
from hactl.errors import Unreachable

_ROWS = "select client, seq, id from drill_row where run = %s order by id"


def stored(conninfo: Conninfo, run: str, *, within: float) -> list[Row]:
    """The rows of one run on one node (a standby answers too). Raises Unreachable."""
    link = Link.open(conninfo, within)
    try:
        return [Row(client, seq, place) for client, seq, place in link.run(_ROWS, (run,), within=within)]
    except psycopg2.Error as error:
        raise Unreachable(f"the drill's rows cannot be read: {first_line(error)}") from error
    finally:
        link.close()
