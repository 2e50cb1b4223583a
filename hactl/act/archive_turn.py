"""Archive nodes out of the archive VIP and in again, one at a time, while a deployment restarts things there.

A drain of a deployment's (DrainBy.DEPLOY) stands until a deployment takes it back: one that was killed in
between leaves it, and the next one ends it.
"""

from __future__ import annotations

import contextlib
import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Final

from hactl.act import maintenance
from hactl.act.maintenance import Operator
from hactl.decide.archive_turn import Turn, before_restart
from hactl.decide.maintenance import silent, unfit
from hactl.decide.plan import Veto
from hactl.errors import HactlError, StepFailed, Unreachable
from hactl.spec.model import ClusterSpec
from hactl.view.archive import Drain, DrainBy
from hactl.view.cluster import ClusterView
from hactl.view.control import Dcs
from hactl.view.parse.agent_facts import parse_agent_facts

SETTLE: Final = 60.0  # s: whoever was let in again just now may need a moment until it can take over
OUT_WITHIN: Final = 45.0  # s: what open associations may take (30), keepalived and the facts' way back
READY_WITHIN: Final = 90.0  # s, as for `archive restart`: Orthanc waits for its index
LEFT_WITHIN: Final = 15.0  # s: at the end of a deployment that failed or was interrupted
POLL: Final = 0.3
WHY: Final = "deploy"


def is_out(spec: ClusterSpec, who: Operator, node: str) -> bool:
    """By its agent's word. Raises Unreachable."""
    found = who.kv.range(who.keys.facts(node), within=2.0).first
    if found is None:
        return False
    try:
        facts = parse_agent_facts(found.value)
    except ValueError:
        return False
    vip = str(spec.archive_vip.address.ip)
    return facts.archive is not None and facts.archive.out and vip not in facts.vips


@dataclass
class Turns:
    """One deployment's. `look` at the installation, with this node asked itself; `force`: rather than fail.

    `ours`: nodes that a deployment has drained. `stop`: ends every wait.
    """

    spec: ClusterSpec
    who: Operator
    look: Callable[[str], ClusterView]
    say: Callable[[str], None]
    force: bool = False
    ours: dict[str, None] = field(default_factory=dict)
    stop: threading.Event = field(default_factory=threading.Event)

    def out(self, node: str) -> bool:
        """Before something is restarted there; whether it is drained now.

        Raises:
            StepFailed: no other node can take over, or it is not out in time: then its drain stands.
            Refused: another node was drained by somebody meanwhile.
            Unreachable: etcd does not answer.

        """
        turn = self._turn(node)
        if turn.veto is not None:
            about = f" [{turn.veto.evidence}]" if turn.veto.evidence else ""
            said = f"{node} is not drained: {turn.veto.why}{about}"
            if not self.force:
                raise StepFailed(said, hint="hactl archive list; or: hactl deploy --force")
            self.say(f"{said}; it is restarted all the same (--force)")
            return False
        if not turn.drain:
            self.say(f"{node} is not drained: {turn.why}")
            return False
        self._drain(node)
        return True

    def _turn(self, node: str) -> Turn:
        found = Turn(veto=Veto("ETCD_UNKNOWN", "nobody could look"))  # unknown is no leave to restart

        def clear() -> bool:
            nonlocal found
            found = before_restart(self.spec, self.look(node), node)
            return found.veto is None

        self._until(clear, SETTLE)
        return found

    def _drain(self, node: str) -> None:
        who, others = self.who, [other for other in self.spec.archives if other != node]
        if node not in self.ours:
            since = maintenance.now_text(who.clock.wall())
            self._note("archive-drain", node)
            self.ours[node] = None  # also if the answer is lost
            maintenance.drain(who, Drain(node, DrainBy.DEPLOY, WHY, since, self.force), others)
        if not self._until(lambda: is_out(self.spec, who, node), OUT_WITHIN):
            raise StepFailed(
                f"{node} still has the archive VIP, or its agent does not report",
                last_done="the drain stands in etcd; nothing was restarted there",
                hint="hactl archive list; hactl deploy goes on and lets it in again",
            )
        self._note("archive-drain-done", node, ok=True)
        self.say(f"{node} is drained")

    def back(self, node: str, within: float = READY_WITHIN) -> bool:
        """After it: in again as soon as it serves; whether it was ours to let in.

        Raises StepFailed: it does not serve, and stays drained; Refused, Unreachable.
        """
        if node not in self.ours:
            return False
        why = ""

        def serves() -> bool:
            nonlocal why
            why = silent(self.look(node), node)
            return not why

        if not self._until(serves, within):
            raise StepFailed(
                f"{node} does not serve: {why}",
                last_done=f"{node} is drained, and stays so",
                hint=f"hactl archive check {node}; hactl deploy lets it in again once it serves",
            )
        maintenance.undrain(self.who, node)
        del self.ours[node]
        self._note("archive-undrain", node, ok=True)
        self._until(lambda: self._fit(node), LEFT_WITHIN)
        self.say(f"{node} may hold the archive VIP again")
        return True

    def _fit(self, node: str) -> bool:
        view = self.look(node)
        return isinstance(view.control, Dcs) and not unfit(view, view.control, node)

    def left_behind(self) -> None:
        """Drains of an earlier deployment, which are ours to end. Raises Unreachable."""
        dcs = self.look("").control
        drains = dcs.drains if isinstance(dcs, Dcs) else {}
        self.ours |= dict.fromkeys(n for n, d in drains.items() if d.by is DrainBy.DEPLOY)

    def end(self) -> None:
        """Whoever is still out comes in again if it serves; else it is said. Raises nothing."""
        self.stop = threading.Event()
        for node in tuple(self.ours):
            try:
                self.back(node, LEFT_WITHIN)
            except HactlError as error:
                ways = f"once it serves: hactl deploy, or hactl archive undrain {node}"
                self.say(f"{node} stays drained: {error.message}; {ways}")

    def _note(self, action: str, node: str, **more: object) -> None:
        with contextlib.suppress(Unreachable):  # a deployment needs no journal: it may be what brings one
            maintenance.note(self.who, action, {"node": node, "reason": WHY, **more})

    def _until(self, true: Callable[[], bool], within: float) -> bool:
        clock = self.who.clock
        end = clock.monotonic() + within
        while True:
            with contextlib.suppress(Unreachable):
                if true():
                    return True
            if clock.monotonic() >= end or self.stop.wait(POLL):
                return False


@contextlib.contextmanager
def turns(found: Turns) -> Iterator[Turns]:
    """Nobody is left out when it ends, however it ends, but who does not serve."""
    with contextlib.suppress(Unreachable):
        found.left_behind()
    try:
        yield found
    finally:
        found.stop.set()
        found.end()
