"""Whose hosts are asked now: database nodes and witnesses each time, many archive nodes in turns."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping, Sequence
from typing import Final

from hactl.ports import Host
from hactl.view.cluster import ClusterView
from hactl.view.model import Probe

A_TURN: Final = 200  # archive nodes' hosts asked at once, each by a thread: of a thousand, each every 10 s


class Turns:
    """For one thread. A thousand SSH servers greeted at once would be a thousand threads, each 2 s."""

    def __init__(self, hosts: Mapping[str, Host], archives: Sequence[str]) -> None:
        self._hosts, self._archives = hosts, tuple(n for n in archives if n in hosts)
        self._from = 0
        self._known: dict[str, Probe] = {}

    def next(self) -> dict[str, Host]:
        """Whom to ask now."""
        turn = set(self._archives[self._from : self._from + A_TURN])
        self._from = self._from + A_TURN if self._from + A_TURN < len(self._archives) else 0
        others = turn.symmetric_difference(self._archives)
        return {name: host for name, host in self._hosts.items() if name not in others}

    def forget(self) -> None:
        """What was known is an old story."""
        self._from, self._known = 0, {}

    def whole(self, view: ClusterView) -> ClusterView:
        """With the others' last answers. Whose turn has not come yet is left out: nothing is known of it."""
        self._known.update(view.nodes)
        return dataclasses.replace(view, nodes={n: self._known[n] for n in self._hosts if n in self._known})
