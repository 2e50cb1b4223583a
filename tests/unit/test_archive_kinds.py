"""The kinds of archives: what each can do, how it is asked, and that nobody orders what it cannot do."""

from __future__ import annotations

import dataclasses
import json
from pathlib import Path
from typing import get_args

import pytest
import yaml

from hactl import layout, wiring_archive
from hactl.adapters.kinds.dicom import CAN, DicomKind
from hactl.adapters.kinds.orthanc import OrthancKind
from hactl.cli import operator as by_hand
from hactl.cli.app import main
from hactl.cli.status_data import document as status_document
from hactl.decide.archive import ArchiveMemory, decide_archive
from hactl.decide.archive_shown import shown
from hactl.decide.archive_sql import Sql
from hactl.decide.health import judge
from hactl.errors import Refused
from hactl.metrics import samples_cluster
from hactl.metrics.seen import Seen
from hactl.ports import ArchiveKind
from hactl.render.all import render
from hactl.site import Site, find
from hactl.spec.load import load
from hactl.spec.model import Archive
from hactl.view.archive import ArchiveMark, ArchiveState, Drain, DrainBy
from hactl.view.archive_kind import ABLE, Ability
from hactl.view.archive_levels import Answer, Sight
from hactl.view.cluster import ClusterView
from hactl.view.model import ArchiveView, Probe, State
from tests.support.archives import FAILS_OVER, NOW, OK, SILENT, STRANGE, WORKS
from tests.support.foreign import changes_of, foreign, kind, means
from tests.support.keysview import well
from tests.support.rendered import secrets
from tests.support.specs import edited, sample
from tests.support.views import SAMPLE, healthy

Out = pytest.CaptureFixture[str]
Lines = tuple[tuple[str, ...], ...]
FOREIGN = foreign()


def test_every_kind_that_a_spec_may_name_has_its_file() -> None:
    can = {spec.archive.kind: wiring_archive.abilities(spec) for spec in (sample(), FOREIGN)}
    assert set(can) == set(get_args(Archive.model_fields["kind"].annotation))
    assert len(set(map(id, can.values()))) == len(can)


def test_each_kind_is_one() -> None:
    kinds: tuple[ArchiveKind, ...] = (OrthancKind(sample(), means()), kind(FOREIGN))
    assert [k.abilities for k in kinds] == [ABLE, CAN]
    assert [k.program is None for k in kinds] == [False, True]
    assert [k.storage() is None for k in kinds] == [False, True]


ORTHANC = (("index", "now", "front"), ("echo", "dicom"))
ROUTES = [
    pytest.param(OrthancKind(sample(), means()), "arc1", ORTHANC, id="orthanc"),
    pytest.param(OrthancKind(sample(), means("")), "arc1", (ORTHANC[0], ("dicom",)), id="without a title"),
    pytest.param(kind(FOREIGN), "pacs1", (("find", "echo", "dicom"),), id="dicom"),
    pytest.param(kind(FOREIGN), "pacs2", (("find", "echo", "dicom"), ("qido", "web")), id="with DICOMweb"),
    pytest.param(kind(FOREIGN, ""), "pacs1", (("dicom",),), id="dicom without a title"),
]


@pytest.mark.parametrize(("found", "name", "wanted"), ROUTES)
def test_what_is_asked_again(found: ArchiveKind, name: str, wanted: Lines) -> None:
    """Each line from what says most to what says least, so an answer speaks for all that follow."""
    lines = found.again(name)
    assert tuple(tuple(q.route.name for q in line) for line in lines.lines) == wanted
    for line in lines.lines:
        assert [q.route.level for q in line] == sorted((q.route.level for q in line), reverse=True)
    lines.close()


def test_how_each_is_called() -> None:
    own = OrthancKind(sample(), means()).reach("arc1")
    assert (own.host, own.port, own.aet, own.tls) == ("192.0.2.21", 2762, "PACS", True)
    assert own.dicomweb == "https://192.0.2.21/dicom-web"
    one, other = (kind(FOREIGN).reach(n) for n in ("pacs1", "pacs2"))
    assert (one.host, one.port, one.aet, one.tls, one.dicomweb) == ("192.0.2.31", 11112, "PACS", False, "")
    assert (other.port, other.aet, other.tls) == (104, "OTHER", True)


