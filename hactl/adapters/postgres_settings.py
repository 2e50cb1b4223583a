"""A server's settings, by the monitoring role: through its node's dispatcher, or by a connection of our own.

Packet filters let nobody but the voters reach a node's PostgreSQL past the virtual IP, so an operator's
machine asks the node itself.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from typing import Final, Protocol

import psycopg2

from hactl.adapters.postgres_steps import Steps, first_line
from hactl.errors import Unreachable
from hactl.view.parse.settings import QUERY, parse_settings
from hactl.view.setting import Setting

WITHIN: Final = 10.0  # s
VERB: Final = "settings"  # of the dispatcher
_OPTIONS: Final = "-c application_name=hactl-config"


class Asks(Protocol):
    def ask(self, sentence: str, *, within: float) -> bytes: ...


def by_dispatcher(dispatcher: Asks) -> Callable[[], Mapping[str, Setting]]:
    """Raises Unreachable, StepFailed (the dispatcher's program did not work)."""

    def ask() -> Mapping[str, Setting]:
        return _understood(dispatcher.ask(VERB, within=WITHIN))

    return ask


def by_connection(conninfo: Mapping[str, str]) -> Callable[[], Mapping[str, Setting]]:
    """Raises Unreachable."""

    def ask() -> Mapping[str, Setting]:
        steps = Steps(time.monotonic() + WITHIN)
        try:
            steps.connect({"options": _OPTIONS, **conninfo})
            # Text, not what psycopg2 makes of JSON.
            found = steps.run(f"select ({QUERY.strip()})::text", ())[0][0]
        except psycopg2.Error as error:
            raise Unreachable(first_line(error)) from error
        finally:
            steps.close()
        return _understood(str(found).encode())

    return ask


def tried(conninfo: Mapping[str, str], values: Mapping[str, str]) -> dict[str, str]:
    """Which of these a server refuses for a session, and why: it runs all its own checks. Nothing stays.

    Raises Unreachable: it could not be asked.
    """
    steps, refused = Steps(time.monotonic() + WITHIN), dict[str, str]()
    try:
        steps.connect({"options": _OPTIONS, **conninfo})
        for name, value in values.items():
            try:
                steps.run("select set_config(%s, %s, true)", (name, value))
            except psycopg2.OperationalError:  # the connection is gone
                raise
            except psycopg2.Error as error:
                refused[name] = first_line(error)
    except psycopg2.Error as error:
        raise Unreachable(first_line(error)) from error
    finally:
        steps.close()
    return refused


def _understood(body: bytes) -> Mapping[str, Setting]:
    try:
        return parse_settings(body)
    except ValueError as error:
        raise Unreachable(f"what answers is no PostgreSQL: {error}") from error
