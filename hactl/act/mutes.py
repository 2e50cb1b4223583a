"""The controller's part of mutes: one that it got too bad for ends, and that is in the journal."""

from __future__ import annotations

from hactl.act.hands import WITHIN, Hands
from hactl.view.kv import Delete, value_is
from hactl.view.mute import Mute
from hactl.view.parse.by_hand import mute_text


def end(mute: Mute, hands: Hands) -> None:
    """Only as it stands there. Raises Refused: this controller is not active; Unreachable."""
    key = hands.keys.mute(mute.code, mute.subject)
    same = (hands.ours(), value_is(key, mute_text(mute)))
    if hands.kv.txn(same, (Delete(key),), within=WITHIN).succeeded:
        why = f"more or worse than {mute.count} of severity {mute.severity}"
        hands.journal.event("mute-ended", data={"code": mute.code, "subject": mute.subject, "why": why})
