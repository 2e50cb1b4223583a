"""A rewind that does not come to its end: nothing may start on what it leaves. Two real servers."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from hactl.errors import StepFailed
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


def control(server: Server) -> Path:
    return server.data / "global" / "pg_control"


def condemned(server: Server) -> bool:
    aside = control(server).with_name("pg_control.half-rewound")
    return control(server).stat().st_size == 0 and aside.stat().st_size > 0


def mark(programs: Programs) -> Path:
    return programs.ledger / "rewinding"


def changed_on_both(one: Server, two: Server) -> Path:
    """The file of the table, which a rewind must change."""
    promote(two)
    write(one, ROWS)
    write(two, ROWS)
    file = one.data / str(one.sql("select pg_relation_filepath('t')")[0][0])
    one.stop("fast")
    return file


def test_a_rewind_that_ends_well_leaves_no_mark(pair: tuple[Server, Server], programs: Programs) -> None:
    one, two = pair
    changed_on_both(one, two)
    assert rewind(programs, one, two).returncode == 0
    assert not mark(programs).exists()
    assert not condemned_at_all(one)


def condemned_at_all(server: Server) -> bool:
    return control(server).with_name("pg_control.half-rewound").exists()


def test_nothing_starts_on_what_is_half_rewound(pair: tuple[Server, Server], programs: Programs) -> None:
    one, two = pair
    changed_on_both(one, two).chmod(0o400)  # so it ends in the middle
    done = rewind(programs, one, two)
    assert done.returncode == 1
    assert "need to copy" in done.stderr
    assert condemned(one)
    assert not mark(programs).exists()
    with pytest.raises(StepFailed):
        one.start()
    assert clone(programs, one, two).returncode == 0
    assert condemned(Server(kept(one), one.port)), "what it held alone is kept"
    assert control(one).stat().st_size > 0


def test_a_rewind_that_changes_nothing_leaves_all_as_it_was(
    pair: tuple[Server, Server], programs: Programs
) -> None:
    one, two = pair
    changed_on_both(one, two)
    two.stop("fast")
    assert rewind(programs, one, two).returncode == 1
    assert not condemned_at_all(one)
    assert not mark(programs).exists()
    one.start()
    assert one.sql("select count(*) from t") == [(ROWS,)]


def half_rewound(programs: Programs) -> None:
    """As systemd runs it before Patroni."""
    done = programs.run("half-rewound", [])
    assert done.returncode == 0, done.stderr


def test_what_a_power_cut_leaves_is_found_by_its_mark(
    pair: tuple[Server, Server], programs: Programs
) -> None:
    one, _ = pair
    one.stop("fast")
    mark(programs).write_text(f"{one.data.stat().st_ino} {one.data}")
    owned(mark(programs))
    half_rewound(programs)
    assert condemned(one)
    assert not mark(programs).exists()
    half_rewound(programs)
    assert condemned(one), "and once more changes nothing"


@pytest.mark.parametrize("text", ["", "1", "{other} {data}", "{other} /not/there"])
def test_a_mark_of_other_data_or_half_a_mark_condemns_nothing(
    pair: tuple[Server, Server], programs: Programs, text: str
) -> None:
    one, two = pair
    mark(programs).write_text(text.format(other=two.data.stat().st_ino, data=one.data))
    owned(mark(programs))
    half_rewound(programs)
    assert not condemned_at_all(one)
    assert not mark(programs).exists()


def test_a_rewind_that_finds_a_mark_is_not_begun(pair: tuple[Server, Server], programs: Programs) -> None:
    """Its program was killed while Patroni lived on."""
    one, two = pair
    changed_on_both(one, two)
    mark(programs).write_text(f"{one.data.stat().st_ino} {one.data}")
    owned(mark(programs))
    assert rewind(programs, one, two).returncode == 1
    assert condemned(one)
    assert not mark(programs).exists()
