from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from hactl.cli import app
from hactl.drill import shelf
from hactl.drill.history import History, KeySeen, read
from hactl.drill.keywatch import KeyWatch
from hactl.errors import NotHealthy, Unreachable, UsageError
from hactl.view.drill import LastDrill, drill_text, parse_drill
from tests.support.drills import Forge, whole
from tests.support.specs import SAMPLE
from tests.unit.test_drill_page import lossy, made


def call(*words: str) -> Result:
    return CliRunner().invoke(app.root, ["drill", *words])


def kept(forge: Forge, folder: Path) -> Path:
    history = History.create(folder / "run.jsonl")
    for event in forge.kept():
        history.add(event)
    return history.path


def test_list_names_all_and_what_is_to_come_of_it() -> None:
    text = call("list").output
    assert "primary/power-off" in text
    assert "archive/kill-orthanc" in text
    rows = json.loads(call("list", "-o", "json").output)["scenarios"]
    assert rows[0]["failovers"] == [1, 1]


def test_a_kept_history_is_judged_again_by_anyone(tmp_path: Path) -> None:
    path = kept(whole(), tmp_path)
    assert list(read(path)) == whole().kept()
    done = call("judge", str(path))
    assert done.exit_code == 0, done.output
    assert "18 reads; the stalest was 0 ms behind" not in done.output
    assert "9 reads; the stalest was 0 ms behind" in done.output


def test_a_broken_promise_ends_with_its_exit_code(tmp_path: Path) -> None:
    forge = whole()
    forge.rows.pop()
    done = call("judge", str(kept(forge, tmp_path)))
    assert isinstance(done.exception, NotHealthy)
    assert "I3: 1 acknowledged rows missing on db1" in done.output


def test_a_history_of_version_1_is_judged_as_far_as_it_goes(tmp_path: Path) -> None:
    path = kept(whole(), tmp_path)
    old = [line for line in path.read_text().splitlines() if '"event":"write"' in line]
    path.write_text('{"event":"header","version":1}\n' + "\n".join(old) + "\n")
    done = call("judge", "-o", "json", str(path))
    assert json.loads(done.stdout)["silent"] == ["I5", "I8", "I10"]


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["primary/power-off", "--yes"], "say why"),
        (["primary/power-off", "--yes", "--reason", " "], "say why"),
        (["primary/*", "--yes", "--reason", "a test"], "one drill at a time"),
    ],
)
def test_where_people_rely_on_it_there_is_one_drill_and_a_reason(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, words: list[str], said: str
) -> None:
    spec = tmp_path / "cluster.yaml"
    spec.write_text(SAMPLE.read_text())
    monkeypatch.setenv("HACTL_SPEC", str(spec))
    monkeypatch.setenv("HACTL_STATE", str(tmp_path))
    done = CliRunner().invoke(app.root, ["drill", "run", *words])
    assert isinstance(done.exception, UsageError)
    assert said in done.exception.message


def test_the_report_is_of_the_newest_and_lies_beside_the_record(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    spec = tmp_path / "cluster.yaml"
    spec.write_text(SAMPLE.read_text())
    monkeypatch.setenv("HACTL_SPEC", str(spec))
    monkeypatch.setenv("HACTL_STATE", str(tmp_path / "state"))
    assert isinstance(CliRunner().invoke(app.root, ["drill", "report"]).exception, UsageError)
    place = shelf.folder(tmp_path / "state")
    place.mkdir(parents=True)
    for one in (lossy(), made()):
        shelf.save(place, one["run"], one)
    done = CliRunner().invoke(app.root, ["drill", "report"])
    page, beside = map(Path, done.output.split())
    assert page == place / "primary-power-off-20261122T080000.html"
    assert "every promise was kept" in page.read_text()
    assert len(json.loads(beside.read_text())["drills"]) == 2
    text = CliRunner().invoke(app.root, ["drill", "report", "--list"]).output
    assert "broken: I3" in text.splitlines()[0]
    assert isinstance(CliRunner().invoke(app.root, ["drill", "report", "nonsense"]).exception, UsageError)


@pytest.mark.parametrize("text", ["nonsense", "[]", "{}"])
def test_another_file_is_no_record(tmp_path: Path, text: str) -> None:
    (tmp_path / "x.record.json").write_text(text)
    with pytest.raises(UsageError, match="not the record of a drill"):
        shelf.records(tmp_path)


def test_the_watch_of_etcd_writes_down_what_changes(tmp_path: Path) -> None:
    looks: list[dict[str, str] | None] = [{"leader": "db1"}, None, {"leader": "db1", "fence/db1": "x"}, {}]

    def keyed() -> dict[str, str]:
        found = looks.pop(0)
        if found is None:
            raise Unreachable("no majority")
        return found

    history = History.create(tmp_path / "run.jsonl")
    watch = KeyWatch(keyed, history)
    for _ in range(4):
        watch.look()
    seen = [replace(e, begin=0, end=0) for e in history.snapshot() if isinstance(e, KeySeen)]
    assert seen == [
        KeySeen("leader", 0, 0, "db1", "db1"),
        KeySeen("fence/db1", 0, 0, None, "x"),
        KeySeen("fence/db1", 0, 0, "x", None),
        KeySeen("leader", 0, 0, "db1", None),
    ]
    assert all(e.begin <= e.end for e in history.snapshot() if isinstance(e, KeySeen))


LAST = [
    LastDrill(1.5, "primary/freeze", True, 2.0, 3),
    LastDrill(1.5, "x", False),
    LastDrill(9.5, "x", clean=False, aborted=True, proved=1.5),
]


@pytest.mark.parametrize("last", LAST)
def test_what_the_last_drill_came_to_is_read_as_it_was_written(last: LastDrill) -> None:
    assert parse_drill(drill_text(last)) == last


def test_one_that_stopped_early_leaves_the_proof_of_the_one_before_it() -> None:
    first, early = LastDrill(1.5, "x", clean=True), LastDrill(9.5, "y", clean=False)
    once = early.stopped(drill_text(first))
    assert (once.aborted, once.judged) == (True, 1.5)
    assert LastDrill(20.0, "z", clean=False).stopped(drill_text(once)).judged == 1.5
    assert early.stopped(None).judged is early.stopped("nonsense").judged is None
    assert first.judged == 1.5


@pytest.mark.parametrize(
    "value", ["", "[]", '{"at":true}', '{"at":1}', '{"at":1,"scenario":"x","outage":"y"}']
)
def test_another_value_is_no_drill(value: str) -> None:
    with pytest.raises(ValueError, match=r"drill|scenario"):
        parse_drill(value)
