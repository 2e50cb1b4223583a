"""What a deployment would restart, in which order, and what clients notice of it. Pure.

A run with --check writes nothing, so what each unit would need then is worked out here: from the files that
would be written, and from what their units do when they change (the same table that the nodes get).
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Final

from hactl.deploy.bundle import watches
from hactl.deploy.events import Change
from hactl.deploy.inventory import Facts, standby_first
from hactl.render import (
    alertmanager,
    control,
    etcd,
    integrity,
    keepalived,
    nginx,
    orthanc,
    postgres,
    prometheus,
)
from hactl.render.targets import RenderedFile
from hactl.spec.model import ClusterSpec

STRENGTH: Final = ("none", "enable", "reload", "restart", "start")
ONE: Final = "one node at a time"
DRAINED: Final = "drained before (what is under way may end, new clients go elsewhere), let in again after"
ROLE_GIVEN: Final = (
    "never two at once; the primary gives its role away first: its sessions end, nobody commits for about "
    "a second"
)
MOVES: Final = "a virtual IP that is there moves, which ends sessions"
# In the order of ansible/site.yml: unit -> its name for people, how it is restarted, and what clients notice
# of that; of a reload they notice nothing. {nodes} are those that need it, in their order.
UNITS: Final[Mapping[str, tuple[str, str]]] = {
    etcd.UNIT: ("etcd", "one member at a time, the next when all are well; clients notice nothing"),
    postgres.UNIT: ("Patroni and PostgreSQL", ROLE_GIVEN),
    control.AGENT: ("the agent", "database nodes one at a time, in mode open then; clients notice nothing"),
    keepalived.UNIT: ("keepalived", f"{ONE}; {MOVES}; archive nodes are {DRAINED}"),
    orthanc.UNIT: ("Orthanc", f"{ONE}, {DRAINED}"),
    nginx.UNIT: ("nginx", f"{ONE}, {DRAINED}"),
    integrity.MANIFEST: ("the manifest's follower", "it goes on where it was"),
    alertmanager.UNIT: ("Alertmanager", "alerts wait for a moment"),
    prometheus.UNIT: ("Prometheus", "a gap of seconds in its series"),
    control.CONTROLLER: ("the controller", "the active one last; another takes its place within 4 s"),
}  # fmt: skip
# The tasks of plays/postgres.yml that are about parameters, not files.
DYNAMIC: Final = "Dynamic configuration"
PENDING: Final = frozenset(
    {"The standby", "The primary's role to the standby", "The former primary, or the primary in its place"}
)
DYNAMIC_SAID: Final = (
    "patch PostgreSQL's parameters through Patroni; what it takes only at its start: the standby is "
    "restarted, then the primary gives its role away and restarts as a standby"
)
PENDING_SAID: Final = (
    "PostgreSQL waits for a restart on {nodes}: the standby first, then the primary once it has given its "
    "role away: about a second without a commit"
)


def steps(
    spec: ClusterSpec, facts: Facts, files: Sequence[RenderedFile], changes: Sequence[Change]
) -> tuple[str, ...]:
    """Sentences, in the order in which it would be done. `changes`: of a run with --check."""
    if not changes:
        return ()
    order = standby_first(spec.databases, facts.primary)
    names = [*order, *(n for n in spec.nodes if n not in order)]
    if facts.fresh:
        return ("install everything and start it together: the first deployment",)
    return tuple(_steps(names, units(names, files, changes), changes))


def _steps(
    names: Sequence[str], needs: Mapping[str, Mapping[str, str]], changes: Sequence[Change]
) -> Iterator[str]:
    yield from _prepared(names, changes)
    for unit in (*UNITS, *(u for u in needs if u not in UNITS)):
        yield from _of_unit(unit, names, needs.get(unit, {}))
        if unit == postgres.UNIT:
            yield from _parameters(names, changes)


def _prepared(names: Sequence[str], changes: Iterable[Change]) -> Iterator[str]:
    """Packages, accounts, files: what is put there before anything is touched that runs."""
    tasks: dict[str, dict[str, None]] = {}
    paths: dict[str, int] = {}
    for change in changes:
        if change.unit or change.task == DYNAMIC or change.task in PENDING:
            continue
        if any(word.startswith("/") for word in change.what):
            paths[change.node] = paths.get(change.node, 0) + len(change.what)
        else:
            tasks.setdefault(change.task, {})[change.node] = None
    for task, nodes in tasks.items():
        yield f"{task}: {_listed(names, nodes)}"
    if paths:
        told = ", ".join(f"{n} ({paths[n]})" for n in names if n in paths)
        yield f"write, checked by their own programs first, files on: {told}"


def _of_unit(unit: str, names: Sequence[str], need: Mapping[str, str]) -> Iterator[str]:
    hard = [n for n, action in need.items() if action in {"start", "restart"}]
    soft = [n for n, action in need.items() if action == "reload"]
    name, how = UNITS.get(unit, (unit, ""))
    if soft:
        yield f"have {name} read its files anew: {_listed(names, soft)}; no connection ends"
    if hard:
        yield f"restart {name}: {_listed(names, hard)}{f'; {how}' if how else ''}"


def _parameters(names: Sequence[str], changes: Sequence[Change]) -> Iterator[str]:
    if any(c.task == DYNAMIC for c in changes):
        yield DYNAMIC_SAID
    if waiting := [c.node for c in changes if c.task in PENDING]:
        yield PENDING_SAID.format(nodes=_listed(names, waiting))


def _listed(names: Sequence[str], nodes: Iterable[str]) -> str:
    chosen = set(nodes)
    return ", ".join(n for n in names if n in chosen)


def units(
    names: Iterable[str], files: Sequence[RenderedFile], changes: Sequence[Change]
) -> dict[str, dict[str, str]]:
    """Unit -> node -> the strongest of what it would need."""
    found: dict[str, dict[str, str]] = {}
    for node in names:
        written = {word for c in changes if c.node == node for word in c.what}
        for unit, paths in watches(node, files).items():
            for path in written & paths.keys():
                _stronger(found, unit, node, paths[path])
    for change in changes:
        if change.unit and change.what:
            _stronger(found, change.unit, change.node, change.what[0])
    return found


def _stronger(found: dict[str, dict[str, str]], unit: str, node: str, action: str) -> None:
    before = found.get(unit, {}).get(node, "none")
    if action in STRENGTH and STRENGTH.index(action) > STRENGTH.index(before):
        found.setdefault(unit, {})[node] = action
