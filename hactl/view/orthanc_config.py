"""An Orthanc's configuration as it was found, and what is known around it. Passwords may be masked."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

DEBIAN = (1, 10, 1)  # the Orthanc of Debian 12: what is assumed where nobody says


@dataclass(frozen=True)
class OrthancConfig:
    """One Orthanc's own.

    `source`: a node's name, or the path of the file or folder. `mode`: the file's rights, all files' taken
    together; None: not known. `tls_floor`: whether something outside the configuration (OPENSSL_CONF) forbids
    TLS below 1.2; None: not known. `twice`: settings that stand in two files; `repeated`: twice in one file.
    """

    source: str
    values: Mapping[str, Any]
    mode: int | None = None
    tls_floor: bool | None = None
    version: tuple[int, ...] = DEBIAN
    twice: tuple[str, ...] = ()
    repeated: tuple[str, ...] = ()
    files: tuple[str, ...] = field(default=(), compare=False)

    def get(self, path: str, default: Any = None) -> Any:
        """The value at `PostgreSQL.Lock`; `default` where it is not set, or is null."""
        found: Any = self.values
        for part in path.split("."):
            if not isinstance(found, Mapping):
                return default
            found = found.get(part)
        return default if found is None else found

    def number(self, path: str, default: int) -> int:
        """An integer; the default also where something else stands: Orthanc then does not start."""
        found = self.get(path)
        return found if isinstance(found, int) and not isinstance(found, bool) else default

    def on(self, path: str, *, default: bool) -> bool:
        found = self.get(path)
        return found if isinstance(found, bool) else default
