"""What a drill does in which order, and that nothing stays broken, however it ends. The lab is a list."""

from __future__ import annotations

import json
import signal
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from hactl.adapters.clock import SystemClock
from hactl.cli import drill_run
from hactl.cli.context import Context
from hactl.cli.journal_data import Journal
from hactl.drill import shelf
from hactl.drill.checker import judged
from hactl.drill.history import History, Mark, read
from hactl.drill.scenarios import find
from hactl.errors import Refused, StepFailed, Unreachable
from hactl.site import Site
from hactl.view.drill import parse_drill
from hactl.view.journal import Entry
from hactl.view.keys import Keys
from tests.fakes.etcd import FakeClock, FakeEtcd
from tests.support.drills import whole
from tests.support.specs import SAMPLE, sample


@dataclass
class World:
    """`said`: what was done to the lab and written into the journal, in its order."""

    folder: Path
    said: list[str] = field(default_factory=list)
    verdicts: list[str] = field(default_factory=lambda: ["healthy"])
    meanwhile: Callable[[], None] = lambda: None
    vetoes: list[str] = field(default_factory=list)
    still: Callable[[], None] = lambda: None
    tidied: list[str] = field(default_factory=list)

    def note(self, _who: object, action: str, data: dict[str, Any]) -> int:
        self.said.append(f"journal: {action}{'' if data.get('ok', True) else ' ' + str(data['said'])}")
        return 40

    def status(self) -> dict[str, Any]:
        return {"verdict": self.verdicts[0] if len(self.verdicts) == 1 else self.verdicts.pop(0)}

    def heal(self) -> None:
        self.said.append("everything healed")


@dataclass
class FakePlace:
    world: World
    of_lab: bool = True
    blind: tuple[str, ...] = ()

    def ground(self) -> Ground:
        return Ground()

    def primary(self) -> str:
        return "db1"

    @contextmanager
    def injected(self, kind: str, node: str, _word: str) -> Iterator[None]:
        self.world.said.append(f"{kind} {node}")
        try:
            yield
        finally:
            self.world.said.append(f"{kind} {node} healed")

    @contextmanager
    def watched(self, *_: object) -> Iterator[Callable[[], None]]:
        yield self.world.still

    def heal(self) -> None:
        self.world.heal()

    def tidy(self, run: str) -> list[str]:
        self.world.tidied.append(run)
        return []


@dataclass
class FakeSession:
    world: World
    history: History

    @contextmanager
    def running(self) -> Iterator[None]:
        self.world.said.append("clients work")
        try:
            yield
        finally:
            self.world.said.append("clients end")

    def fault(self, node: str, act: Callable[[], object], detail: str) -> Mark:
        return self.history.doing("fault", node, act, detail)

    def heal(self, node: str, act: Callable[[], object], detail: str) -> Mark:
        return self.history.doing("heal", node, act, detail)

    def acknowledged(self, _count: int, *, within: float, since: float, still: Callable[[], None]) -> None:  # noqa: ARG002
        still()
        self.world.meanwhile()

    def look_through(self, primary: Callable[[], str]) -> None:
        assert primary() == "db1"

    def verdict(self, _images: object) -> Any:
        return judged(whole().kept())


