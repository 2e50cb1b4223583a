"""What proves a fenced node silent, what does not, and when a proof could be there."""

from __future__ import annotations

import pytest

from hactl.decide import proof
from hactl.decide.memory import FailoverMemory, Renewal
from hactl.spec.model import ClusterSpec
from hactl.view.control import Dcs, FenceIntent, Key, Mode, Proof, ProofKind
from hactl.view.model import Unknown
from tests.support import failover as f

INTENT = FenceIntent("db1", 5, "failover-5", "wit1", f.LED)
LAST_SEEN = 0.1
NOW = 2.0
SEEN = Renewal(f.ALIVE, LAST_SEEN)
POWER, SELF, LEASE = ProofKind.POWER_OFF, ProofKind.SELF_FENCED, ProofKind.LEASE_EXPIRED


def found(
    spec: ClusterSpec,
    *changes: f.Change,
    now: float = NOW,
    seen: Renewal | None = SEEN,
) -> dict[ProofKind, Proof | proof.Missing]:
    view = f.changed(f.healthy(now), f.lost, f.opened(), *changes)
    assert isinstance(view.dcs, Dcs)
    memory = FailoverMemory(renewals={"db1": seen} if seen else {})
    question = proof.Question(spec, view, view.dcs, INTENT, memory, now)
    return {p.kind: p for p in proof.look(question)}


@pytest.mark.parametrize(
    ("change", "proved"),
    [
        pytest.param(f.power("off"), True, id="a status read after the intent that says off"),
        pytest.param(f.power("off", ended=False), True, id="the same while the agent still runs"),
        pytest.param(f.power("off", read=None), False, id="off without a status read: an exit code"),
        pytest.param(f.power("off", read=1.0), False, id="a status from before the power was cut"),
        pytest.param(f.power("off", epoch=4), False, id="off under an earlier intent"),
        pytest.param(f.power("on"), False, id="it ended well, and the power is on"),
        pytest.param(f.power(Unknown("no answer")), False, id="the power controller does not answer"),
        pytest.param(f.seen(fence_runs={}), False, id="no agent was run"),
    ],
)
def test_power(change: f.Change, *, proved: bool) -> None:
    assert isinstance(found(f.armed(), change)[POWER], Proof) is proved


def test_a_power_that_was_read_long_ago_proves_nothing_of_now() -> None:
    young, old = (found(f.armed(), f.power("off", read=1.5), now=t)[POWER] for t in (31.4, 31.6))
    assert isinstance(young, Proof)
    assert isinstance(old, proof.Missing)
    assert old.possible


def test_power_proves_nothing_of_a_node_whose_agent_left_the_spec() -> None:
    missing = found(f.bare(), f.power("off"))[POWER]
    assert isinstance(missing, proof.Missing)
    assert not missing.possible


@pytest.mark.parametrize(
    ("change", "proved"),
    [
        pytest.param(f.self_fenced(), True, id="stopped, under this epoch"),
        pytest.param(f.self_fenced(postgres="recovery"), True, id="in recovery, under this epoch"),
        pytest.param(f.self_fenced(epoch=4), False, id="stopped, under an earlier epoch"),
        pytest.param(f.self_fenced(epoch=6), False, id="stopped, under an epoch that is not ours"),
        pytest.param(f.self_fenced(postgres="running"), False, id="still running"),
        pytest.param(f.keys(fenced={}), False, id="no answer"),
    ],
)
def test_its_own_word(change: f.Change, *, proved: bool) -> None:
    assert isinstance(found(f.bare(), change)[SELF], Proof) is proved


def test_a_lease_is_over_its_length_and_a_margin_after_the_last_renewal_was_seen() -> None:
    early = found(f.bare(), now=LAST_SEEN + 3.3 - 0.001)[LEASE]
    assert isinstance(early, proof.Missing)
    assert early.due == pytest.approx(LAST_SEEN + 3.3)
    late = found(f.bare(), now=LAST_SEEN + 3.3 + 0.001)[LEASE]
    assert isinstance(late, Proof)
    assert (late.node, late.epoch) == ("db1", 5)


@pytest.mark.parametrize(
    ("change", "seen"),
    [
        pytest.param(
            f.keys(modes={"db1": Mode.OPEN}), Renewal(f.ALIVE, 0.1), id="the node went into mode open"
        ),
        pytest.param(f.keys(modes={}), Renewal(f.ALIVE, 0.1), id="its mode is not known"),
        pytest.param(f.keys(alive={}), Renewal(f.ALIVE, 0.1), id="its alive key is gone"),
        pytest.param(
            f.keys(mode_revisions={"db1": 501}), Renewal(f.ALIVE, 0.1), id="it went to leased after it"
        ),
        pytest.param(f.keys(), Renewal(f.ALIVE - 1, 0.1), id="a later renewal is in etcd"),
        pytest.param(f.keys(alive={"db1": Key("{}", 99)}), Renewal(99, 0.1), id="of an earlier leadership"),
        pytest.param(f.keys(), None, id="its renewals were never seen"),
    ],
)
def test_a_lease_proves_nothing_when(change: f.Change, seen: Renewal | None) -> None:
    assert isinstance(found(f.bare(), change, now=60.0, seen=seen)[LEASE], proof.Missing)


def test_the_first_proof_wins_power_before_its_own_word_before_the_lease() -> None:
    all_there = found(f.armed(), f.power("off"), f.self_fenced(), now=9.0)
    assert all(isinstance(p, Proof) for p in all_there.values())
    first = proof.first(tuple(all_there.values()))
    assert first is not None
    assert first.kind is POWER


@pytest.mark.parametrize(
    ("spec", "change", "hopeless"),
    [
        pytest.param(f.bare(), f.keys(), False, id="the lease will end"),
        pytest.param(f.bare(), f.keys(modes={"db1": Mode.OPEN}), True, id="open, and no fence agent"),
        pytest.param(f.armed(), f.keys(modes={"db1": Mode.OPEN}), False, id="open, with a fence agent"),
    ],
)
def test_hopeless(spec: ClusterSpec, change: f.Change, *, hopeless: bool) -> None:
    assert proof.hopeless(tuple(found(spec, change).values())) is hopeless
