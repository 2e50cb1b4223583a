from __future__ import annotations

import threading
from pathlib import Path

import pytest

from hactl.drill.history import Asked, Claim, History, Mark, Outcome, Store, read
from hactl.errors import UsageError
from tests.support.drills import DB1, Forge, failover


def test_what_is_written_is_what_is_read(tmp_path: Path) -> None:
    history = History.create(tmp_path / "new" / "run.jsonl")
    unknown = [Claim("db1", 1, 2, None, why="off"), Store("1.2", "d", 1, 2, Outcome.INFO, "no answer")]
    events = [*failover().events, *unknown]
    for event in events:
        history.add(event)
    assert read(history.path) == history.snapshot() == tuple(events)


def test_who_ran_on_a_node_and_what_an_older_reader_does_not_know(tmp_path: Path) -> None:
    history, forge = History.create(tmp_path / "run.jsonl"), Forge()
    history.add(forge.write(DB1, inside="db1"))
    history.add(forge.write(DB1))
    lines = history.path.read_text().splitlines()
    assert ['"inside"' in line for line in lines] == [False, True, False]
    assert read(history.path) == tuple(forge.events)


def test_a_history_of_an_older_version_is_read(tmp_path: Path) -> None:
    path = tmp_path / "old.jsonl"
    path.write_text('{"event":"header","version":2}\n{"event":"asked","limit":9.5}\n')
    assert read(path) == (Asked(limit=9.5),)


def test_an_interrupted_last_line_is_left_out(tmp_path: Path) -> None:
    history = History.create(tmp_path / "run.jsonl")
    history.note("kept")
    with history.path.open("a") as out:
        out.write('{"event":"wri')
    assert [e.detail for e in read(history.path) if isinstance(e, Mark)] == ["kept"]


@pytest.mark.parametrize(
    "line", ["{}", "nonsense", '{"event":"header","version":9}', '{"event":"write","client":"w1"}']
)
def test_another_file_is_refused(tmp_path: Path, line: str) -> None:
    path = tmp_path / "run.jsonl"
    path.write_text(line + "\n")
    with pytest.raises(UsageError, match="not a history"):
        read(path)


def test_two_runs_never_share_a_file(tmp_path: Path) -> None:
    History.create(tmp_path / "run.jsonl")
    with pytest.raises(FileExistsError):
        History.create(tmp_path / "run.jsonl")


def test_many_threads_and_the_listeners(tmp_path: Path) -> None:
    history = History.create(tmp_path / "run.jsonl")
    heard: list[object] = []
    history.listeners.append(heard.append)
    threads = [threading.Thread(target=lambda: [history.note("x") for _ in range(50)]) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(10)
    assert len(read(history.path)) == len(heard) == 200


def test_an_act_that_fails_leaves_no_mark(tmp_path: Path) -> None:
    history = History.create(tmp_path / "run.jsonl")
    mark = history.doing("fault", "db1", lambda: None)
    with pytest.raises(RuntimeError):
        history.doing("heal", "db1", lambda: (_ for _ in ()).throw(RuntimeError))
    assert history.snapshot() == (mark,)
