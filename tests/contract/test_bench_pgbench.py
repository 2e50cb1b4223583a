"""pgbench against a real PostgreSQL: its log is read as it writes it, and its tables go away."""

from __future__ import annotations

from pathlib import Path

import psycopg2
from psycopg2.extensions import make_dsn

from tests.bench.cost.pgbench import WARM, Pgbench
from tests.support.leftovers import scratch
from tests.support.loopback_postgres import primary


def test_what_pgbench_writes_is_read(tmp_path: Path) -> None:
    with scratch() as folder, primary(folder / "servers") as server:
        load = Pgbench(make_dsn(**server.conninfo), 2, tmp_path)
        load.fill(1)
        found = load.run(int(WARM) + 2)
        load.drop()
        load.drop()
        with psycopg2.connect(load.conninfo) as connection:
            cursor = connection.cursor()
            cursor.execute("select count(*) from pg_tables where tablename like 'pgbench%'")
            assert cursor.fetchone() == (0,)
        connection.close()
    assert 1 < found["seconds"] <= 3
    assert found["transactions"] > 10
    assert found["tps"] > 5
    assert 0 < found["ms"]["p50"] <= found["ms"]["p99"] <= found["ms"]["p100"]
    assert list(tmp_path.iterdir()) == []
