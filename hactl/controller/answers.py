"""What agents answered goes into the journal: an order's own result only says that it was given."""

from __future__ import annotations

from typing import Final

from hactl.adapters.events import EventLog
from hactl.errors import HactlError
from hactl.ports import Journal
from hactl.view.control import Dcs, OrderDone
from hactl.view.history import ANSWERED

SAID: Final = 500  # characters; a program that fails may say much


class Answers:
    """Once for each answer. What came before this controller was active was its predecessor's to write.

    So at worst an answer is missing that came between the two.
    """

    def __init__(self, journal: Journal, log: EventLog) -> None:
        self._journal, self._log = journal, log
        self._known: frozenset[str] | None = None

    def look(self, dcs: Dcs) -> None:
        """Only while this controller is active. Never raises: what could not be written is tried again."""
        here = frozenset(done.id for done in dcs.done.values())
        if self._known is None:
            self._known = here
        unwritten = {d.id for d in dcs.done.values() if d.id not in self._known and not self._write(d, dcs)}
        self._known = here - unwritten

    def forget(self) -> None:
        """Another controller may be active from now on."""
        self._known = None

    def _write(self, done: OrderDone, dcs: Dcs) -> bool:
        order = dcs.orders.get(done.node)
        verb = f"{order.verb} {order.unit}".rstrip() if order and order.id == done.id else ""
        data = {"node": done.node, "order": done.id, "verb": verb, "ok": done.ok, "said": done.said[:SAID]}
        try:
            self._journal.event(ANSWERED, data=data)
        except HactlError as error:
            self._log.changed("answers", error.message, "an answer is not in the journal", why=error.message)
            return False
        return True
