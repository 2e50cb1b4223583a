"""Status with many archive nodes: told by the active controller, counted, the worst ones listed."""

from __future__ import annotations

import dataclasses
import io
import json
import re
from pathlib import Path
from typing import Any

import pytest
from rich.console import Console

from hactl.cli import status
from hactl.cli.app import main
from hactl.cli.status_data import document
from hactl.cli.status_many import ALIKE, WORST
from hactl.cli.status_table import screen
from hactl.decide.archive_told import told
from hactl.decide.health import judge
from hactl.site import find
from hactl.view.archive import ArchiveFacts, ArchiveMark, ArchiveState, EndToEnd
from hactl.view.cluster import ClusterView
from hactl.view.control import AgentFacts, Dcs
from hactl.view.model import Probe, State, Unknown
from hactl.wiring import glance_ports
from tests.support import views
from tests.support.specs import SAMPLE

COUNT = 300
NODES = tuple(f"arc{number}" for number in range(1, COUNT + 1))
OK = Probe(State.OK)
HUNG = ArchiveMark(ArchiveState.FAILED, "L2: no answer in time")
CHECKED = ArchiveFacts(room=OK, write=OK, last_check=EndToEnd(ok=True, at=0.0))
_DEMO = views.demo_spec()
SPEC = _DEMO.model_copy(update={"nodes": {**_DEMO.voters, **dict.fromkeys(NODES, _DEMO.nodes["arc1"])}})


def facts(node: str) -> AgentFacts:
    return AgentFacts(node, "b", 1, storage=OK, archive=CHECKED)


def view(marks: dict[str, ArchiveMark], silent: tuple[str, ...] = (), **changes: Any) -> ClusterView:
    """As one look sees it: no archive node was asked itself."""
    healthy = views.healthy()
    assert isinstance(healthy.control, Dcs)
    states = {**dict.fromkeys(NODES, ArchiveMark(ArchiveState.HEALTHY)), **marks}
    reports = {node: facts(node) for node in NODES if node not in silent}
    voters = {n: f for n, f in healthy.control.facts.items() if n in SPEC.voters}
    known = {"archive_states": states, "facts": {**voters, **reports}}
    control = dataclasses.replace(healthy.control, **known, **changes)
    nodes = dict.fromkeys(SPEC.voters, OK)
    return dataclasses.replace(healthy, archives={}, nodes=nodes, control=control)


def data(seen: ClusterView) -> dict[str, Any]:
    whole = told(SPEC, seen)
    return document(SPEC, whole, judge(SPEC, whole))


def drawn(found: dict[str, Any], *, every: bool = False) -> str:
    out = io.StringIO()
    Console(file=out, width=120).print(screen(found, every=every))
    return out.getvalue()


@pytest.mark.parametrize(
    ("mark", "expected"),
    [
        (ArchiveMark(ArchiveState.HEALTHY), "ok ok ok"),
        (ArchiveMark(ArchiveState.FAILED, "L0: connection refused"), "failed unknown unknown"),
        (HUNG, "ok ok failed"),
        (ArchiveMark(ArchiveState.DEGRADED, "L1: not trusted"), "ok unknown unknown"),
        (ArchiveMark(ArchiveState.FAILED, "L3: another disk"), "ok ok ok"),
        (ArchiveMark(ArchiveState.DEGRADED, "L4: no image found"), "ok ok ok"),
        (ArchiveMark(ArchiveState.DRAINED, "drained by operator: disk"), "unknown unknown unknown"),
        (ArchiveMark(ArchiveState.STARTING, "it answers"), "unknown unknown unknown"),
    ],
)
def test_what_a_state_says_of_the_levels(mark: ArchiveMark, expected: str) -> None:
    seen = told(SPEC, view({"arc7": mark})).archives["arc7"]
    assert [str(seen.level(level).state) for level in ("L0", "L1", "L2")] == expected.split()
    assert seen.level("L3").ok
    assert seen.level("L4").ok


