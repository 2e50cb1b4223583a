"""A pair with db1 primary, as the active controller on the witness sees it; and what may happen to it.

Times are seconds after the loss of db1 at 0. Each change takes a view and gives another.
"""

from __future__ import annotations

import functools
from collections.abc import Callable
from dataclasses import replace
from typing import Any

from hactl.decide.failover import FailoverMemory, decide_failover
from hactl.decide.plan import Action, Plan
from hactl.spec.document import Document
from hactl.spec.load import check
from hactl.spec.model import ClusterSpec
from hactl.view.control import (
    AgentFacts,
    ControlView,
    Dcs,
    DcsMember,
    Fenced,
    FenceIntent,
    FenceRun,
    Heartbeat,
    Key,
    Leader,
    Mode,
    Path,
    PathState,
    PatroniKeys,
    PostgresLocal,
    Prime,
)
from hactl.view.control_text import incident_text, parse_incident
from hactl.view.incident import Incident, Phase, Stamp
from hactl.view.model import DbRole, Unknown
from tests.support.specs import edited, sample

Change = Callable[[ControlView], ControlView]

LED = Leader("db1", 7001, 100)
ALIVE = 500
REVISION = 600


@functools.cache
def bare() -> ClusterSpec:
    """No fence agents: only the lease can prove anything."""
    return check(Document(edited({"fencing.agents": {}})), "bare")


def armed() -> ClusterSpec:
    """Each database node has a fence agent."""
    return sample()


def dcs(**changes: Any) -> Dcs:
    patroni = PatroniKeys(
        leader=LED,
        sync_leader="db1",
        sync_standbys=("db2",),
        members={
            "db1": DcsMember("db1", DbRole.PRIMARY, "running"),
            "db2": DcsMember("db2", DbRole.STANDBY, "running", "streaming"),
        },
    )
    found = Dcs(
        revision=REVISION,
        patroni=patroni,
        alive={"db1": Key("{}", ALIVE)},
        modes={"db1": Mode.LEASED, "db2": Mode.LEASED},
        mode_revisions={"db1": 50, "db2": 51},
        facts={"db2": AgentFacts("db2", "b", 1, postgres=PostgresLocal(False, "192.0.2.11"))},
        active="wit1",
        standing_by=("db1", "db2"),
        epoch=4,
    )
    return replace(found, **changes)


def healthy(now: float = -0.1) -> ControlView:
    fine = dict.fromkeys(Path, PathState(0, now))
    return ControlView(
        me="wit1",
        holding=True,
        dcs=dcs(),
        dcs_at=now,
        paths={"db1": fine, "db2": fine, "wit1": fine},
        heartbeat=Heartbeat(0, now, "db1"),
        etcd_leader="wit1",
    )


def changed(view: ControlView, *changes: Change) -> ControlView:
    for change in changes:
        view = change(view)
    return view


def changed_by(*changes: Change) -> Change:
    """Several changes as one."""
    return lambda view: changed(view, *changes)


def keys(**changes: Any) -> Change:
    def change(view: ControlView) -> ControlView:
        assert isinstance(view.dcs, Dcs)
        return replace(view, dcs=replace(view.dcs, **changes))

    return change


def patroni(**changes: Any) -> Change:
    def change(view: ControlView) -> ControlView:
        assert isinstance(view.dcs, Dcs)
        return replace(view, dcs=replace(view.dcs, patroni=replace(view.dcs.patroni, **changes)))

    return change


def seen(**changes: Any) -> Change:
    return lambda view: replace(view, **changes)


def paths(node: str, **states: PathState) -> Change:
    """By the path's name: alive, patroni, postgres, etcd."""
    names = {
        "alive": Path.ALIVE_KEY,
        "patroni": Path.PATRONI,
        "postgres": Path.POSTGRES,
        "etcd": Path.ETCD_PEER,
    }

    def change(view: ControlView) -> ControlView:
        new = {**view.paths.get(node, {}), **{names[k]: v for k, v in states.items()}}
        return replace(view, paths={**view.paths, node: new})

    return change


def misses(*which: str, node: str = "db1", n: int = 4) -> Change:
    return paths(node, **dict.fromkeys(which, PathState(n, -0.2)))


