"""A second person's approval: what is asked for, and the answer, as keys in etcd."""

from __future__ import annotations

from dataclasses import dataclass

from hactl.view.control_text import compact
from hactl.view.parse.fields import document, mapping, number, text


@dataclass(frozen=True)
class Request:
    """`person`: who asks, a name of the spec's; `by`: the same with where from. Times: Unix, for readers.

    `what` and `details` are what is approved, word for word.
    """

    id: str
    person: str
    by: str
    what: str
    details: tuple[str, ...]
    reason: str
    since: int
    until: int


def request_text(request: Request) -> str:
    return compact({
        "id": request.id, "person": request.person, "by": request.by, "what": request.what,
        "details": list(request.details), "reason": request.reason, "since": request.since,
        "until": request.until,
    })  # fmt: skip


def parse_request(value: str) -> Request:
    """Raises ValueError: nobody can approve what cannot be read."""
    found = mapping(document(value.encode(), "approval"), "approval")
    details = found.get("details")
    if not isinstance(details, list):
        raise ValueError("approval: no details")  # noqa: TRY004 - a text that cannot be read
    return Request(
        id=text(found.get("id"), "id"),
        person=text(found.get("person"), "person"),
        by=text(found.get("by"), "by"),
        what=text(found.get("what"), "what"),
        details=tuple(str(line) for line in details),
        reason=str(found.get("reason", "")),
        since=number(found.get("since")) or 0,
        until=number(found.get("until")) or 0,
    )


@dataclass(frozen=True)
class Approval:
    """Who approved: a name of the spec's, and the same with where from."""

    person: str
    by: str


def approval_text(approval: Approval) -> str:
    return compact({"person": approval.person, "by": approval.by})


def parse_approval(value: str) -> Approval:
    """Raises ValueError."""
    found = mapping(document(value.encode(), "approved"), "approved")
    return Approval(text(found.get("person"), "person"), text(found.get("by"), "by"))
