"""What Patroni has as configuration and what each database runs with, all asked at once."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, field
from typing import TypeVar

from hactl.errors import HactlError
from hactl.view.model import DbRole, PatroniSelf
from hactl.view.setting import Running, Setting

T = TypeVar("T")


@dataclass(frozen=True)
class Server:
    """How one database node is asked; each call has a deadline and raises a HactlError."""

    settings: Callable[[], Mapping[str, Setting]]
    waiting: Callable[[], Mapping[str, tuple[str, str]]]
    itself: Callable[[], PatroniSelf]
    config: Callable[[], Mapping[str, object]]


@dataclass(frozen=True)
class Seen:
    """`dcs` None: no Patroni told. `running`: who answered, the primary first. `silent`: source -> why."""

    dcs: Mapping[str, object] | None
    running: Mapping[str, Running]
    primary: str | None
    silent: Mapping[str, str] = field(default_factory=dict)


def look(servers: Mapping[str, Server]) -> Seen:
    silent: dict[str, str] = {}
    with ThreadPoolExecutor(max_workers=4 * max(1, len(servers))) as pool:
        settings = {n: pool.submit(s.settings) for n, s in servers.items()}
        waiting = {n: pool.submit(s.waiting) for n, s in servers.items()}
        itself = {n: pool.submit(s.itself) for n, s in servers.items()}
        configs = {n: pool.submit(s.config) for n, s in servers.items()}
        of_nodes = _answers(settings, "", silent)
        waits = _answers(waiting, "Patroni of ", silent)
        roles = _answers(itself, "Patroni of ", silent)
        found = _answers(configs, "Patroni of ", {})
    primary = next((n for n, s in roles.items() if s.role is DbRole.PRIMARY), None)
    order = sorted(of_nodes, key=lambda n: n != primary)
    running = {n: Running(of_nodes[n], waits.get(n, {})) for n in order}
    return Seen(next(iter(found.values()), None), running, primary, silent)


def _answers(asked: Mapping[str, Future[T]], about: str, silent: dict[str, str]) -> dict[str, T]:
    found: dict[str, T] = {}
    for node, answer in asked.items():
        try:
            found[node] = answer.result()
        except HactlError as error:
            silent[f"{about}{node}"] = error.message
    return found
