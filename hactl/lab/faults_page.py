"""A damaged page of an index, which somebody then reads. PostgreSQL finds such a page in no other way."""

from __future__ import annotations

import contextlib
import time
from collections.abc import Callable
from functools import partial
from typing import Final

from hactl import layout
from hactl.errors import HactlError, StepFailed
from hactl.lab.lab import Lab
from hactl.lab.machine import Power

WITHIN: Final = 60.0
ANSWER: Final = 10.0
_POLL: Final = 0.2
# A build of an index writes its pages past the shared buffers, so that on a primary too the next one who
# reads them reads the disk; and nobody does, as long as no vacuum comes.
_MAKE: Final = """
drop table if exists hactl_lab_page;
create table hactl_lab_page with (autovacuum_enabled = off) as select generate_series(1, 50000) as n;
create index hactl_lab_page_n on hactl_lab_page (n);
checkpoint
"""
_PATH: Final = "select pg_relation_filepath('hactl_lab_page_n')"
_NOW: Final = "select pg_current_wal_lsn()"
_RECOVERY: Final = "select pg_is_in_recovery()"
_THERE: Final = "select to_regclass('hactl_lab_page') is not null"
# There may be no standby to wait for.
_DROP: Final = "set synchronous_commit = local; drop table if exists hactl_lab_page"
_RESET: Final = "select pg_stat_reset()"  # of this node's count, a standby's too
# Block 3, in the middle of its rows. $1 the file.
_RUBBISH: Final = 'printf "not what was written" | dd of="$1" bs=1 seek=24676 conv=notrunc,fsync status=none'
# Somebody reads it, as soon as PostgreSQL answers; who breaks it does not wait for that.
_READ: Final = """
(exec >/dev/null 2>&1 </dev/null
for try in $(seq 300); do
    said=$(runuser -u postgres -- psql -XAtq -d hactl -c 'set enable_seqscan = off' \
        -c 'set enable_bitmapscan = off' -c 'select count(n) from hactl_lab_page where n > 0' 2>&1)
    case $said in *"invalid page"*|*"does not exist"*) break ;; esac
    sleep 0.2
done) &
"""
# $1 the data folder, $2 the file in it. What a standby has in its buffers it does not read again: it has to
# start anew, and its shutdown writes what is in them. Patroni stands still until the damage is done.
_WHILE_DOWN: Final = f"""
pid=$(head -n 1 "$1/postmaster.pid") || exit 3
patroni=$(systemctl show --property=MainPID --value patroni.service)
kill -STOP "$patroni"
kill -INT "$pid"
for try in $(seq 200); do [ -d "/proc/$pid" ] || break; sleep 0.05; done
if [ -d "/proc/$pid" ]; then kill -CONT "$patroni"; exit 4; fi
set -- "$1/$2"
{_RUBBISH}
kill -CONT "$patroni"
{_READ}
"""
_AT_ONCE: Final = f'set -- "$1/$2"\n{_RUBBISH}\n{_READ}'


def make(lab: Lab, _node: str) -> None:
    """The table and its index, on each database node's disk. Raises StepFailed: they do not come there."""
    primary = _primary(lab)
    _asked(lab, primary, _MAKE)
    reached = f"select pg_last_wal_replay_lsn() >= '{_asked(lab, primary, _NOW)}'"
    for node in lab.spec.databases:
        if node != primary:
            _until(f"{node} has the table", partial(_says, lab, node, reached), WITHIN)


def damage(lab: Lab, node: str) -> None:
    """A page of it, on this node. Raises StepFailed: no own-page before it, or PostgreSQL does not stop."""
    standby = _asked(lab, node, _RECOVERY) == "t"
    data = str(layout.pg_data(lab.spec.database.version))
    script = _WHILE_DOWN if standby else _AT_ONCE
    lab.exec(node, ["sh", "-c", script, "fault", data, _asked(lab, node, _PATH)], within=30)


def mend(lab: Lab, _node: str = "") -> None:
    """The table is gone, and each node counts anew. Raises StepFailed: no primary answers."""
    _until("a primary drops the table", lambda: _asked(lab, _primary(lab), _DROP) == "", WITHIN)
    for node in lab.spec.databases:
        if lab.machine(node).power() is Power.ON:
            with contextlib.suppress(HactlError):  # PostgreSQL is down: it forgets, or is healed later
                _asked(lab, node, _RESET)


def heal(lab: Lab) -> list[str]:
    """If the table is there. What was done, or could not be, as sentences."""
    try:
        if _asked(lab, _primary(lab), _THERE) != "t":
            return []
    except HactlError:
        return []  # no primary answers: there may be none, and there may be no table
    try:
        mend(lab)
    except HactlError as error:
        return [f"damaged page not dropped: {error.message}"]
    return ["damaged page dropped"]


def _primary(lab: Lab) -> str:
    """Raises StepFailed: none answers."""
    for node in lab.spec.databases:
        with contextlib.suppress(HactlError):
            if lab.machine(node).power() is Power.ON and _asked(lab, node, _RECOVERY) == "f":
                return node
    raise StepFailed("no primary answers", hint="hactl status")


def _says(lab: Lab, node: str, sql: str) -> bool:
    return _asked(lab, node, sql) == "t"


def _asked(lab: Lab, node: str, sql: str) -> str:
    psql = ["psql", "-XAtq", "-v", "ON_ERROR_STOP=1", "-d", layout.DATABASE_HACTL]
    words = [word for statement in sql.split(";") for word in ("-c", statement.strip())]
    return lab.exec(node, ["runuser", "-u", "postgres", "--", *psql, *words], within=ANSWER).out.strip()


def _until(what: str, true: Callable[[], bool], within: float) -> None:
    deadline = time.monotonic() + within
    while True:
        try:
            if true():
                return
            said = "not yet"
        except HactlError as error:
            said = error.message
        if time.monotonic() >= deadline:
            raise StepFailed(f"not within {within:g} s: {what} ({said})")
        time.sleep(_POLL)
