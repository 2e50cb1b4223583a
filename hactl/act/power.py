"""Switching on again what hactl switched off: counted in the incident first, whoever goes on from there."""

from __future__ import annotations

import dataclasses

from hactl.act.hands import Done, Hands
from hactl.act.incident import commit, open_one
from hactl.decide import limits
from hactl.decide.plan import PowerOn
from hactl.errors import Refused
from hactl.view.control_text import incident_text
from hactl.view.incident import Phase
from hactl.view.kv import Put, absent, revision_is
from hactl.view.parse.control import parse_fence


def power_on(action: PowerOn, hands: Hands) -> Done:
    """Starts it; how it ends is seen in the view.

    Raises:
        Refused: its fence or incident is not there, no commit was made yet, it was tried often enough,
            somebody paused, or the spec names no fence agent.

    """
    keys, node = hands.keys, action.node
    fence = hands.read(keys.fence(node))
    intent = parse_fence(node, fence.value) if fence is not None else None
    if fence is None or intent is None or intent.epoch != action.epoch:
        raise Refused(f"no fence intent of epoch {action.epoch} stands for {node}")
    incident, pair = open_one(intent.incident, hands)
    if incident.reached(Phase.FIRST_COMMIT) is None:
        raise Refused("no commit was made yet")
    if incident.reached(Phase.POWERED_ON) or incident.power_tries >= limits.POWER_TRIES:
        raise Refused(f"{node} was switched on already, or tried {limits.POWER_TRIES} times")
    tries = incident.power_tries + 1
    details = {**incident.details, "power_tries": tries}
    text = incident_text(dataclasses.replace(incident, details=details))
    compares = (
        revision_is(keys.fence(node), fence.mod_revision),
        revision_is(keys.incident, pair.mod_revision),
        absent(keys.paused),
    )
    commit(hands, compares, (Put(keys.incident, text),), f"{node} not switched on")
    hands.fences.power_on(node, action.epoch, still=lambda: hands.claim() is not None)
    return Done(f"fence agent of {node} started to switch it on, try {tries}")
