"""A drill where people rely on the service: faults over SSH, which the nodes mend if nobody else does.

Rows go into hactl's own database, images belong to the patient that is reserved for drills; both are removed.
"""

from __future__ import annotations

import contextlib
import dataclasses
import datetime as dt
import functools
import json
import threading
import time
import zoneinfo
from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING, Final

import click

from hactl.cli import operator as by_hand
from hactl.cli.context import Context
from hactl.cli.drill_switchover import switched
from hactl.cli.labdrill import keyed
from hactl.cli.proposal import Proposal
from hactl.decide.drill import POWER_OFF, SWITCHOVER, Around, NodeSaid, Wanted, may_drill, surprises
from hactl.drill import rows
from hactl.drill.history import Row
from hactl.drill.scenarios import Scenario, for_real, struck
from hactl.errors import HactlError, StepFailed, Unreachable
from hactl.render.drills import faults as agreed
from hactl.view import derive
from hactl.view.control import Dcs
from hactl.view.model import Unknown

if TYPE_CHECKING:
    from hactl.adapters.ssh import Dispatcher
    from hactl.drill.ground import Ground

ASK_WITHIN: Final = 12.0
STRIKE_WITHIN: Final = 60.0  # a BMC is slow
HEAL_TRIES: Final = 3
LOOK_EVERY: Final = 1.0
PATIENCE: Final = 3  # looks in a row: one may be a moment's answer
UNSEEN: Final = 15.0  # s without any look: longer than a loss of etcd's leader, or of the primary, explains
BLIND: Final = ("looks", "claims", "clocks")
DROP: Final = "delete from drill_row where run = %s"


class RealPlace:
    """Nodes are reached by their dispatchers only."""

    of_lab = False
    blind: tuple[str, ...] = BLIND

    def __init__(self, context: Context) -> None:
        from hactl.wiring import dispatchers

        self._context = context
        self._nodes: Mapping[str, Dispatcher] = dispatchers(context.spec, context.site)
        self._struck: dict[str, str] = {}  # who was asked to break something -> what

    def ground(self) -> Ground:
        from hactl.drill.ground import ground

        made = ground(self._context.spec, self._context.site, None, self._stored, None)
        return dataclasses.replace(made, keyed=keyed(self._context))

    def primary(self) -> str:
        return derive.primary(by_hand.look(self._context)) or ""

    def _stored(self, node: str, run: str) -> list[Row]:
        """Raises StepFailed, Unreachable."""
        said = self._nodes[node].ask("drill-rows", within=20).decode()
        lines = [line.split("|", 1) for line in said.splitlines()]
        if any(words[0] != run for words in lines):
            return []  # those of another drill: of this one nothing is there
        return rows.parse("\n".join(words[1] for words in lines))

    @contextlib.contextmanager
    def injected(self, kind: str, node: str, _word: str = "") -> Iterator[None]:
        if kind == SWITCHOVER:
            with switched(self._context, node):
                yield
            return
        asked, word = striker(self._context, kind, node)
        self._struck[asked] = word
        try:
            self._nodes[asked].ask(f"fault {word}", within=STRIKE_WITHIN)
            yield
        finally:
            self._mend(asked)

    def _mend(self, node: str) -> None:
        """Asks some times. If it cannot be asked the node's own timer does it; that is said."""
        for left in reversed(range(HEAL_TRIES)):
            try:
                self._nodes[node].ask("fault heal", within=STRIKE_WITHIN)
            except HactlError as error:
                if not left:
                    lasts = agreed(self._context.spec, node)[self._struck[node]][2]
                    click.echo(f"  {node}: {error.message}: it heals by itself within {lasts} s", err=True)
                continue
            del self._struck[node]
            return

    def heal(self) -> None:
        for node in tuple(self._struck):
            self._mend(node)

    @contextlib.contextmanager
    def watched(self, scenario: Scenario, node: str) -> Iterator[Callable[[], None]]:
        watch = _Surprises(self._context, wanted(scenario, node), self.primary())
        watch.start()
        try:
            yield watch.check
        finally:
            watch.stop()

    def tidy(self, run: str) -> list[str]:
        left = []
        for what, away in (("rows", functools.partial(self._drop, run)), ("images", self._forget)):
            try:
                away()
            except HactlError as error:
                left.append(f"{what} of this drill are still there: {error.message}")
        return left

    def _drop(self, run: str) -> None:
        import psycopg2

        from hactl.drill.ground import conninfo
        from hactl.drill.link import Link, first_line

        vip = str(self._context.spec.vips.database.address.ip)
        link = Link.open(conninfo(self._context.site, vip), ASK_WITHIN)
        try:
            link.run(DROP, (run,), within=ASK_WITHIN)
        except psycopg2.Error as error:
            raise StepFailed(first_line(error)) from error
        finally:
            link.close()

    def _forget(self) -> None:
        from hactl.drill.images import PATIENT
        from hactl.drill.probe_place import forgotten

        forgotten(self._context.site, str(self._context.spec.archive_vip.address.ip), PATIENT)


def wanted(scenario: Scenario, node: str) -> Wanted:
    """A scenario of several faults at once is none of those that may be here, whatever its last one is."""
    fault = scenario.fault if for_real(scenario) else "+".join(scenario.faults)
    return Wanted(fault, node, scenario.failovers[1])


