"""The latest of everything that was looked at, for loops that must not wait for anybody."""

from __future__ import annotations

import dataclasses
import threading
from collections.abc import Callable, Mapping
from typing import Final

from hactl.view.control import NOT_LOOKED, ControlView, Dcs, FenceRun, Heartbeat, Path, PathState
from hactl.view.model import Unknown

OLD: Final = 1.0  # a look at etcd that nothing newer replaced counts that long, in seconds


class Samples:
    """Thread-safe. `changed` is set when something new may matter at once; the fast loop waits for it."""

    def __init__(self) -> None:
        self.changed = threading.Event()
        self._lock = threading.Lock()
        self._dcs: Dcs | Unknown = NOT_LOOKED
        self._dcs_at = 0.0
        self._paths: dict[str, dict[Path, PathState]] = {}
        self._fence_runs: dict[str, FenceRun] = {}
        self._power_ons: dict[str, FenceRun] = {}
        self._heartbeat = Heartbeat()
        self._etcd_leader: str | Unknown = NOT_LOOKED
        self._grey: Mapping[str, str] = {}

    def look(self, dcs: Dcs, asked: float) -> None:
        with self._lock:
            if asked < self._dcs_at:  # an answer that was overtaken
                return
            news = not isinstance(self._dcs, Dcs) or self._dcs.revision != dcs.revision
            self._dcs, self._dcs_at = dcs, asked
        if news:
            self.changed.set()

    def look_failed(self, why: str, now: float) -> None:
        """The last good look stays until it is old; its age is in the view."""
        with self._lock:
            if now - self._dcs_at > OLD:
                self._dcs = Unknown(why)

    def path(self, node: str, path: Path, state: PathState | None) -> None:
        """None: nothing is known on this path any more."""
        with self._lock:
            paths = self._paths.setdefault(node, {})
            before = paths.pop(path, None)
            if state is not None:
                paths[path] = state
        if before is None or state is None or (before.misses == 0) != (state.misses == 0) or state.misses:
            self.changed.set()

    def path_of(self, node: str, path: Path) -> PathState | None:
        with self._lock:
            return self._paths.get(node, {}).get(path)

    def fence_run(self, run: FenceRun) -> None:
        with self._lock:
            self._fence_runs[run.node] = run
        self.changed.set()

    def power_on(self, run: FenceRun) -> None:
        with self._lock:
            self._power_ons[run.node] = run
        self.changed.set()

    def heartbeat(self, change: Callable[[Heartbeat], Heartbeat]) -> None:
        with self._lock:
            self._heartbeat = change(self._heartbeat)
        self.changed.set()

    def etcd_leader(self, node: str | Unknown) -> None:
        with self._lock:
            self._etcd_leader = node

    def grey(self, suspects: Mapping[str, str]) -> None:
        with self._lock:
            news, self._grey = dict(suspects) != dict(self._grey), dict(suspects)
        if news:
            self.changed.set()

    def view(self, me: str, *, holding: bool) -> ControlView:
        with self._lock:
            return ControlView(
                me=me, holding=holding, dcs=self._dcs, dcs_at=self._dcs_at,
                paths={node: dict(paths) for node, paths in self._paths.items()},
                fence_runs=dict(self._fence_runs), heartbeat=dataclasses.replace(self._heartbeat),
                etcd_leader=self._etcd_leader, grey=self._grey, power_ons=dict(self._power_ons),
            )  # fmt: skip
