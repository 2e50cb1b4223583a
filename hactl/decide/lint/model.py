"""What a rule of the linter is, and what it finds. Pure."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass

from hactl.decide.codes import Severity
from hactl.view.orthanc_config import OrthancConfig


@dataclass(frozen=True)
class Setting:
    """What the rules need to know of the installation.

    `max_connections` is PostgreSQL's, `reserve` what of it the archive must leave to others. `failover`:
    seconds that one of the database may take. `modalities`: how many call; None: those of each file.
    """

    max_connections: int = 100  # PostgreSQL's own default
    reserve: int = 10  # superuser, replication, monitoring
    failover: float = 30.0  # Patroni and keepalived alone take 25 s
    modalities: int | None = None


@dataclass(frozen=True)
class Rule:
    """`why`: what was seen to happen without it; `fix`: what to write instead; `look`: what is wrong."""

    code: str
    severity: Severity
    title: str
    why: str
    fix: str
    look: Callable[[OrthancConfig, Setting], Iterable[str]]


@dataclass(frozen=True)
class NodesRule:
    """A rule between the nodes of one archive; `look` yields the source it is about, and what is wrong."""

    code: str
    severity: Severity
    title: str
    why: str
    fix: str
    look: Callable[[Sequence[OrthancConfig], Setting], Iterable[tuple[str, str]]]


@dataclass(frozen=True)
class LintFinding:
    rule: Rule | NodesRule
    source: str
    detail: str