def striker(context: Context, fault: str, node: str) -> tuple[str, str]:
    """Which node is asked, and the word; a witness cuts the power of another. Empty: nobody is asked."""
    if fault == SWITCHOVER:
        return "", ""
    if fault != POWER_OFF:
        return node, fault
    return next((n for n in context.spec.witnesses if n != node), ""), f"{POWER_OFF}-{node}"


def proposal(context: Context, scenario: Scenario) -> Proposal:
    """Asks the cluster and each node; raises HactlError only where nothing can be asked at all."""
    view = by_hand.look(context)
    primary = derive.primary(view) or ""
    node = _who(scenario, context, primary, view.vips)
    asked, word = striker(context, scenario.fault, node)
    dcs = view.control
    around = Around(
        local=_local(context.spec.drills.zone),
        recent=dcs.recent_failovers if isinstance(dcs, Dcs) else 0,
        striker=asked,
        nodes=_said(context),
    )
    lasts = agreed(context.spec, asked).get(word, ("", "", 0))[2] if asked else 0
    steps = (
        "let clients write rows of hactl's own" + (" and store images" if scenario.images else ""),
        f"{scenario.fault} on {node}" + (f", by {asked}: {word}; mended within {lasts} s" if asked else ""),
        "stop and mend at the first thing that this does not explain",
        "wait until redundancy is full, read back, judge, remove rows and images",
    )
    notes = ("not judged here: I2, I10; I1 by acknowledged rows alone",)
    vetoes = may_drill(context.spec, view, wanted(scenario, node), around)
    return Proposal(
        "drill", node, f"Run {scenario.name} on {node} of {context.spec.cluster}? Clients will notice.",
        f"no drill {scenario.name}", steps, vetoes, notes, more={"scenario": scenario.name},
    )  # fmt: skip


def _who(scenario: Scenario, context: Context, primary: str, vips: Mapping[str, object]) -> str:
    holder = getattr(vips.get("archive"), "holder", None)
    status = {
        "nodes": [{"name": n, "roles": [r.value for r in o.roles]} for n, o in context.spec.nodes.items()],
        "archive": {"vip": {"holder": holder if isinstance(holder, str) else ""}},
    }
    return struck(scenario.role, status, primary, tuple(context.spec.databases)) if primary else ""


def _local(zone: str) -> dt.datetime | None:
    try:
        return dt.datetime.now(tz=zoneinfo.ZoneInfo(zone)).replace(tzinfo=None)
    except (zoneinfo.ZoneInfoNotFoundError, ValueError, OSError):
        return None


def _said(context: Context) -> dict[str, NodeSaid | Unknown]:
    """Of each node that has the program, all at once."""
    from hactl.wiring import dispatchers

    nodes = [n for n in context.spec.nodes if agreed(context.spec, n)]
    if not nodes:
        return {}
    ports = dispatchers(context.spec, context.site)
    with ThreadPoolExecutor(len(nodes)) as pool:
        return dict(zip(nodes, pool.map(lambda n: _one(ports[n]), nodes), strict=True))


def _one(node: Dispatcher) -> NodeSaid | Unknown:
    try:
        found = json.loads(node.ask("fault state", within=ASK_WITHIN))
        return NodeSaid(str(found.get("closed") or ""), str(found.get("fault") or ""))
    except StepFailed as error:
        known = "may ask" not in error.message
        return Unknown(error.message if known else "it does not know the verb yet: hactl deploy")
    except HactlError as error:
        return Unknown(error.message)
    except (ValueError, AttributeError) as error:
        return Unknown(f"it says something else: {error}")


class _Surprises:
    """Looks once a second, in a thread of its own: what waits for a commit asks it in between."""

    def __init__(self, context: Context, about: Wanted, primary: str) -> None:
        self._context, self._about, self._primary = context, about, primary
        self._stop = threading.Event()
        self._found = ""
        self._thread = threading.Thread(target=self._run, name="surprises", daemon=True)

    def start(self) -> None:
        self._thread.start()

    def stop(self) -> None:
        self._stop.set()
        self._thread.join(10)

    def check(self) -> None:
        if self._found:
            raise StepFailed(
                f"a surprise: {self._found}", last_done="the fault was mended", hint="hactl status"
            )

    def _run(self) -> None:
        """Ends with what it found. That it cannot look is something found, too: nobody else would."""
        seen: dict[tuple[str, str], int] = {}
        looked = time.monotonic()
        while not self._stop.is_set() and not self._found:
            begin = time.monotonic()
            try:
                seen = self._look(seen)
                looked = begin
            except Unreachable as error:
                if begin - looked > UNSEEN:
                    self._found = f"nothing could be looked at for {UNSEEN:g} s: {error.message}"
            except Exception as error:  # noqa: BLE001 - a guard that died would let everything pass
                self._found = f"the guard failed: {type(error).__name__}: {error}"
            self._stop.wait(max(0.0, begin + LOOK_EVERY - time.monotonic()))

    def _look(self, seen: Mapping[tuple[str, str], int]) -> dict[tuple[str, str], int]:
        """How often in a row each was seen."""
        view = by_hand.look(self._context)
        found = surprises(self._context.spec, view, self._about, self._primary)
        now = {(v.code, v.why): v for v in found}
        counts = {key: seen.get(key, 0) + 1 for key in now}
        lasting = [now[key] for key, count in counts.items() if count >= PATIENCE]
        self._found = "; ".join(by_hand.sentences(tuple(lasting)))
        return counts
