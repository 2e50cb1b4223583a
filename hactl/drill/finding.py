"""What the checker finds: which promise, in one sentence, with evidence."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

SHOWN = 5  # pieces of evidence printed for one finding; the history has the rest


@dataclass(frozen=True)
class Finding:
    invariant: str
    sentence: str
    evidence: tuple[str, ...] = ()

    def __str__(self) -> str:
        return f"{self.invariant}: {self.sentence}" + "".join(f"\n    {e}" for e in self.evidence)


def some(invariant: str, what: str, evidence: Sequence[str]) -> Iterator[Finding]:
    """One finding about all of them, if there are any: "3 rows ..."."""
    if evidence:
        yield Finding(invariant, f"{len(evidence)} {what}", tuple(evidence[:SHOWN]))
