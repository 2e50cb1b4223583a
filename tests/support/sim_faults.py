"""What may happen to the simulated world, by name. Roles are looked up when it happens."""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

from tests.support.sim_node import OTHER, Node
from tests.support.sim_world import HOSTS, World

Fault = Callable[[World], None]


def primary(world: World) -> Node:
    """The leader, or who led last."""
    name = world.etcd.get("leader") or (world.etcd.get("sync") or ("db1",))[0]
    return world.nodes[name]


def standby(world: World) -> Node:
    return world.nodes[OTHER[primary(world).name]]


def cut(*pairs: tuple[str, str]) -> Fault:
    def fault(world: World) -> None:
        world.cut |= set(pairs)

    return fault


def _isolate(world: World, host: str, *, into: bool = True, out: bool = True) -> None:
    others = [h for h in HOSTS if h != host]
    world.cut |= {(o, host) for o in others if into} | {(host, o) for o in others if out}


def _controllers(world: World, *, active: bool) -> list[str]:
    return [n for n, c in world.controllers.items() if c.alive and bool(c.lease) is active]


def crash_controller(world: World, *, active: bool) -> None:
    """systemd starts it again."""
    for name in _controllers(world, active=active):
        world.controllers[name].crash()
        world.later(1.5, world.controllers[name].start)


def freeze_controller(world: World, seconds: float) -> None:
    """It goes on with what it had decided."""
    for name in _controllers(world, active=True):
        it = world.controllers[name]
        it.frozen = True
        world.later(seconds, lambda it=it: setattr(it, "frozen", False))  # type: ignore[misc]


def late_looks(world: World) -> None:
    for it in world.controllers.values():
        it.slow_looks = 2


def kill_agent(node: Node) -> None:
    if node.runs and node.agent:
        node.agent, node.agent_restart = False, node.now + 0.3


def disable_agent(node: Node) -> None:
    """Its last act is to go into mode open, if etcd lets it."""
    if node.runs and node.agent:
        node.agent, node.agent_disabled, node.agent_restart, node.agent_next = False, True, None, node.now
        node.open_lease()


def enable_agent(node: Node) -> None:
    if node.runs and not node.agent:
        node.start_agent()


def crash_postgres(node: Node) -> None:
    if node.runs:
        node.pg = "stopped"


def both(world: World, act: Callable[[Node], None]) -> None:
    for node in world.nodes.values():
        act(node)


def thaw(node: Node) -> None:
    node.frozen = node.patroni_frozen = False


def _reorder(world: World, leader: str) -> None:
    world.etcd.move(leader)


LOSSES: Final[dict[str, Fault]] = {
    "its power fails": lambda w: primary(w).power_off(),
    "it is cut off": lambda w: _isolate(w, primary(w).name),
    "it hears nobody": lambda w: _isolate(w, primary(w).name, out=False),
    "nobody hears it": lambda w: _isolate(w, primary(w).name, into=False),
    "it freezes": lambda w: setattr(primary(w), "frozen", primary(w).on),
    "its Patroni and agent die": lambda w: (
        setattr(primary(w), "patroni_frozen", True), kill_agent(primary(w)), crash_postgres(primary(w)),
    )[0],
    "etcd's leader is there, and its power fails": lambda w: (
        _reorder(w, primary(w).name), primary(w).power_off(),
    )[1],
}  # fmt: skip

FAULTS: Final[dict[str, Fault]] = {
    **{f"primary: {name}": fault for name, fault in LOSSES.items()},
    "standby: its power fails": lambda w: standby(w).power_off(),
    "standby: it is cut off": lambda w: _isolate(w, standby(w).name),
    "standby: it freezes": lambda w: setattr(standby(w), "frozen", standby(w).on),
    "witness: it is cut off": lambda w: _isolate(w, "wit1"),
    "witness: its power fails": lambda w: setattr(w, "witness_on", False),
    "witness: it is back": lambda w: setattr(w, "witness_on", True),
    "network: the database nodes part": cut(("db1", "db2"), ("db2", "db1")),
    "network: db1 and witness part": cut(("db1", "wit1"), ("wit1", "db1")),
    "network: db2 and witness part": cut(("db2", "wit1"), ("wit1", "db2")),
    "network: db2 is deaf to db1": cut(("db1", "db2")),
    "network: it heals": lambda w: w.cut.clear(),
    "all are thawed": lambda w: both(w, thaw),
    "all have power": lambda w: both(w, Node.power_on),
    "postgres crashes on the primary": lambda w: crash_postgres(primary(w)),
    "postgres crashes on the standby": lambda w: crash_postgres(standby(w)),
    "Patroni freezes on the primary": lambda w: setattr(primary(w), "patroni_frozen", True),
    "Patroni freezes on the standby": lambda w: setattr(standby(w), "patroni_frozen", True),
    "the primary's agent is killed": lambda w: kill_agent(primary(w)),
    "the standby's agent is killed": lambda w: kill_agent(standby(w)),
    "the primary's agent is disabled": lambda w: disable_agent(primary(w)),
    "the standby's agent is disabled": lambda w: disable_agent(standby(w)),
    "agents are enabled": lambda w: both(w, enable_agent),
    "the active controller crashes": lambda w: crash_controller(w, active=True),
    "the other controller crashes": lambda w: crash_controller(w, active=False),
    "the active controller freezes for 1 s": lambda w: freeze_controller(w, 1.0),
    "the active controller freezes for 5 s": lambda w: freeze_controller(w, 5.0),
    "the active controller freezes for 40 s": lambda w: freeze_controller(w, 40.0),
    "looks come late": late_looks,
    "the power controllers fail": lambda w: setattr(w, "bmc_works", False),
    "the power controllers work": lambda w: setattr(w, "bmc_works", True),
    "paused": lambda w: w.etcd.put("paused", "by the test"),
    "resumed": lambda w: w.etcd.keys.pop("paused", None),
}
