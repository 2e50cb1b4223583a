"""What Patroni is asked to do. That half of its REST API wants a password besides the certificate."""

from __future__ import annotations

import base64
import json
from collections.abc import Mapping
from dataclasses import dataclass, field

from hactl.errors import StepFailed
from hactl.ports import Http

# Patroni answers when the new primary is there; its own deadline lies below that.
WITHIN = 40.0
STARTS = 60  # s for PostgreSQL to start; then Patroni lets the standby take over from a primary
RESTARTED = 180.0  # the stop before, with its checkpoint, has no limit of its own


@dataclass(frozen=True)
class PatroniControl:
    """`base`: https://ADDRESS:PORT of one member."""

    http: Http
    base: str
    user: str
    password: str = field(repr=False)

    def switch_over(self, leader: str, candidate: str) -> None:
        """Wait until `candidate` leads.

        Raises:
            StepFailed: Patroni refuses, or it did not work.
            Unreachable: no answer; the switchover may be under way.

        """
        self._post("switchover", {"leader": leader, "candidate": candidate}, f"Patroni on {leader}", WITHIN)

    def restart(self, node: str, *, primary: bool, pending: bool) -> None:
        """Stop PostgreSQL on this member and start it; Patroni looks first whether it has this role.

        Raises:
            StepFailed: Patroni refuses, or PostgreSQL did not start in time.
            Unreachable: no answer; it may be under way.

        """
        wanted: dict[str, object] = {"role": "primary" if primary else "replica", "timeout": STARTS}
        if pending:
            wanted["restart_pending"] = True
        self._post("restart", wanted, f"Patroni on {node}", RESTARTED)

    def _post(self, path: str, wanted: Mapping[str, object], who: str, within: float) -> None:
        body = json.dumps(wanted).encode()
        login = base64.b64encode(f"{self.user}:{self.password}".encode()).decode()
        headers = {
            "Content-Type": "application/json", "Content-Length": str(len(body)),
            "Authorization": f"Basic {login}",
        }  # fmt: skip
        reply = self.http.send("POST", f"{self.base}/{path}", within=within, body=body, headers=headers)
        if reply.status != 200:
            said = reply.body.decode(errors="replace").strip()[:300]
            raise StepFailed(f"{who} answers {reply.status}: {said}", hint="hactl status")
