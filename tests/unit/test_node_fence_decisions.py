"""What speaks against fencing a node by hand, and against letting it in again."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from hactl.decide.node_fence import BY_HAND, Meant, intent, may_fence, may_unfence
from hactl.view.cluster import ClusterView
from tests.support.keysview import (
    LEADER,
    agent_silent,
    fenced,
    keys_with,
    led_by,
    sync,
)
from tests.support.nodes import blind, by_hand, codes, maintained, world
from tests.support.views import (
    demo_spec,
    patroni_says,
    standby,
)

SPEC = demo_spec()
View = Callable[[], ClusterView]
IDLE = patroni_says("db2", standby("db2", replication_state="", sync=False))
FORCE = Meant(force=True)
INCIDENT = keys_with(incident="{}")


def test_a_standby_may_be_fenced_and_the_primary_by_force() -> None:
    found = may_fence(SPEC, world(), "db2")
    assert (found.vetoes, found.primary, found.takes_over) == ((), False, "")
    forced = may_fence(SPEC, world(), "db1", FORCE)
    assert (forced.vetoes, forced.primary, forced.takes_over) == ((), True, "db2")
    assert any("may be lost" in note for note in forced.notes)


def test_it_is_said_aloud_that_nobody_takes_over() -> None:
    for view in (world(dcs=(sync(),)), world(IDLE), world(dcs=(agent_silent("db2"),))):
        assert codes(may_fence(SPEC, view, "db1", FORCE)) == ["NOBODY_TAKES_OVER"]
        forced = may_fence(SPEC, view, "db1", Meant(force=True, alone=True))
        assert (forced.takes_over, forced.vetoes) == ("", ())
        assert any("NOBODY TAKES OVER" in note for note in forced.notes)


@pytest.mark.parametrize(
    ("node", "view", "code"),
    [
        ("db2", blind, "ETCD_UNKNOWN"),
        ("db2", lambda: world(dcs=(INCIDENT,)), "INCIDENT_OPEN"),
        ("db2", lambda: world(dcs=(led_by(None),)), "NO_PRIMARY"),
        ("db2", lambda: world(dcs=(fenced("db2"),)), "ALREADY_FENCED"),
        ("db2", lambda: world(dcs=(fenced("db1"),)), "OTHER_FENCED"),
        ("db1", lambda: world(dcs=(maintained("db2", stopped=True),)), "OTHER_STOPPED"),
    ],
)
def test_no_force_helps_against_these(node: str, view: View, code: str) -> None:
    assert code in codes(may_fence(SPEC, view(), node, Meant(force=True, alone=True)))


def test_the_primary_is_not_fenced_by_mistake() -> None:
    assert codes(may_fence(SPEC, world(), "db1")) == ["IS_PRIMARY"]
    assert "IS_PRIMARY" in codes(may_fence(SPEC, world(dcs=(led_by("db2"),)), "db2")), "who only leads counts"


def test_what_nobody_can_prove_is_not_begun() -> None:
    none = SPEC.model_copy(update={"fencing": SPEC.fencing.model_copy(update={"agents": {}})})
    assert codes(may_fence(none, world(dcs=(agent_silent("db2"),)), "db2")) == ["NOT_PROVABLE"]
    assert codes(may_fence(none, world(), "db2", Meant(power=True))) == ["NO_FENCE_AGENT"]
    assert not may_fence(none, world(), "db2").vetoes


def test_the_intent_is_of_this_leadership_and_of_nobody_elses_incident() -> None:
    made = intent(world().control, "db2", "operator anna", "")  # type: ignore[arg-type]
    assert (made.node, made.epoch, made.incident, made.leader) == ("db2", 5, f"{BY_HAND}5", LEADER)
    with pytest.raises(ValueError, match="leader key"):
        intent(world(dcs=(led_by(None),)).control, "db2", "anna", "")  # type: ignore[arg-type]


def test_only_what_was_fenced_by_hand_is_let_in_by_hand() -> None:
    assert may_unfence(world(dcs=(by_hand("db2"),)), "db2").ok
    assert codes(may_unfence(world(), "db2")) == ["NOT_FENCED"]
    assert codes(may_unfence(blind(), "db2")) == ["ETCD_UNKNOWN"]
    assert codes(may_unfence(world(dcs=(fenced("db2"),)), "db2")) == ["CONTROLLERS_FENCE"]
    assert codes(may_unfence(world(dcs=(by_hand("db1"),)), "db1")) == ["STILL_LEADS"]
    assert may_unfence(world(dcs=(by_hand("db2"), led_by(None))), "db2").ok
