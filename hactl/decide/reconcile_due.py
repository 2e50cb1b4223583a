"""Whether storage and index are still to be compared after a failover. Pure.

Apart from the decision: `hactl status` asks only this.
"""

from __future__ import annotations

from hactl.view.control import Dcs


def timeline(dcs: Dcs) -> int | None:
    """The primary's, as its Patroni last wrote it. None: not known."""
    leader = dcs.patroni.leader
    member = dcs.patroni.members.get(leader.node) if leader else None
    return member.timeline if member else None


def due(dcs: Dcs) -> int | None:
    """The timeline up to which storage and index are still to be compared; None: nothing is to be done."""
    now = timeline(dcs)
    return now if now is not None and now > max(1, dcs.reconciled) else None
