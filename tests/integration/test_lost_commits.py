"""The ledger of lost commits, and what is done with the old data: with two real PostgreSQL 15 on loopback."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.support.leftovers import scratch
from tests.support.loopback_postgres import Server
from tests.support.parted import (
    ROWS,
    clone,
    kept,
    owned,
    promote,
    rewind,
    running_copy,
    stopped_pair,
    write,
)
from tests.support.postgres_programs import Programs, install


@pytest.fixture
def folder() -> Iterator[Path]:
    with scratch() as made:
        yield made


@pytest.fixture(scope="module")
def model() -> Iterator[tuple[Server, Server]]:
    with stopped_pair() as pair:
        yield pair


@pytest.fixture
def pair(folder: Path, model: tuple[Server, Server]) -> Iterator[tuple[Server, Server]]:
    with running_copy(folder, model) as pair:
        yield pair


@pytest.fixture
def programs(folder: Path, pair: tuple[Server, Server]) -> Programs:
    return install(folder, pair[0].data)


def crash_recovered(server: Server) -> None:
    """As Patroni does before a rewind: killed, then recovered in single-user mode, without losing WAL."""
    server.kill()
    server.await_end()
    (server.data / "postmaster.pid").unlink(missing_ok=True)
    server.as_postgres(
        "sh", "-c",
        f"/usr/lib/postgresql/15/bin/postgres --single -D {server.data}"
        " -c archive_mode=on -c archive_command=false template1 </dev/null >/dev/null",
    )  # fmt: skip


def as_standby_of_nobody(server: Server) -> None:
    """As Patroni does while it does not know the new primary yet."""
    signal = server.data / "standby.signal"
    signal.touch()
    owned(signal)
    server.start()
    server.stop("fast")
    signal.unlink()


def follows(old: Server, new: Server) -> None:
    """After a rewind: as a standby it has what the new primary has."""
    (old.data / "standby.signal").touch()
    conninfo = f"host=127.0.0.1 port={new.port} user=postgres application_name=one"
    with (old.data / "postgresql.auto.conf").open("a") as out:
        out.write(
            f"port = {old.port}\nprimary_conninfo = '{conninfo}'\nrecovery_target_timeline = 'latest'\n"
        )
    owned(old.data)
    old.start()
    assert old.sql("select pg_is_in_recovery()") == [(True,)]


@pytest.mark.parametrize("end", ["stopped", "crashed", "restarted"])
def test_commits_of_a_former_primary_are_counted_and_kept(
    pair: tuple[Server, Server], programs: Programs, end: str
) -> None:
    one, two = pair
    write(one, 3)
    promote(two)
    write(two, 2)
    write(one, ROWS)
    one.sql("select count(*) from t")  # hint bits are written to the WAL as well: they are no commits
    one.sql("begin; insert into t values (0); rollback")
    if end == "crashed":
        crash_recovered(one)
    else:
        one.stop("fast")
    for segment in (
        "7F",
        "80",
        "81",
    ):  # as PostgreSQL makes them ahead; in what order they are found is chance
        made_ahead(one, f"0000000100000000000000{segment}")
    if end == "restarted":
        as_standby_of_nobody(one)
    done = rewind(programs, one, two)
    assert done.returncode == 0, done.stderr
    assert "Done!" in done.stderr + done.stdout
    entry = programs.entry()
    assert entry["commits"] == ROWS
    assert entry["why_unknown"] == ""
    assert (entry["node"], entry["timeline"]) == ("db1", 1)
    assert (next(programs.ledger.glob("*.json")).stat().st_mode & 0o777) == 0o640
    (kept,) = (p for p in programs.ledger.iterdir() if p.is_dir())
    assert [p.name for p in sorted(kept.iterdir()) if p.name != "commits"] == entry["wal_kept"] != []
    assert len((kept / "commits").read_text().splitlines()) == ROWS + 1
    follows(one, two)


def made_ahead(server: Server, name: str) -> None:
    segment = server.data / "pg_wal" / name
    segment.write_bytes(bytes(16 * 1024 * 1024))
    owned(segment)


def test_zero_is_a_result(pair: tuple[Server, Server], programs: Programs) -> None:
    """Only the checkpoint of its end was written alone."""
    one, two = pair
    write(one, 3)
    promote(two)
    one.sql("select count(*) from t")
    one.stop("fast")
    assert rewind(programs, one, two).returncode == 0
    assert programs.entry()["commits"] == 0


def test_what_cannot_be_known_is_said_and_stops_nothing(
    pair: tuple[Server, Server], programs: Programs
) -> None:
    """The WAL behind the fork is gone: no count; whether it can go on is for the real pg_rewind to say."""
    one, two = pair
    promote(two)
    write(one, ROWS)
    one.stop("fast")
    for segment in (one.data / "pg_wal").glob("0000000100000000000000*"):
        segment.unlink()
    done = rewind(programs, one, two)
    assert done.returncode == 1
    assert "pg_rewind: error" in done.stderr
    entry = programs.entry()
    assert entry["commits"] is None
    assert "WAL" in str(entry["why_unknown"])


def test_where_nothing_can_be_entered_the_rewind_runs_all_the_same(
    pair: tuple[Server, Server], programs: Programs
) -> None:
    one, two = pair
    promote(two)
    write(one, 1)
    one.stop("fast")
    programs.ledger.rmdir()
    done = rewind(programs, one, two)
    assert done.returncode == 0
    assert "nothing can be entered" in done.stderr


def test_no_rewind_is_begun_on_a_full_disk(pair: tuple[Server, Server], folder: Path) -> None:
    """Half a rewind leaves nothing of use; none at all can be tried again when there is room."""
    one, two = pair
    promote(two)
    write(one, 1)
    one.stop("fast")
    place = folder / "no room"
    place.mkdir()
    done = rewind(install(place, one.data, least=2, enough=1 << 62), one, two)
    assert done.returncode == 1
    assert "nearly full: not begun" in done.stderr
    assert rewind(install(folder, one.data), one, two).returncode == 0


def test_without_a_ledger_the_rewind_runs_all_the_same(
    pair: tuple[Server, Server], programs: Programs
) -> None:
    one, two = pair
    promote(two)
    write(one, 1)
    one.stop("fast")
    (programs.lib / "ledger").unlink()
    assert rewind(programs, one, two).returncode == 0


def test_it_answers_as_the_real_one_when_it_is_only_asked_for_help(programs: Programs) -> None:
    """Patroni does so each time, to see whether it can rewind at all."""
    done = programs.run("pg-rewind", ["--help"])
    assert done.returncode == 0
    assert "--source-server" in done.stdout
    assert programs.entries() == []


def test_a_copy_sets_the_old_data_aside(pair: tuple[Server, Server], programs: Programs) -> None:
    one, two = pair
    promote(two)
    write(one, ROWS)
    one.stop("fast")
    (one.data / "mine").touch()
    done = clone(programs, one, two)
    assert done.returncode == 0, done.stderr
    assert (kept(one) / "mine").exists()
    assert not (one.data / "mine").exists()
    assert programs.entry()["commits"] == ROWS
    follows(one, two)


def test_the_older_data_stay_if_the_newer_hold_nothing_of_their_own(
    pair: tuple[Server, Server], programs: Programs
) -> None:
    one, two = pair
    promote(two)
    write(one, 1)
    one.stop("fast")
    (one.data / "first").touch()
    assert clone(programs, one, two).returncode == 0
    assert clone(programs, one, two).returncode == 0  # what was just copied, copied again
    assert (kept(one) / "first").exists()


def test_a_copy_that_was_not_finished_does_not_take_the_place_of_the_old_data(
    pair: tuple[Server, Server], programs: Programs
) -> None:
    """The node lost its power while it was copied anew: the next copy finds half of the first one."""
    one, two = pair
    promote(two)
    write(one, ROWS)
    one.stop("fast")
    (one.data / "mine").touch()
    assert clone(programs, one, two).returncode == 0
    (one.data / "global" / "pg_control").unlink()
    done = clone(programs, one, two)
    assert done.returncode == 0, done.stderr
    assert (kept(one) / "mine").exists()
    follows(one, two)


def test_the_newest_data_stay_until_the_copy_that_replaces_them_is_there(
    pair: tuple[Server, Server], programs: Programs
) -> None:
    """The primary is lost while this member is copied anew: what it had before is the last good copy."""
    one, two = pair
    spare = one.data.with_name("one.spare")
    promote(two)
    write(one, 1)
    one.stop("fast")
    assert clone(programs, one, two).returncode == 0
    (one.data / "newest").touch()
    script = programs.lib / "clone"
    text = script.read_text()
    script.write_text(text.replace('PG_BIN + "/pg_basebackup"', '"/bin/false"'))
    assert clone(programs, one, two).returncode == 1
    assert (spare / "newest").exists()
    assert kept(one).exists()
    assert programs.run("clean-kept", []).returncode == 0
    assert (spare / "newest").exists()
    script.write_text(text)
    assert clone(programs, one, two).returncode == 0
    assert not spare.exists()
    assert kept(one).exists()
    follows(one, two)


def test_damaged_data_are_kept_and_nobody_knows_what_they_hold(
    pair: tuple[Server, Server], programs: Programs
) -> None:
    one, two = pair
    promote(two)
    one.stop("fast")
    (one.data / "global" / "pg_control").unlink()
    assert clone(programs, one, two).returncode == 0
    assert programs.entry()["commits"] is None
    assert (kept(one) / "PG_VERSION").exists()


def test_without_a_primary_nothing_is_copied_and_nothing_lost(
    pair: tuple[Server, Server], programs: Programs
) -> None:
    """Patroni deletes the data folder of a copy that failed: the old data have left it by then."""
    one, two = pair
    promote(two)
    one.stop("fast")
    two.stop("fast")
    assert clone(programs, one, two).returncode == 1
    assert not one.data.exists()
    assert (kept(one) / "PG_VERSION").exists()


def test_data_with_parts_elsewhere_are_left_to_patroni(
    pair: tuple[Server, Server], programs: Programs
) -> None:
    one, two = pair
    promote(two)
    one.stop("fast")
    elsewhere = one.data.with_name("wal")
    (one.data / "pg_wal").rename(elsewhere)
    (one.data / "pg_wal").symlink_to(elsewhere)
    assert clone(programs, one, two).returncode == 1
    assert one.data.exists()
    assert not kept(one).exists()


def test_without_room_for_two_the_old_data_go(folder: Path, pair: tuple[Server, Server]) -> None:
    one, two = pair
    programs = install(folder, one.data, spare=2.0)  # no disk has twice its own size free
    promote(two)
    write(one, 1)
    one.stop("fast")
    done = clone(programs, one, two)
    assert done.returncode == 0, done.stderr
    assert "no room for two copies" in done.stderr
    assert not kept(one).exists()
    assert programs.entry()["wal_left_out"] == 1


def test_kept_data_go_after_seven_days_or_when_the_disk_is_full(
    folder: Path, pair: tuple[Server, Server]
) -> None:
    one, _ = pair
    programs = install(folder, one.data)
    one.as_postgres("mkdir", str(kept(one)), str(programs.ledger / "20260101T000000Z-tl1"))
    for _ in range(3):
        assert programs.run("clean-kept", []).returncode == 0
    assert kept(one).exists()
    counts = programs.ledger / ".runs"
    counts.write_text(counts.read_text().replace(": 3", f": {7 * 24 * 12}"))
    assert "seven days" in programs.run("clean-kept", []).stdout
    assert not kept(one).exists()
    assert not (programs.ledger / "20260101T000000Z-tl1").exists()


def test_a_full_disk_takes_what_is_kept_but_never_the_only_copy(
    folder: Path, pair: tuple[Server, Server]
) -> None:
    one, _ = pair
    programs = install(folder, one.data, least=2.0)
    one.as_postgres("mkdir", str(kept(one)))
    one.stop("fast")
    (one.data / "global" / "pg_control").rename(one.data / "elsewhere")
    assert programs.run("clean-kept", []).returncode == 0
    assert kept(one).exists()
    (one.data / "elsewhere").rename(one.data / "global" / "pg_control")
    assert "nearly full" in programs.run("clean-kept", []).stdout
    assert not kept(one).exists()
