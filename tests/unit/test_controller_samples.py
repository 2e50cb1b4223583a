"""Signs of life: from looks at etcd, from probes, from the heartbeat; and what an old sample is worth."""

from __future__ import annotations

import dataclasses
import threading
from typing import Any

import pytest

from hactl.adapters.clock import SystemClock
from hactl.controller.beat import Beats
from hactl.controller.haste import LONGEST, Haste
from hactl.controller.mirror import Signs
from hactl.controller.probes import Probe
from hactl.controller.samples import OLD, Samples
from hactl.errors import Unreachable
from hactl.metrics.instruments import Instruments
from hactl.view.control import AgentFacts, Dcs, Key, Path, PathState, PeerLook
from hactl.view.control_text import incident_text
from hactl.view.incident import Incident, Phase, Stamp
from hactl.view.model import Unknown
from tests.fakes.etcd import FakeClock

DATABASES = ("db1", "db2")


class Watch:
    def __init__(self) -> None:
        self.samples = Samples()
        self.signs = Signs(self.samples, DATABASES)

    def see(self, at: float, *, alive: int | None = None, facts: AgentFacts | None = None) -> None:
        dcs = Dcs(
            revision=int(at * 100),
            alive={} if alive is None else {"db1": Key("{}", alive)},
            facts={} if facts is None else {facts.node: facts},
        )
        self.signs.seen(dcs, at)

    def path(self, path: Path) -> PathState | None:
        return self.samples.path_of("db1", path)


def _facts(node: str, seq: int, misses: int) -> AgentFacts:
    return AgentFacts(node, "boot", seq, peers={"db1": PeerLook(misses, "no answer" if misses else "")})