def test_without_an_active_controller_nothing_is_known_of_them() -> None:
    seen = told(SPEC, view({}, active=None)).archives["arc7"]
    assert {seen.level(level).state for level in ("L0", "L1", "L2")} == {State.UNKNOWN}
    blind = told(SPEC, dataclasses.replace(view({}), control=Unknown("no quorum")))
    assert blind.archives["arc7"].level("L3").state is State.UNKNOWN
    assert blind.nodes["arc7"].state is State.UNKNOWN


def test_who_does_not_report_is_not_called_unreachable() -> None:
    found = data(view({}, silent=("arc9",)))
    [node] = [n for n in found["nodes"] if n["name"] == "arc9"]
    assert (node["reachable"], node["agent"]) == (None, False)
    assert ("AGENT_SILENT", "arc9") in {(r["code"], r["subject"]) for r in found["reasons"]}


def test_who_was_asked_itself_keeps_its_answers() -> None:
    one = views.healthy()
    assert told(views.demo_spec(), one) is one


def test_of_many_nodes_only_those_that_matter_are_asked(tmp_path: Path) -> None:
    site = find(tmp_path / "cluster.yaml", "demo", environ={"HACTL_STATE": str(tmp_path)})
    ports = glance_ports(SPEC, site, ["arc7"])
    assert set(ports.archives) == {"arc7"}
    assert set(ports.nodes) == {*SPEC.voters, "arc7"}
    few = glance_ports(_DEMO, site)
    assert set(few.archives) == {"arc1", "arc2"}
    assert set(few.nodes) == set(_DEMO.nodes)


def test_all_is_well_on_one_screen() -> None:
    found = data(view({}))
    text = drawn(found)
    assert found["verdict"] == "healthy"
    assert f"{COUNT} of {COUNT} archive nodes are reachable" in text
    assert f"{COUNT} archive nodes: {COUNT} healthy" in text
    assert "arc7 " not in text
    assert len(text.splitlines()) < 25


def test_the_worst_are_listed_and_all_counted() -> None:
    ill = {f"arc{n}": HUNG for n in range(1, 41)}
    slow = ArchiveMark(ArchiveState.DEGRADED, "L4: no image found")
    found = data(view({"arc300": ArchiveMark(ArchiveState.DRAINED, "by operator"), "arc200": slow, **ill}))
    text = drawn(found)
    assert "40 failed, 1 degraded, 1 drained, 258 healthy" in text
    assert f"ARCHIVE_INDEX_UNREACHABLE: {40 - ALIKE} more of the same" in text
    rows = [line.split() for line in text.splitlines() if re.match(r"arc\d+ +\w", line)]
    assert [row[1] for row in rows] == ["failed"] * WORST
    assert len(text.splitlines()) < 70


def test_all_lists_everything_and_json_is_always_whole() -> None:
    found = data(view({f"arc{n}": HUNG for n in range(1, 41)}))
    text = drawn(found, every=True)
    assert all(f"\n{node} " in text for node in NODES)
    assert text.count("ARCHIVE_INDEX_UNREACHABLE arc") == 40
    assert len(found["archive"]["nodes"]) == COUNT
    assert len(found["nodes"]) == COUNT + 3


@pytest.mark.parametrize("all_of_them", [False, True])
def test_the_option_reaches_the_table(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], *, all_of_them: bool
) -> None:
    monkeypatch.setattr(status, "looker", lambda _: lambda: data(view({})))
    with pytest.raises(SystemExit) as ended:
        main(["--spec", str(SAMPLE), "status", *(["--all"] if all_of_them else [])])
    assert not ended.value.code
    assert ("\narc7 " in capsys.readouterr().out) is all_of_them
    with pytest.raises(SystemExit):
        main(["--spec", str(SAMPLE), "status", "-o", "json"])
    assert len(json.loads(capsys.readouterr().out)["archive"]["nodes"]) == COUNT
