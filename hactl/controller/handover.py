"""What came of a scheduled switchover once Patroni was asked: into the journal, either way."""

from __future__ import annotations

import contextlib
from collections.abc import Iterable
from typing import Final

from hactl.decide.plan import Outcome, SwitchOver
from hactl.errors import HactlError
from hactl.ports import Journal
from hactl.view.control import Dcs

WITHIN: Final = 30.0  # s; Patroni stops PostgreSQL within 5 s of its next round


class Handover:
    """One thread calls all of it. A controller that takes over meanwhile notes nothing."""

    def __init__(self, journal: Journal) -> None:
        self._journal = journal
        self._asked: tuple[SwitchOver, float] | None = None

    def asked(self, outcomes: Iterable[Outcome], now: float) -> None:
        for outcome in outcomes:
            if outcome.done and isinstance(outcome.action, SwitchOver):
                self._asked = (outcome.action, now)

    def look(self, dcs: Dcs, now: float) -> None:
        if self._asked is None:
            return
        action, since = self._asked
        leads = dcs.patroni.leader.node if dcs.patroni.leader else "nobody"
        if leads != action.target and now - since < WITHIN:
            return
        ok = leads == action.target
        said = "" if ok else f"{leads} leads: Patroni did not hand over; its log says why"
        about = {"id": action.order.id, "from": action.primary, "to": action.target}
        with contextlib.suppress(HactlError):  # told once more at the next look
            self._journal.event("switchover-ended", data={**about, "ok": ok, "said": said})
            self._asked = None

    def forget(self) -> None:
        self._asked = None
