"""The fencing lease, decided: may this node serve through the VIP, until when, and why (docs/fencing.md).

Pure. Times are CLOCK_BOOTTIME seconds, as in the lease file; CLOCK_MONOTONIC only tells a sleep from work.

The rules:
- Only a transaction that etcd answered with "you lead, and nobody wants you fenced" makes a lease, of length
  L from the moment at which it was *sent*. No answer extends nothing.
- "You do not lead", or a fence intent, ends the lease at once. Silence lets it run out by itself: sessions
  survive an election of etcd's, and the kernel ends what user space forgets.
- The VIP needs a lease *and* Patroni's word that PostgreSQL is primary. A clear no counts at once. Silence
  keeps what is there, but grants nothing: a restarted Patroni is no reason to move the VIP.
"""

from __future__ import annotations

import enum
from dataclasses import dataclass

# Two rounds that lie further apart than planned by this much: somebody stopped us meanwhile.
GAP = 1.0
# BOOTTIME counts a suspended machine's sleep, MONOTONIC does not; they drift apart by nothing else.
SLEPT = 0.5
# A renewal that took the kernel longer than this outlives what was computed: within the margin of 0.3 s that
# whoever waits for the lease's end adds to it.
APPLY_WITHIN = 0.2


@dataclass(frozen=True)
class Now:
    boot: float
    mono: float


class Primary(enum.Enum):
    """Patroni's answer to GET /primary."""

    YES = "yes"
    NO = "no"
    SILENT = "silent"


@dataclass(frozen=True)
class Answer:
    """What etcd said of the lease in one transaction. `sent`: BOOTTIME just before it was asked."""

    sent: float
    leads: bool
    leader: str = ""
    fenced: bool = False


@dataclass(frozen=True)
class Stand:
    """What shall hold now. `until`: the lease's end, None: none. `word`: how long `vip` may be believed."""

    until: float | None
    vip: bool
    word: float
    why: str

    def left(self, now: Now) -> float | None:
        return None if self.until is None else max(0.0, self.until - now.boot)


def at_start(now: Now, *, opened: bool, track: bool, word: float, length: float) -> Stand:
    """Before the first round: what the track file and the lease file still say.

    `opened`: this node held the VIP while no agent ran. It goes on for one lease: going leased is no outage.
    """
    if opened:
        return Stand(None, track, now.boot + length, "hactl takes over again")
    return Stand(None, track and now.boot < word, word, "hactl starts")


def thawed(before: Now, now: Now, planned: float, until: float | None = None) -> str | None:
    """Why this process must not trust what it did last; `planned`: how long it meant to take since then.

    `until`: the end of the lease that holds. While that runs nobody can have taken over, so a process that a
    busy machine kept waiting has missed nothing; after a sleep the kernel's timers cannot be trusted either.
    """
    slept = (now.boot - now.mono) - (before.boot - before.mono)
    if slept > SLEPT:
        return f"the machine slept for {slept:.1f} s"
    gap = now.mono - before.mono - planned
    if gap > GAP and (until is None or now.boot >= until):
        return f"this process did not run for {gap:.1f} s"
    return None


def after_thaw(before: Stand, why: str) -> Stand:
    return Stand(None, False, before.word, why)


def decide(me: str, answer: Answer | None, primary: Primary, before: Stand, now: Now, length: float) -> Stand:
    """The stand after a round; `answer` None: etcd said nothing that counts."""
    if answer is None:
        return _without_word(primary, before, now)
    word = answer.sent + length
    if answer.fenced:
        return Stand(None, False, word, "a fence intent stands")
    if not answer.leads:
        holder = answer.leader or "nobody"
        return Stand(None, False, word, f"{holder} leads, not {me}")
    if now.boot >= word:
        return Stand(None, False, before.word, "etcd's answer came too late to count")
    return _holding(word, primary, before)


def _holding(until: float, primary: Primary, before: Stand) -> Stand:
    if primary is Primary.YES:
        return Stand(until, True, until, "leads")
    if primary is Primary.SILENT and before.vip:
        return Stand(until, True, until, "leads; Patroni is silent")
    said = "is silent" if primary is Primary.SILENT else "says that it is no primary"
    return Stand(until, False, until, f"leads, but Patroni {said}")


def _without_word(primary: Primary, before: Stand, now: Now) -> Stand:
    if before.until is not None and now.boot < before.until:
        if primary is Primary.NO and before.vip:
            return Stand(before.until, False, before.word, "etcd is silent, Patroni says no")
        return before
    if before.until is None and before.vip and now.boot < before.word:
        return before  # only after at_start: the kernel's element has the same end
    return Stand(None, False, before.word, "the lease has ended: etcd is silent")


def whole_seconds(left: float) -> int:
    """An address's lifetime in the kernel's unit, rounded up: the packet filter is exact, this is the net."""
    return max(1, int(left) + (left > int(left)))
