"""What an archive node does with its ports and its place behind the VIP: the tables."""

from __future__ import annotations

from dataclasses import dataclass, field, replace

import pytest

from hactl.agent import storage
from hactl.agent.archive import (
    CUT,
    DRAIN_WITHIN,
    PROVE,
    QUIET_FOR,
    START,
    STOP,
    TRY,
    Because,
    Seen,
    Stand,
    decide,
)
from hactl.agent.storage import Identity, Known, Verdict, judge, known_text, parse_known
from hactl.view.archive import Drain, DrainBy
from hactl.view.model import State
from hactl.view.storage import StorageSeen

OURS = StorageSeen("demo", device=0x801, mounted=True)
KNOWN = Known(0x801, mounted=True)


@pytest.mark.parametrize(
    ("seen", "known", "identity"),
    [
        pytest.param(OURS, KNOWN, Identity.PROVEN, id="as it was"),
        pytest.param(OURS, None, Identity.PROVEN, id="a new node: the marker decides"),
        pytest.param(replace(OURS, mounted=False), None, Identity.PROVEN, id="a folder, where it always was"),
        pytest.param(replace(OURS, mounted=False), KNOWN, Identity.LOST, id="a copy under the mount point"),
        pytest.param(replace(OURS, device=0x902), KNOWN, Identity.DOUBTFUL, id="our marker elsewhere"),
        pytest.param(StorageSeen("other", 0x801, mounted=True), KNOWN, Identity.LOST, id="another's"),
        pytest.param(StorageSeen(None, why="not there"), KNOWN, Identity.LOST, id="unmounted"),
        pytest.param(StorageSeen(None, why="not there"), None, Identity.LOST, id="never there"),
    ],
)
def test_identity(seen: StorageSeen, known: Known | None, identity: Identity) -> None:
    verdict = judge(seen, known, "demo")
    assert verdict.identity is identity
    assert verdict.why
    assert (verdict.probe.state is State.OK) == (identity is Identity.PROVEN)


def test_what_is_known_is_kept_as_text() -> None:
    assert parse_known(known_text(KNOWN)) == KNOWN
    for spoiled in (None, "", "{", "[]", '{"device": "x", "mounted": true}', '{"device": 1}'):
        assert parse_known(spoiled) is None


def test_a_device_is_named_as_the_kernel_names_it() -> None:
    assert storage.name(0x801) == "8:1"
    assert storage.name(0x30) == "0:48"


PROVEN, LOST = Verdict(Identity.PROVEN, "device 8:1", 0x801), Verdict(Identity.LOST, "not mounted?")
DOUBTFUL, STALLED = (
    Verdict(Identity.DOUBTFUL, "elsewhere", 0x902),
    Verdict(Identity.STALLED, "no answer for 4 s"),
)
DRAIN = Drain("arc1", DrainBy.OPERATOR, "new disk")


@dataclass
class Node:
    """Applies what is decided to a node of its own: keepalived, Orthanc and clients do what they do."""

    seen: Seen = field(default_factory=lambda: Seen(PROVEN, holding=True, busy=2, orthanc=True))
    stand: Stand = field(default_factory=Stand)
    now: float = 100.0
    acts: list[str] = field(default_factory=list)

    def round(self, after: float = 0.25, **changes: object) -> Stand:
        self.now += after
        self.seen = replace(self.seen, **changes)  # type: ignore[arg-type]
        self.stand, acts = decide(self.seen, self.stand, self.now)
        self.acts += acts
        if self.stand.out:
            self.seen = replace(self.seen, holding=False)
        if STOP in acts:
            self.seen = replace(self.seen, orthanc=False)
        if {START, TRY} & set(acts):
            self.seen = replace(self.seen, orthanc=True)
        return self.stand


def test_nothing_is_done_to_a_sound_node() -> None:
    node = Node()
    assert node.round() == Stand()
    assert node.round(storage=Verdict(Identity.UNKNOWN)) == Stand()
    assert node.acts == []


def test_what_is_under_way_ends_before_the_address_goes() -> None:
    node = Node()
    stand = node.round(drain=DRAIN)
    assert (stand.out, stand.held, stand.shut) == (False, True, False)
    assert stand.why == "operator: new disk"
    assert not node.round(after=5.0, busy=1).out
    assert not node.round(busy=0).out
    assert not node.round(after=QUIET_FOR / 2, busy=1).out, "the next request had only not begun yet"
    assert not node.round(busy=0).out
    assert node.round(after=QUIET_FOR).out
    assert node.acts == []
    stand = node.round()
    assert (stand.out, stand.held) == (True, False), "the address is gone: nobody is to wait here any more"


def test_what_does_not_end_is_cut_off_at_the_deadline() -> None:
    node = Node()
    node.round(drain=DRAIN)
    assert not node.round(after=DRAIN_WITHIN - 0.5).out
    assert node.round(after=0.5).out
    assert node.acts == [CUT]


@pytest.mark.parametrize("within", [0.0, 2.0])
def test_a_drain_may_say_how_long(within: float) -> None:
    node = Node()
    node.round(drain=replace(DRAIN, within=within))
    assert node.round(after=within).out