def test_nothing_is_rendered_for_it() -> None:
    files = render(FOREIGN, secrets(FOREIGN))
    assert {f.node for f in files} == set(FOREIGN.nodes)
    assert not {"orthanc", "nginx", "integrity"} & {f.component for f in files}
    (spec, *_) = (f.content for f in files if f.path == str(layout.SPEC))
    assert load(spec, "as deployed") == FOREIGN
    held = [f.content for f in files if f.path == str(layout.KEEPALIVED_CONFIG)]
    assert len(held) == 2
    assert not [c for c in held if "vrrp_instance hactl_archive" in c]


# Decision


def sight(route: str, answer: Answer) -> Sight:
    found = {q.route.name: q.route for line in kind(FOREIGN).again("pacs2").lines for q in line}
    return Sight(found[route], answer, NOW, NOW + 10, 5, NOW - 60)


def sights(**answers: Probe) -> dict[str, dict[str, Sight]]:
    usual = dict.fromkeys(("find", "echo", "dicom"), OK)
    pacs1 = {name: sight(name, Answer(probe)) for name, probe in {**usual, **answers}.items()}
    return {"pacs1": pacs1, "pacs2": {name: sight(name, Answer(OK)) for name in usual}}


STATES = [
    pytest.param({}, WORKS, ArchiveState.HEALTHY, id="storage and L4 cannot be seen, and make nothing worse"),
    pytest.param({"find": SILENT}, WORKS, ArchiveState.FAILED, id="no index"),
    pytest.param({"find": SILENT}, FAILS_OVER, ArchiveState.DEGRADED, id="its index may be in our database"),
    pytest.param({"find": SILENT, "echo": SILENT}, WORKS, ArchiveState.FAILED, id="frozen"),
    pytest.param({"find": SILENT, "echo": SILENT, "dicom": SILENT}, WORKS, ArchiveState.FAILED, id="stopped"),
    pytest.param({"find": STRANGE, "echo": STRANGE}, WORKS, ArchiveState.DEGRADED, id="a title not known"),
    pytest.param({"find": STRANGE}, WORKS, ArchiveState.DEGRADED, id="no C-FIND for us"),
]


@pytest.mark.parametrize(("answers", "database", "wanted"), STATES)
def test_states_and_no_act(answers: dict[str, Probe], database: Sql, wanted: ArchiveState) -> None:
    """Whatever happens and however long: nothing is ordered, drained, or given up aloud."""
    memory = ArchiveMemory(marks={n: ArchiveMark(ArchiveState.HEALTHY) for n in ("pacs1", "pacs2")})
    left = Drain("pacs2", DrainBy.LADDER, "of a time when this was an archive of our own")
    for second in range(0, 400, 10):
        keys = well()
        for drains in ({}, {"pacs2": left}):
            dcs = dataclasses.replace(keys, drains=drains)
            found = decide_archive(FOREIGN, sights(**answers), dcs, database, memory, NOW + second % 9, CAN)
            assert (found.plan.steps, found.plan.vetoes, found.plan.alarms) == ((), (), ())
        memory = dataclasses.replace(found.memory, marks=memory.marks)
    assert found.marks["pacs1"].state is wanted
    assert found.looks["pacs1"].levels["L3"].why == "storage cannot be seen over the network"


# Commands

REFUSED = [
    ("drain", "pacs1"), ("undrain", "pacs1"), ("restart", "pacs1"), ("lint",), ("lint", "pacs1"),
    ("scrub", "start"), ("scrub", "stop"), ("scrub", "status"), ("scrub", "report"), ("scrub", "run"),
    ("reconcile", "start"), ("reconcile", "report"), ("reconcile", "run"),
    ("manifest", "status"), ("manifest", "follow"), ("manifest", "verify"),
    ("signatures", "status"), ("signatures", "follow"), ("signatures", "verify"),
]  # fmt: skip


@pytest.fixture
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("HACTL_STATE", str(tmp_path / "state"))
    path = tmp_path / "cluster.yaml"
    path.write_text(yaml.safe_dump(edited(changes_of())))
    return path


def call(spec: Path, *argv: str) -> int:
    with pytest.raises(SystemExit) as ended:
        main(["--spec", str(spec), *argv])
    return int(ended.value.code or 0)


@pytest.mark.parametrize("words", REFUSED, ids=" ".join)
def test_what_cannot_be_done_is_refused(here: Path, capsys: Out, words: tuple[str, ...]) -> None:
    assert call(here, "archive", *words) == 3
    said = capsys.readouterr()
    assert CAN.why_not in said.err
    assert not said.out
    assert "Traceback" not in said.err


