"""What Patroni is asked to do. That half of its REST API wants a password besides the certificate."""

from __future__ import annotations

import base64
import json
from dataclasses import dataclass, field

from hactl.errors import StepFailed
from hactl.ports import Http

# Patroni answers when the new primary is there; its own deadline lies below that.
WITHIN = 40.0


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
        body = json.dumps({"leader": leader, "candidate": candidate}).encode()
        login = base64.b64encode(f"{self.user}:{self.password}".encode()).decode()
        headers = {
            "Content-Type": "application/json", "Content-Length": str(len(body)),
            "Authorization": f"Basic {login}",
        }  # fmt: skip
        reply = self.http.send("POST", f"{self.base}/switchover", within=WITHIN, body=body, headers=headers)
        if reply.status != 200:
            said = reply.body.decode(errors="replace").strip()[:300]
            raise StepFailed(f"Patroni on {leader} answers {reply.status}: {said}", hint="hactl status")
