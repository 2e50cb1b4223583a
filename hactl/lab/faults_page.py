"""A damaged page of the database, which somebody then reads. PostgreSQL finds such a page in no other way."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Final

from hactl import layout
from hactl.errors import HactlError, StepFailed
from hactl.lab.lab import Lab
from hactl.lab.machine import Power

WITHIN: Final = 60.0
_POLL: Final = 0.5
# A build of an index writes its pages past the shared buffers, so that on a primary too the next one who
# reads them reads the disk.
_MAKE: Final = """
drop table if exists hactl_lab_page;
create table hactl_lab_page as select generate_series(1, 50000) as n;
create index hactl_lab_page_n on hactl_lab_page (n);
checkpoint
"""
_PATH: Final = "select pg_relation_filepath('hactl_lab_page_n')"
_READ: Final = """
set enable_seqscan = off;
set enable_bitmapscan = off;
select count(n) from hactl_lab_page where n > 0
"""
_THERE: Final = "select not pg_is_in_recovery() and to_regclass('hactl_lab_page') is not null"
# There may be no standby to wait for.
_MEND: Final = "set synchronous_commit = local; drop table hactl_lab_page; select pg_stat_reset()"
_RUBBISH: Final = 'printf "not what was written" | dd of="$1" bs=1 seek=24676 conv=notrunc,fsync status=none'
# $1 the data folder, $2 the file in it. What a standby has in its buffers it does not read again: it has to
# start anew. Patroni stands still until the damage is done.
_WHILE_DOWN: Final = f"""
pid=$(head -n 1 "$1/postmaster.pid") || exit 3
patroni=$(systemctl show --property=MainPID --value patroni.service)
kill -STOP "$patroni"
kill -INT "$pid"
for try in $(seq 200); do [ -d "/proc/$pid" ] || break; sleep 0.05; done
set -- "$1/$2"
{_RUBBISH}
kill -CONT "$patroni"
"""
_AT_ONCE: Final = f'set -- "$1/$2"\n{_RUBBISH}'


def damage(lab: Lab, node: str) -> None:
    """A page of a table that nobody needs. Raises StepFailed: nobody found it damaged."""
    standby = _asked(lab, node, "select pg_is_in_recovery()") == "t"
    primary = next(n for n in lab.spec.databases if n != node) if standby else node
    _asked(lab, primary, _MAKE)
    _until(f"{node} has the table", lambda: bool(_path(lab, node)))
    data = str(layout.pg_data(lab.spec.database.version))
    script = _WHILE_DOWN if standby else _AT_ONCE
    lab.exec(node, ["sh", "-c", script, "fault", data, _path(lab, node)], within=30)
    _until(f"{node} finds the page damaged", lambda: _refused(lab, node))


def mend(lab: Lab, _node: str = "") -> None:
    """The table is gone, and a primary counts anew. A standby is mended by hactl."""
    for node in lab.spec.databases:
        if lab.machine(node).power() is Power.ON and _asked(lab, node, _THERE, check=False) == "t":
            _asked(lab, node, _MEND)


def _path(lab: Lab, node: str) -> str:
    """Empty: the index is not there yet."""
    return _asked(lab, node, _PATH, check=False)


def _refused(lab: Lab, node: str) -> bool:
    said = lab.exec(node, _argv(_READ), within=20, check=False)
    return "invalid page in block" in said.err


def _asked(lab: Lab, node: str, sql: str, *, check: bool = True) -> str:
    return lab.exec(node, _argv(sql), within=30, check=check).out.strip()


def _argv(sql: str) -> list[str]:
    psql = ["psql", "-XAtq", "-v", "ON_ERROR_STOP=1", "-d", layout.DATABASE_HACTL]
    words = [word for statement in sql.split(";") for word in ("-c", statement.strip())]
    return ["runuser", "-u", "postgres", "--", *psql, *words]


def _until(what: str, true: Callable[[], bool]) -> None:
    deadline = time.monotonic() + WITHIN
    while True:
        try:
            if true():
                return
        except HactlError as error:
            said = error.message
        else:
            said = "not yet"
        if time.monotonic() >= deadline:
            raise StepFailed(f"not within {WITHIN:g} s: {what} ({said})")
        time.sleep(_POLL)
