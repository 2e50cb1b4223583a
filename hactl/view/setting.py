"""PostgreSQL's settings as a running server tells them (pg_settings)."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

# Where a session got a value from that the server's other sessions need not have.
OF_SESSIONS = frozenset({"client", "session", "user", "database", "database user"})
AUTO_FILE = "postgresql.auto.conf"  # what ALTER SYSTEM writes; it wins over Patroni's file


@dataclass(frozen=True)
class Setting:
    """A row of pg_settings. `value` and `default` (boot_val) are in `unit`; `shown` is as SHOW prints it.

    `low` and `high` are numbers as text. `file` is where the value stands, where the asker may know that.
    """

    name: str
    kind: str  # bool, integer, real, string, enum
    value: str
    shown: str
    unit: str = ""
    context: str = "user"
    low: str = ""
    high: str = ""
    words: tuple[str, ...] = ()
    source: str = "default"
    file: str = ""
    default: str = ""
    pending: bool = False

    @property
    def by_alter_system(self) -> bool:
        return self.file.rpartition("/")[2] == AUTO_FILE

    @property
    def restarts(self) -> bool:
        """A new value is taken at the server's start only."""
        return self.context == "postmaster"

    @property
    def of_session(self) -> bool:
        """The asker's own session has it from its role, database or options: what others have is not seen."""
        return self.source in OF_SESSIONS


@dataclass(frozen=True)
class Running:
    """One server's settings by name. `waiting`: what Patroni waits with for a restart, name -> (old, new)."""

    settings: Mapping[str, Setting]
    waiting: Mapping[str, tuple[str, str]] = field(default_factory=dict)
