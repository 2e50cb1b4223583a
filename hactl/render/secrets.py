"""The secrets that rendered files hold. `wiring` fills them in; rendering never reads a file."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field


@dataclass(frozen=True)
class RenderSecrets:
    """Passwords in clear where a program presents them, SCRAM verifiers by role name where it checks them."""

    replicator: str = field(repr=False)
    rewind: str = field(repr=False)
    app: str = field(repr=False)
    monitor: str = field(repr=False)
    probe: str = field(repr=False)
    patroni_rest: str = field(repr=False)
    orthanc_admin: str = field(repr=False)
    orthanc_ops: str = field(repr=False)
    bmc: str = field(repr=False)
    scram: Mapping[str, str] = field(repr=False)
    ssh_public_key: str = ""

    def values(self) -> tuple[str, ...]:
        """Everything that must never be shown, longest first, for masking; always in the same order."""
        clear = (self.replicator, self.rewind, self.app, self.monitor, self.probe)
        other = (self.patroni_rest, self.orthanc_admin, self.orthanc_ops, self.bmc)
        found = {v for v in (*clear, *other, *self.scram.values()) if v}
        return tuple(sorted(found, key=lambda v: (-len(v), v)))
