"""The archive's virtual IP does not outlive whoever looks after it on this node.

No fence stands before it as before the database's: another node takes it 0.9 s after the last advertisement
(three intervals of 0.25 s, and a part of one), whatever became of this one. So the address has a lifetime in
the kernel, renewed while agent and keepalived live: a host whose programs all hang loses it by itself. Where
only keepalived hangs it is taken away before another node has it. A keepalived that lives puts an expired
address back at once, for good: an agent that ends costs nobody the address.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

from hactl.agent.ports import Vip
from hactl.view.model import Probe, State

EVERY: Final = 0.2
LIFE: Final = 2  # s: the kernel counts in whole ones, and ends it up to half a second later
STOPPED_FOR: Final = 0.35  # s: two looks, and well below what the others wait


class Address:
    """For a thread of its own, which calls `round` each `EVERY` seconds."""

    def __init__(
        self, keepalived: Callable[[], Probe], vip: Vip, now: Callable[[], float], say: Callable[..., None]
    ) -> None:
        self._keepalived, self._vip, self._now, self._say = keepalived, vip, now, say
        self._since: float | None = None

    def round(self) -> bool:
        """Whether the address is here afterwards. Raises HactlError: the kernel refuses."""
        if not self._vip.here():
            self._since = None
            return False
        probe = self._keepalived()
        if probe.state is not State.FAILED:
            self._since = None
            return self._vip.live(LIFE)
        now = self._now()
        self._since = now if self._since is None else self._since
        if now - self._since < STOPPED_FOR:
            return True
        self._say("archive address taken away", why=probe.why)
        self._vip.remove()
        return False
