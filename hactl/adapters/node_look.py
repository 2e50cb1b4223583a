"""A node asked thoroughly, for the doctor: one login, several sentences of its dispatcher at once."""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import Final, Generic, TypeVar

from hactl.adapters.ssh import Dispatcher, Talk, understood
from hactl.errors import HactlError
from hactl.ports import NodeLook
from hactl.view.model import Unknown
from hactl.view.parse.preflight import parse_preflight, parse_server

T = TypeVar("T")
Differences = Callable[
    [bytes], tuple[str, ...]
]  # of the dispatcher's answer to `files`; may raise ValueError

WITHIN: Final = 10.0  # s; less than what the doctor waits for everybody


class NodeExamined:
    """`database`: ask its PostgreSQL too; `differences`: what its answer to `files` means."""

    def __init__(self, dispatcher: Dispatcher, *, database: bool, differences: Differences | None) -> None:
        self._dispatcher, self._database, self._differences = dispatcher, database, differences

    def look(self) -> NodeLook:
        """Raises Unreachable: no login."""
        with self._dispatcher.talk() as talk:
            facts = _Asked(talk.facts)
            preflight = _told(talk, "preflight", parse_preflight)
            server = _told(talk, "settings", parse_server) if self._database else None
            files = _told(talk, "files", self._differences) if self._differences else None
            return NodeLook(
                facts.answer(), preflight.answer(), server.answer() if server else None,
                files.answer() if files else None,
            )  # fmt: skip


class _Asked(Generic[T]):
    """A daemon thread, unlike an executor's: nobody waits for it when the program ends."""

    def __init__(self, ask: Callable[[], T]) -> None:
        self._ask = ask
        self._value: T | Unknown = Unknown("hactl itself failed while asking")
        self._thread = threading.Thread(target=self._run, daemon=True)
        self._thread.start()

    def _run(self) -> None:
        try:
            self._value = self._ask()
        except HactlError as error:
            self._value = Unknown(error.message)

    def answer(self) -> T | Unknown:
        """Every question has its own end (see Talk.ask)."""
        self._thread.join()
        return self._value


def _told(talk: Talk, sentence: str, parse: Callable[[bytes], T]) -> _Asked[T]:
    return _Asked(lambda: understood(talk.ask(sentence, WITHIN), parse))
