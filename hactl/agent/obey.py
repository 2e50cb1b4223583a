"""What the controller's keys ask of this node's agent, as tasks. Pure.

A key is an order for as long as it stands; the agent remembers what it has done about it, so that a round
without news asks for nothing. After a restart it remembers nothing and does it again: each task may be done
twice, except an order, which its answer in etcd marks as done.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

REJECT_FOR = 60  # s: how long the kernel refuses without being told again
REJECT_AGAIN = 20.0  # s


@dataclass(frozen=True)
class Intent:
    """The fence intent for this node: `raw` is its exact value, the token of every answer to it."""

    epoch: int
    raw: str


@dataclass(frozen=True)
class Refusal:
    """`prime/ME`: refuse what is sent to `address`."""

    epoch: int
    address: str


@dataclass(frozen=True)
class Act:
    """`order/ME`: a verb of the root helper, once."""

    id: str
    verb: str
    unit: str = ""


@dataclass(frozen=True)
class Asked:
    """What one transaction found. `done`: the id of the last order that was answered."""

    intent: Intent | None = None
    refusal: Refusal | None = None
    act: Act | None = None
    done: str = ""


@dataclass(frozen=True)
class Fence:
    intent: Intent


@dataclass(frozen=True)
class Unfence:
    pass


@dataclass(frozen=True)
class Refuse:
    """`anew`: also end the connections that are there, and answer; else only make it last longer."""

    refusal: Refusal
    anew: bool


@dataclass(frozen=True)
class Allow:
    address: str


@dataclass(frozen=True)
class RunAct:
    act: Act


Task = Fence | Unfence | Refuse | Allow | RunAct


@dataclass(frozen=True)
class Memory:
    """`fenced`: something was stopped because of an intent, and must be started when that is gone."""

    fenced: bool = False
    intent: Intent | None = None
    refusal: Refusal | None = None
    refused_at: float = 0.0
    ran: str = ""


def decide(asked: Asked, memory: Memory, now: float) -> tuple[tuple[Task, ...], Memory]:
    """The tasks that are due at `now` (monotonic), and the memory once they were handed on."""
    tasks: list[Task] = []
    memory = _fence(asked, memory, tasks)
    memory = _refuse(asked, memory, now, tasks)
    act = asked.act
    if act is not None and act.id not in {asked.done, memory.ran} and asked.intent is None:
        tasks.append(RunAct(act))
        memory = replace(memory, ran=act.id)
    return tuple(tasks), memory


def _fence(asked: Asked, memory: Memory, tasks: list[Task]) -> Memory:
    if asked.intent is not None:
        if asked.intent != memory.intent:
            tasks.append(Fence(asked.intent))
        return replace(memory, fenced=True, intent=asked.intent)
    if memory.fenced:
        tasks.append(Unfence())
    return replace(memory, fenced=False, intent=None)


def _refuse(asked: Asked, memory: Memory, now: float, tasks: list[Task]) -> Memory:
    before, wanted = memory.refusal, asked.refusal
    if before is not None and (wanted is None or wanted.address != before.address):
        tasks.append(Allow(before.address))
    if wanted is None:
        return replace(memory, refusal=None, refused_at=0.0)
    anew = wanted != before
    if not anew and now - memory.refused_at < REJECT_AGAIN:
        return memory
    tasks.append(Refuse(wanted, anew))
    return replace(memory, refusal=wanted, refused_at=now)