def test_without_the_address_a_drain_is_done_at_once() -> None:
    node = Node(seen=Seen(PROVEN, drain=DRAIN, orthanc=True))
    assert node.round().out
    assert node.acts == []


def test_a_drain_that_is_taken_back_ends_at_once() -> None:
    node = Node()
    node.round(drain=DRAIN)
    assert node.round(drain=None) == Stand()
    node.round(drain=DRAIN, busy=0)
    assert node.round(after=1.0).out
    assert node.round(drain=None) == Stand()


def test_a_drain_counts_anew_each_time() -> None:
    node = Node()
    node.round(drain=DRAIN)
    node.round(after=DRAIN_WITHIN - 1, drain=None)
    node.round(drain=DRAIN)
    assert not node.round(after=2.0).out


def test_a_lost_storage_shuts_everything_at_once_and_ends_orthanc() -> None:
    node = Node()
    stand = node.round(storage=LOST)
    assert (stand.out, stand.shut, stand.why) == (True, True, "not mounted?")
    assert stand.because is Because.STORAGE
    assert node.acts == [CUT, STOP]
    node.round()
    assert node.acts == [CUT, STOP], "once"
    node.round(orthanc=True)
    assert node.acts == [CUT, STOP, STOP], "somebody started it again"


def test_a_storage_that_comes_back_is_served_again() -> None:
    node = Node()
    node.round(storage=LOST)
    stand = node.round(storage=PROVEN)
    assert (stand.out, stand.shut) == (False, False)
    assert node.acts[-1] == START
    assert node.round() == Stand()


def test_while_nobody_has_looked_a_lost_storage_stays_lost() -> None:
    node = Node()
    node.round(storage=LOST)
    stand = node.round(storage=Verdict(Identity.UNKNOWN, "not looked yet"))
    assert (stand.out, stand.shut) == (True, True)


def test_our_marker_on_another_device_is_proved_by_an_orthanc_that_remembers_nothing() -> None:
    node = Node()
    stand = node.round(storage=DOUBTFUL)
    assert (stand.out, stand.shut) == (True, True)
    assert node.acts == [CUT, STOP]
    node.round()
    assert node.acts == [CUT, STOP, TRY]
    stand = node.round()
    assert node.acts[-1] == PROVE
    assert stand.shut, "nothing comes in before it is proven"
    assert node.round(storage=replace(PROVEN, device=DOUBTFUL.device)) == Stand()
    assert node.acts == [CUT, STOP, TRY, PROVE]


def test_an_orthanc_that_was_tried_on_another_disk_does_not_go_on_with_it() -> None:
    """It keeps the disk it was started on: whatever it took now would lie there."""
    node = Node()
    for _ in range(3):
        node.round(storage=DOUBTFUL)
    node.acts.clear()
    stand = node.round(storage=PROVEN)
    assert (stand.out, stand.shut, node.acts) == (True, True, [STOP])
    stand = node.round()
    assert (stand.shut, node.acts) == (False, [STOP, START])
    assert node.round() == Stand()


def test_nor_with_the_first_of_two_other_disks() -> None:
    node = Node()
    for _ in range(3):
        node.round(storage=DOUBTFUL)
    node.acts.clear()
    third = replace(DOUBTFUL, device=0x903)
    for _ in range(3):
        node.round(storage=third)
    assert node.acts == [STOP, TRY, PROVE]
    node.round(storage=LOST, orthanc=True)
    node.round(storage=PROVEN, orthanc=True)
    assert node.stand.shut, "it could not be stopped yet"
    node.round()
    assert node.round() == Stand()


def test_an_orthanc_that_does_not_run_is_nobody_s_to_stop_or_to_start() -> None:
    """As before the first deployment has configured it, or when an operator has stopped it."""
    node = Node(seen=Seen(PROVEN, orthanc=False))
    node.round(storage=LOST)
    assert node.round(storage=PROVEN) == Stand()
    assert node.acts == [CUT]
    node.round(storage=DOUBTFUL)
    node.round()
    assert node.acts == [CUT, CUT]
    node.round(orthanc=True)
    assert node.acts == [CUT, CUT, PROVE], "it was started after the disk came: it is fresh"


def test_after_a_loss_orthanc_is_fresh_by_itself() -> None:
    node = Node()
    node.round(storage=LOST)
    node.round(storage=DOUBTFUL)
    node.round()
    assert node.acts == [CUT, STOP, TRY, PROVE]
    node.round(storage=LOST)
    assert node.acts[-1] == STOP
    assert not node.stand.fresh, "what it read before says nothing of what comes now"


def test_a_storage_that_does_not_answer_gives_the_address_away_and_no_more() -> None:
    node = Node()
    stand = node.round(storage=STALLED)
    assert (stand.out, stand.shut) == (True, False)
    assert node.acts == []
    assert node.round(storage=PROVEN) == Stand()


def test_a_drained_node_stays_out_when_its_storage_comes_and_goes() -> None:
    node = Node()
    node.round(drain=DRAIN, busy=0)
    node.round(after=1.0)
    assert node.round(storage=LOST).shut
    stand = node.round(storage=PROVEN)
    assert (stand.out, stand.shut, stand.because) == (True, False, Because.OPERATOR)