@pytest.fixture
def world(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> World:
    made = World(tmp_path)
    entries: tuple[Entry, ...] = tuple(whole().journal)
    replaced = {
        "place": lambda *_, **__: FakePlace(made),
        "looker": lambda _: made.status, "Session": lambda _g, history, _n: FakeSession(made, history),
        "ImageLoad": lambda *_, **__: SimpleNamespace(images=()), "vetoes": lambda *_: made.vetoes,
        "from_etcd": lambda _: Journal("etcd", entries), "CALM": 0.0, "AFTER": 0.0, "TOLD_WITHIN": 0.0,
        "REDUNDANT_WITHIN": 1.0,
    }  # fmt: skip
    for name, value in replaced.items():
        monkeypatch.setattr(drill_run, name, value)
    monkeypatch.setattr(drill_run.maintenance, "note", made.note)
    monkeypatch.setattr(drill_run.by_hand, "operating", operating)
    return made


@dataclass(frozen=True)
class Ground:
    keyed: object = None
    archive: object = None
    arp: object = None
    clients: tuple[str, ...] = ()
    sound: object = None
    databases: tuple[str, ...] = ()


etcds: list[FakeEtcd] = []


@contextmanager
def operating(_context: object, _what: str, _reason: str) -> Iterator[Any]:
    etcd = FakeEtcd(FakeClock())
    etcds.append(etcd)
    yield SimpleNamespace(
        actor="anna", clock=SystemClock(), keys=Keys("demo"), kv=etcd.client(), ours=lambda: ()
    )


def run(world: World, name: str = "primary/kill-agent") -> dict[str, Any]:
    lab = world.folder
    nothing = lab / "none"
    site = Site(lab, nothing, nothing, nothing, nothing, nothing, None, on_node=False, lab=lab)
    context = Context(sample(), SAMPLE, site, "table", 0)
    scenario = replace(find([name])[0], hold=0.0)
    return drill_run.run(context, scenario, "a test")


HEALED = ["kill-agent db1 healed", "clients end", "everything healed"]


def test_in_its_order(world: World) -> None:
    found = run(world)
    begun = ["journal: drill-begun", "clients work", "kill-agent db1"]
    assert world.said == [*begun, *HEALED, "journal: drill"]
    assert found["scenario"] == "primary/kill-agent"
    assert (found["node"], found["actor"], found["reason"]) == ("db1", "anna", "a test")
    assert len(found["spec_digest"]) == 64
    last = etcds[-1].client().range(Keys("demo").drill, within=1).first
    assert last
    assert (parse_drill(last.value).scenario, parse_drill(last.value).clean) == ("primary/kill-agent", True)
    kept = {p.name.split(".", 1)[1] for p in (world.folder / "drills").iterdir()}
    assert kept == {"jsonl", "verdict.json", "record.json"}


@pytest.mark.parametrize(
    "error", [KeyboardInterrupt(), Unreachable("nothing commits"), RuntimeError("a bug")]
)
def test_the_fault_is_healed_whatever_ends_it(world: World, error: BaseException) -> None:
    def ends() -> None:
        raise error

    world.meanwhile = ends
    with pytest.raises((type(error), StepFailed)):
        run(world)
    assert world.said[3:6] == HEALED
    said = "nothing commits" if isinstance(error, Unreachable) else type(error).__name__
    assert world.said[6:] == [f"journal: drill {said}"]
    (path,) = (world.folder / "drills").glob("*.record.json")
    found = json.loads(path.read_text())
    assert (found["verdict"], found["why"], found["clean"]) == ("aborted", said, False)
    assert set(found["invariants"].values()) == {"not judged", "by test"}
    assert shelf.records(world.folder / "drills") == [found]


def test_a_second_ctrl_c_does_not_end_the_healing(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    def heal() -> None:
        for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
            signal.raise_signal(number)
        world.said.append("everything healed")

    monkeypatch.setattr(world, "heal", heal)
    before = signal.getsignal(signal.SIGINT)
    world.meanwhile = interrupted
    with pytest.raises(KeyboardInterrupt):
        run(world)
    assert world.said[3:6] == HEALED
    assert signal.getsignal(signal.SIGINT) is before


def interrupted() -> None:
    raise KeyboardInterrupt


def test_redundancy_that_does_not_come_back(world: World) -> None:
    world.verdicts = ["degraded"]
    with pytest.raises(StepFailed, match="redundancy is full"):
        run(world)
    assert world.said[3:6] == HEALED


def seen(world: World, code: str, node: str) -> Callable[[], dict[str, Any]]:
    """A status that says it as long as the fault lasts."""

    def status() -> dict[str, Any]:
        lasts = "damage-page db1" in world.said and "damage-page db1 healed" not in world.said
        reasons = [{"code": code, "subject": node, "severity": "error"}] if lasts else []
        return {"verdict": "degraded" if lasts else "healthy", "reasons": reasons}

    return status


def test_what_a_scenario_has_to_show_is_waited_for(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(world, "status", seen(world, "PAGES_DAMAGED", "db1"))
    assert run(world, "primary/damage-page")["clean"]


def test_a_drill_in_which_nobody_sees_the_fault_is_none(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(drill_run, "SEEN_WITHIN", 1.0)
    monkeypatch.setattr(world, "status", seen(world, "PAGES_DAMAGED", "db2"))
    with pytest.raises(StepFailed, match="PAGES_DAMAGED about db1"):
        run(world, "primary/damage-page")
    assert "damage-page db1 healed" in world.said


def test_it_waits_for_redundancy(world: World) -> None:
    world.verdicts = ["degraded", "degraded", "healthy"]
    assert run(world)["clean"]


def test_refused_with_every_reason_and_nothing_done(world: World) -> None:
    world.vetoes = ["PAUSED : somebody paused", "NODE_UNREACHABLE wit1: no answer"]
    with pytest.raises(Refused) as refused:
        run(world)
    assert list(refused.value.vetoes) == world.vetoes
    assert world.said == []


def test_what_it_is_judged_by_stands_in_the_history(world: World) -> None:
    run(world)
    (path,) = (world.folder / "drills").glob("*.jsonl")
    kinds = {type(e).__name__ for e in read(path)}
    assert {"Asked", "Mark", "Journaled"} <= kinds


def test_a_surprise_ends_it_healed_recorded_and_tidied_up(world: World) -> None:
    def surprised() -> None:
        raise StepFailed("a surprise: NODE_UNREACHABLE: wit1")

    world.still = surprised
    with pytest.raises(StepFailed, match="a surprise"):
        run(world)
    assert world.said[3:] == [*HEALED, "journal: drill a surprise: NODE_UNREACHABLE: wit1"]
    (found,) = shelf.records(world.folder / "drills")
    assert found["why"] == "a surprise: NODE_UNREACHABLE: wit1"
    assert world.tidied == [found["run"]]
    stored = etcds[-1].client().range(Keys("demo").drill, within=1).first
    assert stored
    last = parse_drill(stored.value or "")
    assert (last.clean, last.aborted, last.proved) == (False, True, None)


@pytest.mark.parametrize(
    ("status", "want"),
    [
        ({"verdict": "healthy", "reasons": []}, True),
        ({"verdict": "degraded", "reasons": [{"code": "DRILL_OVERDUE", "severity": "warning"}]}, True),
        ({"verdict": "degraded", "reasons": [{"code": "STANDBY_LOST", "severity": "warning"}]}, False),
        ({"verdict": "healthy", "reasons": [{"code": "DRILL_NONE", "severity": "info"}]}, True),
        ({"verdict": "degraded", "reasons": [], "muted": [{"code": "FENCED", "severity": "warning"}]}, False),
        ({"verdict": "degraded", "reasons": []}, False),
    ],
)
def test_redundancy_is_full_when_nothing_is_missing_and_drills_are_no_matter(
    status: dict[str, Any],
    want: bool,  # noqa: FBT001 - the answer
) -> None:
    assert drill_run.whole(status) is want
