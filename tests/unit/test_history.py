"""Incidents and acts out of a journal, and the commands that show them."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from hactl.cli import journal_data
from hactl.cli.app import main
from hactl.cli.context import Context
from hactl.cli.journal_data import Journal
from hactl.errors import Unreachable
from hactl.view.control_text import incident_text
from hactl.view.history import acts, belonging, incidents, timeline
from hactl.view.incident import Phase, Stamp
from hactl.view.journal import Entry, Record, text_of
from tests.support.journals import closed, failover, incident, wall
from tests.support.views import SAMPLE

Out = pytest.CaptureFixture[str]
Install = Callable[..., None]


@pytest.fixture
def etcd(monkeypatch: pytest.MonkeyPatch) -> Install:
    """What the commands find in etcd."""

    def install(
        records: list[Entry] | list[Record], open_: str | None = None, ledger: dict[str, object] | None = None
    ) -> None:
        journal = Journal("etcd", tuple(records), open_, {"db1": ledger} if ledger else {})
        monkeypatch.setattr(journal_data, "from_etcd", lambda _: journal)

    return install


def call(*argv: str) -> int:
    with pytest.raises(SystemExit) as ended:
        main(["--spec", str(SAMPLE), *argv])
    return int(ended.value.code or 0)


def told(capsys: Out, *argv: str) -> Any:
    assert call("-o", "json", *argv) == 0
    return json.loads(capsys.readouterr().out)


def test_an_incident_is_found_open_and_closed() -> None:
    for records, outcome in ((failover().records, ""), (closed().records, "redundant again")):
        (found,) = incidents(records)
        assert (found.id, found.victim, found.standby, found.outcome) == ("failover-1", "db1", "db2", outcome)
        assert [s.phase for s in found.stamps] == [
            Phase.SUSPECTED, Phase.INTENT, Phase.PROOF, Phase.RELEASED, Phase.PROMOTED, Phase.VIP_UP,
            Phase.FIRST_COMMIT, Phase.REDUNDANT,
        ]  # fmt: skip


def test_etcds_key_is_newer_than_the_journal() -> None:
    now = incident_text(incident(Stamp(Phase.PROOF, "db1", 500_900, wall(900), "power off", "wit1")))
    (found,) = incidents(failover().records, now)
    assert [s.phase for s in found.stamps] == [Phase.SUSPECTED, Phase.PROOF]
    assert incidents([], now) == (found,)
    assert incidents([], "{") == ()


def test_a_refused_opening_is_no_incident_and_a_lost_result_hides_none() -> None:
    records = failover().records
    (opening,) = [r for r in records if r.action == "open-incident" and r.kind == "intent"]
    assert incidents(records[: opening.seq]) == (), "announced only"
    without = [r for r in records if r.of != opening.seq]
    assert len(incidents(without)) == 1, "its marks tell that it was opened"


def test_times_are_exact_by_one_clock_and_near_by_two() -> None:
    moments = timeline(incidents(closed().records)[0])
    seen = {str(m.stamp.phase): (m.since_ms, m.exact) for m in moments}
    assert seen["suspected"] == (0, True)
    assert seen["proof"] == (900, True)
    assert seen["first-commit"] == (1700, False)
    broken = incident(Stamp(Phase.PROOF, "db1", 1, "?", "", "db2"))
    assert [m.since_ms for m in timeline(broken)] == [0, None]


def test_acts_belong_by_incident_or_by_epoch() -> None:
    records = closed().records
    names = [a.intent.action for a in belonging(records, incidents(records)[0])]
    assert names == ["open-incident", "run-fence-agent", "prime-standby", "release-leader", "close-incident"]
    assert [a.took_ms for a in acts(records)] == [120, 12, 5, 4, 8, 4]


def test_history_shows_incidents_and_what_belongs_to_none(etcd: Install, capsys: Out) -> None:
    etcd(closed().records)
    rows = told(capsys, "history")["events"]
    assert [(r["what"], r["subject"], r["took_seconds"]) for r in rows] == [
        ("move-etcd-leader", "wit1", 0.12),
        ("failover", "db1 -> db2", 1.7),
    ]
    assert rows[1]["took_until"] == "first-commit"
    assert call("history") == 0
    text = capsys.readouterr().out
    assert "failover-1" in text
    assert "redundant again" in text


def test_an_incident_phase_by_phase(etcd: Install, capsys: Out) -> None:
    etcd(failover().records)
    data = told(capsys, "incident", "show", "failover-1")
    assert data["open"]
    assert [(p["phase"], p["node"], p["since_ms"]) for p in data["phases"]][2:4] == [
        ("proof", "db1", 900), ("released", "db1", 915),
    ]  # fmt: skip
    assert data["phases"][2]["evidence"] == "power off"
    assert (data["phases"][2]["clock_of"], data["phases"][4]["clock_of"]) == ("wit1", "db2")
    assert call("incident", "show") == 0
    lines = capsys.readouterr().out.splitlines()
    assert lines[0].startswith("failover-1: failover db1 -> db2, epoch 1   open")
    bars = {line.split()[0]: line.count("█") for line in lines if "█" in line}
    assert bars["proof"] > bars["promoted"] > 0
    assert any("~1700" in line for line in lines)
    assert any("run-fence-agent" in line and "5 ms" in line for line in lines)


@pytest.mark.parametrize(
    ("at", "commits", "said"),
    [
        pytest.param(
            "2026-11-22T08:00:30Z",
            0,
            "commits that only db1 had: 0 in its WAL from 0/3000000",
            id="none was lost",
        ),
        pytest.param("2026-11-22T08:00:30Z", 3, "commits that only db1 had: 3 in", id="three were lost"),
        pytest.param(
            "2026-11-22T08:00:30Z", None, "commits that only db1 had: unknown: no WAL", id="nobody can tell"
        ),
        pytest.param(
            "2026-11-22T07:00:30Z", 3, "commits that only db1 had: not counted", id="of an incident before"
        ),
        pytest.param("", 3, "commits that only db1 had: not counted", id="of no known time"),
    ],
)
def test_commits_that_only_the_lost_node_had(
    etcd: Install, capsys: Out, at: str, commits: int | None, said: str
) -> None:
    found = {
        "at": at,
        "commits": commits,
        "why_unknown": "no WAL",
        "fork_lsn": "0/3000000",
        "end_lsn": "0/3000100",
    }
    etcd(closed().records, ledger=found)
    assert call("incident", "show") == 0
    assert said in capsys.readouterr().out


def test_incidents_are_listed(etcd: Install, capsys: Out) -> None:
    etcd(closed().records)
    assert [i["id"] for i in told(capsys, "incident", "list")["incidents"]] == ["failover-1"]
    assert call("incident", "list") == 0
    assert "1.700 s to first-commit" in capsys.readouterr().out
    assert call("incident", "show", "failover-9") == 2
    assert "hactl incident list" in capsys.readouterr().err


def test_nothing_happened_yet(etcd: Install, capsys: Out) -> None:
    etcd([])
    for argv, said in ((("history",), "nothing yet"), (("incident", "list"), "no incident")):
        assert call(*argv) == 0
        assert said in capsys.readouterr().out
    assert call("incident", "show") == 2
    assert call("journal", "verify") == 0
    assert call("journal", "tail") == 0


def test_the_last_records(etcd: Install, capsys: Out) -> None:
    etcd(closed().records)
    last = told(capsys, "journal", "tail", "-n", "2")
    assert [(r["seq"], r["kind"], r["of"]) for r in last] == [(17, "intent", 0), (18, "result", 17)]
    assert call("journal", "tail") == 0
    text = capsys.readouterr().out
    assert "result of 17 close-incident failover-1  done: redundant again" in text
    assert "mark failover-1  proof: power off" in text


def test_verify_is_content_with_what_was_written(etcd: Install, capsys: Out) -> None:
    etcd(closed().records)
    assert call("journal", "verify") == 0
    assert "etcd: 18 records, 1 to 18, head " in capsys.readouterr().out


def test_verify_exits_with_7_when_a_record_is_gone(etcd: Install, capsys: Out) -> None:
    records = closed().records
    etcd([*records[:8], *records[9:]])
    assert call("journal", "verify") == 7
    assert "record 10: record 9 is missing" in capsys.readouterr().out
    assert call("-o", "json", "journal", "verify") == 7
    data = json.loads(capsys.readouterr().out)
    assert [(f["fault"], f["seq"]) for f in data["findings"]] == [("gap", 10)]


def test_a_file_is_read_without_any_connection(tmp_path: Path, capsys: Out) -> None:
    file = tmp_path / "journal.jsonl"
    lines = [text_of(r) for r in closed().records]
    file.write_text("\n".join(lines) + "\n")
    assert call("journal", "verify", "--file", str(file)) == 0
    file.write_text("\n".join([*lines[:3], lines[3].replace("fence intent", "nothing"), *lines[4:]]) + "\n")
    assert call("journal", "verify", "--file", str(file)) == 7
    assert "tampered" in capsys.readouterr().out
    assert call("incident", "show", "--file", str(file)) == 0
    assert call("history", "--file", str(tmp_path / "none")) == 2


def test_on_a_node_the_own_copy_is_compared_and_stands_in(
    tmp_path: Path, capsys: Out, monkeypatch: pytest.MonkeyPatch, etcd: Install
) -> None:
    file = tmp_path / "journal.jsonl"
    file.write_text("".join(f"{text_of(r)}\n" for r in failover().records))
    monkeypatch.setattr(journal_data, "own_copy", lambda _: file)
    etcd(closed().records)
    assert call("journal", "verify") == 0
    other = [r for r in closed().records if r.seq < 5]
    etcd([*other, *[r for r in _elsewhere() if r.seq == 5]])
    assert call("journal", "verify") == 7
    assert "fork" in capsys.readouterr().out

    def away(_: Context) -> Journal:
        raise Unreachable("no etcd endpoint answered")

    monkeypatch.setattr(journal_data, "from_etcd", away)
    assert call("history") == 0
    assert "reading this node's copy" in capsys.readouterr().err
    monkeypatch.setattr(journal_data, "own_copy", lambda _: None)
    assert call("history") == 4


def _elsewhere() -> list[Record]:
    """The same up to record 4, then something else."""
    from hactl.view.journal import Kind

    w = failover()
    del w.records[4:]
    w.write(Kind.EVENT, "mark", 30, data={"phase": "proof"})
    return w.records