def lost(view: ControlView) -> ControlView:
    """db1 is gone since 0, and everything has noticed."""
    return misses("alive", "patroni", "postgres", "etcd")(view)


def opened(spec_epoch: int = 5, *, phases: tuple[Phase, ...] = (), **changes: Any) -> Change:
    """The intent and the incident stand in etcd."""
    name = f"failover-{spec_epoch}"
    stamps = tuple(Stamp(p, "wit1", 1000, "") for p in (Phase.SUSPECTED, *phases))
    incident = Incident(name, "failover", "db1", "db2", spec_epoch, stamps=stamps)
    intent = FenceIntent("db1", spec_epoch, name, "wit1", LED)
    return keys(
        **{"fences": {"db1": intent}, "incident": incident_text(incident), "epoch": spec_epoch, **changes}
    )


def primed(view: ControlView) -> ControlView:
    return keys(primes={"db2": Prime("db2", 5, "192.0.2.11")}, primed={"db2": 5})(view)


def self_fenced(epoch: int = 5, postgres: str = "stopped") -> Change:
    return keys(fenced={"db1": Fenced("db1", epoch, postgres)})


def power(said: str | Unknown, *, read: float | None = 1.5, epoch: int = 5, ended: bool = True) -> Change:
    return seen(fence_runs={"db1": FenceRun("db1", epoch, 1.1, said, ended, read=read)})


def cut(
    power: str | Unknown = "off", *, was_on: bool | Unknown = True, ended: bool = True, epoch: int = 5
) -> Change:
    """This controller's fence agent, begun with the intent."""
    run = FenceRun("db1", epoch, 1.1, power, ended, read=1.5, was_on=was_on)
    return seen(fence_runs={"db1": run})


def power_on(power: str | Unknown, *, at: float, ended: bool = True, said: str = "") -> Change:
    return seen(power_ons={"db1": FenceRun("db1", 5, at, power, ended, said, at)})


def detailed(**details: object) -> Change:
    """In the open incident."""

    def change(view: ControlView) -> ControlView:
        incident = incident_of(view)
        text = incident_text(replace(incident, details={**incident.details, **details}))
        return keys(incident=text)(view)

    return change


def promoted(view: ControlView) -> ControlView:
    return patroni(leader=Leader("db2", 7002, 700), sync_leader="db2", sync_standbys=())(view)


def at(view: ControlView, now: float) -> ControlView:
    """The same, with a look of just now."""
    return replace(view, dcs_at=now)


class Story:
    """Decides again and again, with the memory carried along; nobody acts."""

    def __init__(self, spec: ClusterSpec, memory: FailoverMemory | None = None) -> None:
        self.spec = spec
        self.memory = memory or FailoverMemory()

    def decide(self, view: ControlView, now: float) -> Plan:
        plan, self.memory = decide_failover(self.spec, at(view, now), self.memory, now)
        return plan

    def warm(self) -> Story:
        """Has looked at the healthy pair up to the loss."""
        for tick in range(-8, 1):
            renewed = {"db1": Key("{}", ALIVE + tick // 2)}
            self.decide(keys(alive=renewed)(healthy(tick / 4)), tick / 4)
        return self

    def idle(self) -> Story:
        """Has looked on for 0.75 s more; no lease was renewed since."""
        for tick in range(1, 4):
            self.decide(healthy(tick / 4), tick / 4)
        return self


def until_suspected(spec: ClusterSpec) -> Story:
    """Has seen db1 go silent; nothing has been asked for yet."""
    story = Story(spec).warm()
    for tick in range(1, 4):
        story.decide(misses("alive", "patroni", "postgres", "etcd", n=tick)(healthy()), tick / 4)
    return story


def actions(plan: Plan, *kinds: type[Action]) -> list[Action]:  # type: ignore[valid-type]
    return [s.action for s in plan.steps if not kinds or isinstance(s.action, kinds)]


def names(plan: Plan) -> list[str]:
    return [type(s.action).__name__ for s in plan.steps]


def codes(plan: Plan) -> list[str]:
    return [v.code for v in plan.vetoes]


def incident_of(view: ControlView) -> Incident:
    assert isinstance(view.dcs, Dcs)
    assert view.dcs.incident
    return parse_incident(view.dcs.incident)