def test_every_ability_is_refused_by_the_one_and_none_by_the_other() -> None:
    for ability in Ability:
        wiring_archive.refuse_unless(sample(), ability)
        with pytest.raises(Refused, match="over the network only"):
            wiring_archive.refuse_unless(FOREIGN, ability)


def test_a_name_that_is_no_archive_is_no_refusal(here: Path) -> None:
    assert call(here, "archive", "drain", "arc1") == 2
    assert call(here, "archive", "check", "arc1") == 2
    assert call(here, "node", "ok-to-stop", "pacs1") == 2


def test_a_probe_leaves_an_image_so_it_is_asked_first(here: Path, capsys: Out) -> None:
    assert call(here, "archive", "probe") == 3
    assert "--yes" in capsys.readouterr().err


def view(**levels: Probe) -> ClusterView:
    found = healthy()
    unseen = {level: Probe(State.UNKNOWN, why) for level, why in CAN.unseen.items()}
    well_ = {**dict.fromkeys(("L0", "L1", "L2"), OK), **unseen}
    archives = {"pacs1": ArchiveView({**well_, **levels}, can=CAN), "pacs2": ArchiveView(well_, can=CAN)}
    nodes = {n: p for n, p in found.nodes.items() if n in FOREIGN.nodes}
    vips = {"database": found.vips["database"]}
    return dataclasses.replace(found, archives=archives, nodes=nodes, vips=vips)


def test_list_and_check_show_what_is_known(here: Path, capsys: Out, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(by_hand, "look", lambda *_: view())
    assert call(here, "archive", "list") == 0
    said = capsys.readouterr().out
    assert "VIP" not in said
    assert [line.split()[0] for line in said.splitlines()] == ["pacs1", "pacs2"]
    assert call(here, "archive", "check", "pacs1") == 0
    assert "storage cannot be seen over the network" in capsys.readouterr().out
    monkeypatch.setattr(by_hand, "look", lambda *_: view(L1=SILENT, L2=SILENT))
    assert call(here, "archive", "check") == 7
    capsys.readouterr()
    assert call(here, "-o", "json", "archive", "list") == 0
    data = json.loads(capsys.readouterr().out)
    assert data["vip"] == {"address": None, "holder": None}
    assert data["nodes"][0]["levels"]["L2"] == "failed"


def test_status_health_and_metrics_know_it() -> None:
    good, bad = view(), view(L1=SILENT, L2=SILENT)
    assert judge(FOREIGN, good).findings == judge(sample(), healthy()).findings
    (found,) = [f for f in judge(FOREIGN, bad).findings if f.subject == "pacs1"]
    assert found.code.name == "ARCHIVE_NOT_RESPONDING"
    assert found.fix == "whoever runs pacs1 starts it again; hactl archive check pacs1"
    mark = shown(good, "pacs1")
    assert mark is not None
    assert mark.state is ArchiveState.HEALTHY
    data = status_document(FOREIGN, good, judge(FOREIGN, good))
    assert [n["state"] for n in data["archive"]["nodes"]] == ["healthy", "healthy"]
    assert data["archive"]["nodes"][0]["why"]["L3"] == "storage cannot be seen over the network"
    seen = Seen(active=True, look_age=0.0, view=bad, dcs=None, heartbeat=None)
    rows = {(name, labels): value for name, labels, value in samples_cluster.samples(FOREIGN, seen)}
    assert rows["hactl_archive_level", ("pacs1", "L0")] == 1
    assert rows["hactl_archive_level", ("pacs1", "L2")] == 0
    assert ("hactl_archive_level", ("pacs1", "L3")) not in rows
    assert rows["hactl_archive_serves", ("pacs2",)] == 1


def test_an_operator_and_a_node_have_their_own_titles(tmp_path: Path) -> None:
    assert (
        wiring_archive.caller(FOREIGN, find(SAMPLE, "demo", environ={"HACTL_STATE": str(tmp_path)}))
        == "HACTL"
    )
    own = Site(tmp_path, tmp_path, tmp_path, tmp_path / "pki/hactl.key", tmp_path, tmp_path, None, True, None)
    assert wiring_archive.caller(FOREIGN, own) == "HACTL"  # this machine is no node of it
    assert isinstance(wiring_archive.archive_kind(FOREIGN, own, "", means().http), DicomKind)
