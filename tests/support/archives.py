"""Archive nodes as a decision sees them: start from health, change only what the test is about.

scene(hung("arc1"), drained("arc2")) -> sights and keys
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

from hactl.decide.archive_sql import Sql
from hactl.view.archive import ArchiveFacts, Drain, DrainBy, EndToEnd
from hactl.view.archive_levels import Answer, Route, Sight
from hactl.view.control import Dcs, Order
from hactl.view.model import Probe, State
from tests.support.keysview import well

ORTHANC, NGINX = "orthanc.service", "nginx.service"
ROUTES = {
    "front": Route("front", "L0", NGINX, database=False),
    "dicom": Route("dicom", "L0", ORTHANC),
    "now": Route("now", "L1", ORTHANC),
    "echo": Route("echo", "L1", ORTHANC),
    "index": Route("index", "L2", ORTHANC),
}
OK = Probe(State.OK)
SILENT = Probe(State.FAILED, "no answer in time")
STRANGE = Probe(State.UNKNOWN, "its certificate is not trusted")
VIP = "192.0.2.101"
NOW = 10_000.0
WORKS = Sql(works_for=3600.0)
FAILS_OVER = Sql(away_for=3.0, why="3 commits failed in a row")
AWAY = Sql(away_for=300.0, why="300 commits failed in a row")
JUST_BACK = Sql(works_for=4.0)
NOT_KNOWN = Sql(why="no commit has been seen yet")


@dataclass(frozen=True)
class Scene:
    dcs: Dcs
    answers: Mapping[str, Mapping[str, Answer]] = field(default_factory=dict)
    sql: Sql = WORKS

    def sights(self, now: float, looks: int, every: float = 2.0) -> dict[str, dict[str, Sight]]:
        """As after `looks` rounds of the same answers, the last one at `now`."""
        first = now - (looks - 1) * every
        return {
            node: {
                name: Sight(ROUTES[name], answer, now, now + 10, looks, first)
                for name, answer in found.items()
            }
            for node, found in self.answers.items()
        }


Change = Callable[[Scene], Scene]


def facts(**changes: Any) -> ArchiveFacts:
    usual = ArchiveFacts(OK, OK, associations=0, last_check=EndToEnd(True, 1000.0, {"store": 0.1}))
    return dataclasses.replace(usual, **changes)


def scene(*changes: Change) -> Scene:
    """arc1 and arc2 serve, arc1 has the address."""
    dcs = well()
    for node in ("arc1", "arc2"):
        found = dataclasses.replace(
            dcs.facts[node], archive=facts(), storage=OK, boottime=1010.0,
            vips=(VIP,) if node == "arc1" else (), units={ORTHANC: "active", NGINX: "active"},
        )  # fmt: skip
        dcs = dataclasses.replace(dcs, facts={**dcs.facts, node: found})
    answers = dict.fromkeys(ROUTES, Answer(OK))
    found_scene = Scene(dcs, {"arc1": answers, "arc2": dict(answers)})
    for change in changes:
        found_scene = change(found_scene)
    return found_scene


def answers(node: str, probe: Probe, *routes: str, reached: bool = True) -> Change:
    def change(before: Scene) -> Scene:
        now = {**before.answers[node], **dict.fromkeys(routes, Answer(probe, reached))}
        return dataclasses.replace(before, answers={**before.answers, node: now})

    return change


def hung(node: str) -> Change:
    """Its connections to the database wait for an answer that never comes: nothing else is to be seen."""
    return answers(node, SILENT, "index")


def frozen(node: str) -> Change:
    """Orthanc is stopped by a signal: the kernel still accepts connections for it."""
    return answers(node, SILENT, "index", "now", "echo")


def nginx_dead(node: str) -> Change:
    return answers(node, SILENT, "index", "now", "front")


def killed(node: str) -> Change:
    """Nothing listens any more; the host refuses."""
    return answers(node, SILENT, *ROUTES)


def unreachable(node: str) -> Change:
    return answers(node, SILENT, *ROUTES, reached=False)


def strange(node: str) -> Change:
    return answers(node, STRANGE, "index", "now", "front")


def keys(**changes: Any) -> Change:
    return lambda s: dataclasses.replace(s, dcs=dataclasses.replace(s.dcs, **changes))


def through(change: Callable[[Dcs], Dcs]) -> Change:
    """A change of keys as tests/support/keysview.py has them."""
    return lambda s: dataclasses.replace(s, dcs=change(s.dcs))


def agent_says(node: str, **changes: Any) -> Change:
    def change(before: Scene) -> Scene:
        found = dataclasses.replace(before.dcs.facts[node], **changes)
        return keys(facts={**before.dcs.facts, node: found})(before)

    return change


def archive_says(node: str, **changes: Any) -> Change:
    return agent_says(node, archive=facts(**changes))


def drained(node: str, by: DrainBy = DrainBy.OPERATOR, *, out: bool = True) -> Change:
    """Its key stands, and unless not `out` its agent has done it."""

    def change(before: Scene) -> Scene:
        told = keys(drains={**before.dcs.drains, node: Drain(node, by, "new disk")})(before)
        return agent_says(node, archive=facts(out=out, refusing=True), vips=() if out else (VIP,))(told)

    return change


def ordered(node: str) -> Change:
    return lambda s: keys(orders={**s.dcs.orders, node: Order(node, "o1", "restart", ORTHANC)})(s)


def sql(found: Sql) -> Change:
    return lambda s: dataclasses.replace(s, sql=found)