def test_a_lease_that_is_renewed_lives() -> None:
    watch = Watch()
    for n in range(8):
        watch.see(10 + n * 0.25, alive=100 + n // 2)
    assert watch.path(Path.ALIVE_KEY) == PathState(0, 11.5, "")


@pytest.mark.parametrize(("age", "misses"), [(0.7, 0), (0.8, 1), (1.05, 2), (1.3, 3), (1.55, 4)])
def test_one_that_is_not_is_missed_once_each_250_ms(age: float, misses: int) -> None:
    watch = Watch()
    watch.see(9.5, alive=1)
    watch.see(10.0, alive=2)
    watch.see(10.0 + age, alive=2)
    state = watch.path(Path.ALIVE_KEY)
    assert state is not None
    assert (state.misses, state.last_ok) == (misses, 10.0)


def test_what_was_written_before_this_controller_came_is_no_sign_of_life() -> None:
    watch = Watch()
    watch.see(10.0, alive=7)
    state = watch.path(Path.ALIVE_KEY)
    assert state is not None
    assert state.last_ok is None


def test_while_etcd_does_not_answer_nothing_is_missed() -> None:
    watch = Watch()
    watch.see(9.5, alive=1)
    watch.see(10.0, alive=2)
    before = watch.path(Path.ALIVE_KEY)
    assert watch.path(Path.ALIVE_KEY) is before


def test_the_other_database_node_says_how_the_port_looks() -> None:
    watch = Watch()
    watch.see(10.0, facts=_facts("db2", 1, 0))
    watch.see(11.0, facts=_facts("db2", 2, 4))
    assert watch.path(Path.POSTGRES) == PathState(4, 10.0, "from db2: no answer")


def test_an_archive_node_has_no_say_in_it() -> None:
    watch = Watch()
    watch.see(10.0, facts=_facts("arc1", 1, 4))
    assert watch.path(Path.POSTGRES) is None


def test_a_report_that_nobody_renews_says_nothing_any_more() -> None:
    watch = Watch()
    watch.see(10.0, facts=_facts("db2", 1, 4))
    watch.see(13.6, facts=_facts("db2", 1, 4))
    assert watch.path(Path.POSTGRES) is None


def test_a_look_that_was_overtaken_is_not_kept() -> None:
    samples = Samples()
    samples.look(Dcs(20), 2.0)
    samples.look(Dcs(10), 1.0)
    dcs = samples.view("me", holding=True).dcs
    assert isinstance(dcs, Dcs)
    assert dcs.revision == 20


def test_the_last_look_stays_until_it_is_old_then_nothing_is_known() -> None:
    samples = Samples()
    samples.look(Dcs(20), 2.0)
    samples.look_failed("no quorum", 2.0 + OLD)
    assert isinstance(samples.view("me", holding=True).dcs, Dcs)
    samples.look_failed("no quorum", 2.1 + OLD)
    assert samples.view("me", holding=True).dcs == Unknown("no quorum")


class Answers:
    """Each question takes what is next: True, or a sentence why not."""

    def __init__(self, *answers: bool | str) -> None:
        self._answers = list(answers)

    def ask(self, within: float) -> int:
        del within
        answer = self._answers.pop(0)
        if isinstance(answer, str):
            raise Unreachable(answer)
        return 200


def test_a_probe_counts_misses_in_a_row_and_remembers_the_last_answer() -> None:
    clock, samples = FakeClock(10.0), Samples()
    question = Answers(True, "refused", "silent", True)
    probe = Probe("db1", Path.PATRONI, question, samples, clock, Instruments())
    seen = []
    for _ in range(4):
        probe.once()
        seen.append(samples.path_of("db1", Path.PATRONI))
        clock.forward(0.25)
    assert seen == [
        PathState(0, 10.0),
        PathState(1, 10.0, "refused"),
        PathState(2, 10.0, "silent"),
        PathState(0, 10.75),
    ]


@dataclasses.dataclass
class Took:
    node: str
    took: float


class Heart:
    def __init__(self, *beats: Took | Unreachable) -> None:
        self._beats = list(beats)
        self.within: list[float] = []

    def beat(self, within: float) -> Took:
        self.within.append(within)
        beat = self._beats.pop(0)
        if isinstance(beat, Unreachable):
            raise beat
        return beat


class Reached(Unreachable):
    reached = True


def test_the_heartbeat_keeps_who_took_the_last_commit_while_it_misses() -> None:
    clock, samples = FakeClock(10.0), Samples()
    heart = Heart(Took("db1", 0.02), Reached("no answer in time"), Unreachable("refused"), Took("db2", 0.03))
    beats = Beats(heart, samples, clock, Instruments())
    seen: list[Any] = []
    for _ in range(4):
        beats.once(incident=False)
        beat = samples.view("me", holding=True).heartbeat
        seen.append((beat.misses, beat.node, beat.reached, beat.last_ok, beat.since))
        clock.forward(1)
    assert seen == [
        (0, "db1", None, 10.0, 10.0),
        (1, "db1", True, 10.0, 10.0),
        (2, "db1", None, 10.0, 10.0),
        (0, "db2", None, 13.0, 13.0),
    ]


def test_in_an_incident_a_beat_has_less_time() -> None:
    heart = Heart(Took("db1", 0.02), Took("db1", 0.02))
    beats = Beats(heart, Samples(), FakeClock(), Instruments())
    beats.once(incident=False)
    beats.once(incident=True)
    assert heart.within[1] < heart.within[0]


def _incident(*phases: Phase) -> str:
    stamps = tuple(Stamp(p, "db1", 1, "") for p in phases)
    return incident_text(Incident("failover-1", "failover", "db1", "db2", 1, stamps=stamps))


def test_haste_lasts_until_the_first_commit_and_never_long() -> None:
    clock, samples = FakeClock(10.0), Samples()
    haste = Haste(samples, clock)
    samples.look(Dcs(1), 10.0)
    assert not haste()
    samples.look(Dcs(2, incident=_incident(Phase.SUSPECTED)), 11.0)
    assert haste()
    samples.look(Dcs(3, incident=_incident(Phase.SUSPECTED, Phase.FIRST_COMMIT)), 12.0)
    assert not haste()
    samples.look(Dcs(4, incident=_incident(Phase.SUSPECTED)), 13.0)
    clock.forward(LONGEST + 1)
    assert not haste()


class Hanging:
    """The first beat hangs until the test lets it go; the others come through at once."""

    def __init__(self) -> None:
        self.free, self.calls = threading.Event(), 0

    def beat(self, within: float) -> Took:
        del within
        self.calls += 1
        if self.calls == 1:
            self.free.wait(5)
            raise Unreachable("no answer in time")
        return Took("db2", 0.01)


def test_in_an_incident_a_beat_that_hangs_holds_up_no_other(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("hactl.controller.beat.EVERY_IN_INCIDENT", 0.001)
    samples, heart, stop = Samples(), Hanging(), threading.Event()
    beats = Beats(heart, samples, SystemClock(), Instruments())
    thread = threading.Thread(target=beats.run, args=(lambda: True, lambda: True, stop), daemon=True)
    thread.start()
    while samples.view("me", holding=True).heartbeat.node != "db2":
        assert samples.changed.wait(5)
        samples.changed.clear()
    heart.free.set()
    stop.set()
    thread.join(5)
    assert samples.view("me", holding=True).heartbeat.misses == 0
