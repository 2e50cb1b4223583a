"""PostgreSQL's own word on values, against hactl's reading of pg_settings."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path

import psycopg2
import pytest

from hactl.adapters import postgres_settings
from hactl.decide.config_change import judge_change, to_try
from hactl.decide.config_drift import Kind, Wanted, deviations
from hactl.decide.config_values import canonical
from hactl.errors import Unreachable
from hactl.spec import pg15
from hactl.view.setting import Running, Setting
from tests.support.leftovers import scratch
from tests.support.loopback_postgres import Server, primary
from tests.support.ports import free_port

WORDS = tuple(
    """
0|1|-1|2|7|64|1.5|.5|1E-1|5e5| 12 |+3|2147483648|1e30|0x10|1kB|1 MB|0.3GB|30.1GB|16MB|8B|1s|100ms|1.5min|2h
|1d|3us|0.1d|1mb|1S|5 s x|on|off|ON|true|t|f|fa|ye|n|o|yes please||much
""".strip("\n")
    .replace("\n", "")
    .split("|")
)
# A session's socket is asked for these; and every error here would end the session.
ODD = {
    "tcp_keepalives_count",
    "tcp_keepalives_idle",
    "tcp_keepalives_interval",
    "tcp_user_timeout",
    "exit_on_error",
}
# What hactl refuses although PostgreSQL takes it: other bases, which people write by mistake.
STRICTER = {"0x10"}


@pytest.fixture(scope="module")
def server() -> Iterator[Server]:
    with scratch() as folder, primary(folder / "pg") as found:
        found.sql("create role watcher login in role pg_monitor")
        yield found


def settings(server: Server) -> Mapping[str, Setting]:
    return postgres_settings.by_connection({**server.conninfo, "user": "watcher"})()


TRY = """
create function taken(setting_name text, word text) returns text language plpgsql as $$
begin
  perform set_config(setting_name, word, true);
  return (select setting from pg_settings where lower(name) = setting_name);
exception when others then return null;
end $$"""


def taken(server: Server, name: str, words: list[str]) -> list[str | None]:
    """What a superuser's session has after it was told each of these; None: it is refused."""
    link = psycopg2.connect(**server.conninfo)
    try:
        with link.cursor() as cursor:
            each = "select array_agg(taken(%s, w) order by n) from unnest(%s) with ordinality x(w, n)"
            cursor.execute(each, (name, words))
            return list(cursor.fetchone()[0])  # type: ignore[index]
    finally:
        link.close()


def own(setting: Setting, text: str) -> str | None:
    try:
        return canonical(setting, text)
    except ValueError:
        return None


def test_every_word_means_what_postgresql_takes_it_for(server: Server) -> None:
    known, compared = settings(server), 0
    server.sql(TRY)
    for name in sorted(pg15.NAMES & known.keys()):
        setting = known[name]
        if setting.context not in {"user", "superuser"} or setting.kind == "string" or name in ODD:
            continue
        words = [*WORDS, setting.low, setting.high, *setting.words[:3]]
        for text, theirs in zip(words, taken(server, name, words), strict=True):
            mine = own(setting, text)
            if theirs is None and mine is not None and setting.kind in {"integer", "enum"}:
                continue  # a check of its own beyond the range; to_try asks for those
            if text in STRICTER:
                assert mine is None
            elif setting.kind == "real" and mine is not None and theirs is not None:
                assert float(mine) == pytest.approx(float(theirs), rel=1e-5), (name, text)
            else:
                assert mine == theirs, (name, text)
            compared += 1
    assert compared > 5000


def test_a_monitor_sees_where_a_value_stands_and_what_waits(server: Server) -> None:
    server.configure(max_connections="77")
    server.sql("alter system set work_mem = '9MB'")
    server.sql("select pg_reload_conf()")
    found = settings(server)
    for _ in range(50):
        if found["work_mem"].value == "9216" and found["max_connections"].pending:
            break
        found = settings(server)
    assert found["work_mem"].by_alter_system
    assert found["max_connections"].pending
    assert found["max_connections"].restarts
    wanted = Wanted({"postgresql": {"parameters": {"work_mem": "4MB", "max_connections": 77}}})
    said = deviations(wanted, wanted.dynamic, {"one": Running(found)})
    assert {(d.kind, d.name) for d in said} == {(Kind.RUNNING, "work_mem"), (Kind.PENDING, "max_connections")}
    server.sql("alter system reset work_mem")
    server.sql("select pg_reload_conf()")


def test_what_only_the_server_knows_is_asked_and_does_not_stay(server: Server) -> None:
    running = Running(settings(server))
    after = {
        "postgresql": {"parameters": {"log_timezone": "Mars/Olympus", "datestyle": "ISO, DMY", "jit": "off"}}
    }
    judged = judge_change({"postgresql": {"parameters": {}}}, after, {"one": running})
    refused = postgres_settings.tried(
        {**server.conninfo, "user": "watcher"}, to_try(judged, running.settings)
    )
    assert list(refused) == ["timezone"]
    assert "Mars/Olympus" in refused["timezone"]
    assert settings(server)["jit"].value == "on"


def test_nobody_there_is_no_answer(server: Server) -> None:
    nowhere = {**server.conninfo, "port": str(free_port())}
    with pytest.raises(Unreachable):
        postgres_settings.by_connection(nowhere)()
    with pytest.raises(Unreachable):
        postgres_settings.tried(nowhere, {"jit": "off"})


def test_the_rendered_program_asks_the_same(server: Server, tmp_path: Path) -> None:
    from hactl.view.parse.settings import parse_settings

    assert parse_settings(told(server, tmp_path)).keys() == settings(server).keys()


def test_the_rendered_program_tells_who_may_rewind_and_what_wal_there_is(
    server: Server, tmp_path: Path
) -> None:
    from hactl.view.parse.preflight import parse_server

    assert parse_server(told(server, tmp_path)).rewind == "there is no role rewind"
    server.sql("create role rewind")
    assert parse_server(told(server, tmp_path)).rewind == "the role rewind may not log in"
    server.sql("alter role rewind login")
    assert "may not call pg_ls_dir" in str(parse_server(told(server, tmp_path)).rewind)
    for function in (
        "pg_ls_dir(text, boolean, boolean)", "pg_stat_file(text, boolean)", "pg_read_binary_file(text)",
        "pg_read_binary_file(text, bigint, bigint, boolean)",
    ):  # fmt: skip
        server.sql(f"grant execute on function pg_catalog.{function} to rewind")
    server.sql("select pg_create_physical_replication_slot('left_over', true)")
    found = parse_server(told(server, tmp_path))
    assert (found.rewind, found.slots[0].name, found.slots[0].active) == ("", "left_over", False)
    assert found.slots[0].retained is not None
    assert found.wal is not None
    assert found.wal >= 16 * 1024**2
    assert {"wal_log_hints", "data_checksums", "full_page_writes", "max_slot_wal_keep_size"} <= set(
        found.settings
    )


def told(server: Server, tmp_path: Path) -> bytes:
    """/usr/local/lib/hactl/read-settings, with this server's address and without TLS."""
    import subprocess

    from tests.support.rendered import content

    program = content("db1", "/usr/local/lib/hactl/read-settings")
    at = program.index('-d "host=') + 3
    conninfo = program[at : program.index('"', at + 1) + 1]
    here = f'"host=127.0.0.1 port={server.port} dbname=postgres user=watcher"'
    file = tmp_path / "read-settings"
    file.write_text(program.replace(conninfo, here))
    return subprocess.run(["/bin/sh", str(file)], capture_output=True, timeout=20, check=True).stdout
