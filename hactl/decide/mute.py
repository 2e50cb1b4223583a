"""Which findings nobody wants to hear of, and which mutes have ended because it got worse. Pure."""

from __future__ import annotations

from collections.abc import Collection, Iterable
from dataclasses import dataclass

from hactl.decide.codes import CODES, Finding, Severity
from hactl.decide.health import Verdict, verdict
from hactl.view.mute import Mute


@dataclass(frozen=True)
class Heard:
    """`verdict`: of what is not muted. `muted`: findings, each with the mute that covers it.

    `worse`: mutes that no longer hold, for there is more, or it is graver, than when they were made.
    """

    verdict: Verdict
    muted: tuple[tuple[Finding, Mute], ...] = ()
    worse: tuple[Mute, ...] = ()


def heard(found: Verdict, mutes: Collection[Mute]) -> Heard:
    """What `found` is to those who listen."""
    if not mutes:
        return Heard(found)
    worse = tuple(m for m in mutes if is_worse(m, found.findings))
    holds = [m for m in mutes if m not in worse]
    covered = [(f, next((m for m in holds if covers(m, f)), None)) for f in found.findings]
    rest = verdict(f for f, mute in covered if mute is None)
    return Heard(rest, tuple((f, mute) for f, mute in covered if mute is not None), worse)


def covers(mute: Mute, found: Finding) -> bool:
    return mute.code == found.code.name and mute.subject in {"", found.subject}


def is_worse(mute: Mute, findings: Iterable[Finding]) -> bool:
    """More findings than it was made for, or graver ones: a newer hactl may take a code more seriously."""
    about = [f for f in findings if covers(mute, f)]
    return len(about) > mute.count or any(f.severity.rank > _rank(mute.severity) for f in about)


def _rank(name: str) -> int:
    return Severity(name).rank if name in tuple(Severity) else 0


def extent(code: str, subject: str, findings: Iterable[Finding]) -> tuple[str, int]:
    """Severity and count that a mute made now covers.

    One at least: before work on a node its findings are muted that are still to come.
    """
    now = sum(f.code.name == code and subject in {"", f.subject} for f in findings)
    return CODES[code].severity.value, max(1, now)
