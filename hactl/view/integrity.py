"""What an archive node says of its images: manifest, scrub and reconcile, in a few numbers."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field


@dataclass(frozen=True)
class IntegrityFacts:
    """Ages in seconds, by the node's own clock; None: never.

    `follows`: age of the follower's last good look, `began`: of the manifest. `marks`: open marks by kind.
    `tampered`: the last scrub found that the manifest itself was changed. `scrub`, `reconcile`: their states.
    `signs`: age of the signer's last good look, where images are signed.
    `timeline`: up to which this node has reconciled; `unfinished`: images that could not be stored again.
    """

    objects: int = 0
    behind: int = 0
    follows: float | None = None
    began: float | None = None
    scrub: str = ""
    scrubbed: float | None = None
    done: int = 0
    planned: int = 0
    read: int = 0
    mended: int = 0
    tampered: bool = False
    marks: Mapping[str, int] = field(default_factory=dict)
    reconcile: str = ""
    timeline: int = 0
    restored: int = 0
    missing: int = 0
    unfinished: int = 0
    signs: float | None = None
