"""Two persons for one act: the first one's command waits until a second one has approved it.

Request and answer hang on one lease in etcd: after ten minutes both are gone, whoever died meanwhile.
"""

from __future__ import annotations

import contextlib
import secrets
import time
from collections.abc import Callable, Sequence
from typing import Final

from hactl.act import maintenance
from hactl.act.maintenance import WITHIN, Operator
from hactl.errors import HactlError, Refused, Unreachable
from hactl.view.approval import (
    Approval,
    Request,
    approval_text,
    parse_approval,
    parse_request,
    request_text,
)
from hactl.view.kv import Delete, Get, Put, absent, value_is
from hactl.view.times import span

LASTS: Final = 600  # s
WAITS: Final = LASTS - 5  # so that it ends here first, and not in etcd
POLL: Final = 1.0
SAY_EVERY: Final = 30.0


def approved(
    operator: Operator, what: str, details: Sequence[str], reason: str, say: Callable[[str], None]
) -> Approval:
    """Ask, wait, and use up the answer: it counts once. Ctrl-C takes the request back.

    Raises:
        Refused: nobody approved in time, or this command is not a person's.
        Unreachable: etcd does not answer: nothing was asked.

    """
    if not operator.person:
        raise Refused(
            "this needs two people, and who you are is not known: you did not come through the gate",
            hint="docs/roles.md; hactl access list",
        )
    lease = operator.kv.grant(LASTS, within=WITHIN)
    try:
        request = _ask(operator, lease, what, details, reason)
        say(f"a second person must approve within {span(LASTS)}: hactl approve {request.id}")
        found = _wait(operator, request, say)
    finally:
        with contextlib.suppress(HactlError):  # it ends by itself
            operator.kv.revoke(lease, within=WITHIN)
    say(f"approved by {found.by}")
    return found


def _ask(operator: Operator, lease: int, what: str, details: Sequence[str], reason: str) -> Request:
    now = int(operator.clock.wall())
    request = Request(
        secrets.token_hex(3), operator.person, operator.actor, what, tuple(details), reason, now, now + LASTS
    )
    maintenance.note(operator, "approval-asked", {"id": request.id, "what": what, "reason": reason})
    key = operator.keys.approval(request.id)
    put = Put(key, request_text(request), lease)
    if not operator.kv.txn((absent(key),), (put,), within=WITHIN, again=True).succeeded:
        raise Refused("another request has this number just now: again")
    return request


def _wait(operator: Operator, request: Request, say: Callable[[str], None]) -> Approval:
    clock = operator.clock
    began = said_at = clock.monotonic()
    try:
        while (waited := clock.monotonic() - began) < WAITS:
            with contextlib.suppress(Unreachable):  # an election of etcd takes a second
                if (found := _answer(operator, request)) is not None:
                    return found
            if clock.monotonic() - said_at >= SAY_EVERY:
                said_at = clock.monotonic()
                say(f"not approved yet; {span(LASTS - waited)} left")
            time.sleep(POLL)
    except KeyboardInterrupt:
        with contextlib.suppress(HactlError):
            maintenance.note(operator, "approval-withdrawn", {"id": request.id, "what": request.what})
        raise
    maintenance.note(operator, "approval-expired", {"id": request.id, "what": request.what})
    raise Refused(f"nobody approved within {span(LASTS)}: nothing was done")


def _answer(operator: Operator, request: Request) -> Approval | None:
    """Taken out in the same transaction that reads it for the last time. Raises Refused: no valid one."""
    keys, kv = operator.keys, operator.kv
    asked, answer = keys.approval(request.id), keys.approved(request.id)
    found = kv.range(answer, within=WITHIN).first
    if found is None:
        if kv.range(asked, within=WITHIN).first is None:
            raise Refused("the request is gone: somebody removed it, or its time is up")
        return None
    try:
        approval = parse_approval(found.value)
    except ValueError as error:
        raise Refused(f"the approval cannot be read: {error}") from error
    if approval.person == request.person:
        raise Refused(f"{approval.person} approved what {request.person} asked for: two people are needed")
    same = (value_is(asked, request_text(request)), value_is(answer, found.value))
    if not kv.txn(same, (Delete(asked), Delete(answer)), within=WITHIN, again=True).succeeded:
        raise Refused("request or approval has just changed: nothing was done")
    return approval


def requests(operator: Operator) -> list[Request]:
    """Those that wait, oldest first. What cannot be read is left out."""
    pairs = operator.kv.ranges((Get(operator.keys.approvals, prefix=True),), within=WITHIN).ranges[0]
    found = []
    for pair in pairs:
        with contextlib.suppress(ValueError):
            found.append(parse_request(pair.value))
    return sorted(found, key=lambda r: (r.since, r.id))


def approve(operator: Operator, request: Request, reason: str) -> None:
    """Raises Refused: the same person, not a person at all, or it is not waiting any more."""
    if not operator.person:
        raise Refused("who you are is not known: approve through the gate", hint="docs/roles.md")
    if operator.person == request.person:
        raise Refused(f"{request.person} asked for this: a second person must approve it")
    keys, kv = operator.keys, operator.kv
    key, answer = keys.approval(request.id), keys.approved(request.id)
    found = kv.range(key, within=WITHIN).first
    about = {"id": request.id, "what": request.what, "asked_by": request.by, "reason": reason}
    maintenance.note(operator, "approval-given", about)
    text = approval_text(Approval(operator.person, operator.actor))
    same = (value_is(key, request_text(request)), absent(answer))
    put = Put(answer, text, found.lease if found else 0)
    if found is None or not kv.txn(same, (put,), within=WITHIN).succeeded:
        raise Refused(f"{request.id} does not wait any more, or is approved already", hint="hactl approve")
