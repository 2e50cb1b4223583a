"""The rendered programs of a database node, with places of a test's own instead of the node's."""

from __future__ import annotations

import json
import os
import pwd
import subprocess
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from hactl.render.engine import header, text
from hactl.render.postgres import PROGRAMS
from tests.support.loopback_postgres import BIN


@dataclass(frozen=True)
class Programs:
    """`lib` has the programs, `ledger` what they enter."""

    lib: Path
    ledger: Path

    def run(
        self, name: str, argv: Sequence[str], *, within: float = 120, **environment: str
    ) -> subprocess.CompletedProcess[str]:
        """As postgres, as Patroni would."""
        prefix = ["runuser", "-u", "postgres", "--"] if os.geteuid() == 0 else []
        return subprocess.run(
            [*prefix, str(self.lib / name), *argv], capture_output=True, text=True, timeout=within,
            check=False, cwd="/", env={**os.environ, **environment}, umask=0o077,  # Patroni's
        )  # fmt: skip

    def entries(self) -> list[dict[str, object]]:
        found = sorted(self.ledger.glob("*.json"))
        return [json.loads(path.read_text()) for path in found]

    def entry(self) -> dict[str, object]:
        (only,) = self.entries()
        return only


def install(folder: Path, data: Path, **changes: object) -> Programs:
    """`folder` belongs to postgres afterwards."""
    lib, ledger = folder / "lib", folder / "ledger"
    values = {"header": header("db1", "demo"), "node": "db1", "lib": lib, "ledger": ledger}
    for name, own in PROGRAMS.items():
        places = {"pg_bin": BIN, "pg_data": data, "within": 60, "handover": folder / "handover"}
        places |= {"python": sys.executable, "config": folder / "patroni.yml"}
        target = lib / name
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_text(text(f"postgres/{name}.j2", **{**values, **places, **own, **changes}))
        target.chmod(0o755)
    ledger.mkdir()
    if os.geteuid() == 0:
        account = pwd.getpwnam("postgres")
        os.chown(ledger, account.pw_uid, account.pw_gid)
    return Programs(lib, ledger)
