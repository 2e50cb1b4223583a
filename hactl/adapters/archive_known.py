"""Is an image that the index knows in the storage, as it was stored? Asked of Orthanc itself.

Orthanc must have been started on this storage: it answers from its memory for what it has read before.
"""

from __future__ import annotations

import hashlib
import json
from typing import Final

from hactl.errors import StepFailed, Unreachable
from hactl.layout import PORT_HTTPS
from hactl.ports import Http

WITHIN: Final = 5.0
CANDIDATES: Final = 8  # the newest ones; a single damaged image shall not keep a node out
LARGEST: Final = 2 * 1024 * 1024  # bytes: what one HTTP answer may have


class KnownImage:
    def __init__(self, http: Http, *, address: str = "127.0.0.1", port: int = PORT_HTTPS) -> None:
        self._http, self._base = http, f"https://{address}:{port}"

    def prove(self) -> str:
        """What was read.

        Raises:
            StepFailed: none of the images that were tried is there as the index knows it.
            Unreachable: Orthanc, or its index, does not answer.

        """
        count = _number(json.loads(self._get("/statistics")), "CountInstances")
        if count == 0:
            return "the archive has no image yet"
        since = max(0, count - CANDIDATES)
        names = json.loads(self._get(f"/instances?since={since}&limit={CANDIDATES}"))
        problems = []
        for name in reversed([str(name) for name in names]):
            why = self._look(name)
            if why is None:
                return f"image {name} was read from it"
            problems.append(why)
        raise StepFailed(
            f"not the storage that the index knows: {'; '.join(problems[:3]) or 'no image found'}"
        )

    def _look(self, name: str) -> str | None:
        """None: it is there. A large one is left out, and so is one that was deleted meanwhile."""
        base = f"/instances/{name}/attachments/dicom"
        try:
            size = int(self._get(f"{base}/size"))
            if size > LARGEST:
                return f"image {name} is too large to be read for this"
            digest = self._get(f"{base}/md5").decode("ascii", "replace").strip()
            data = self._get(f"{base}/data")
        except (StepFailed, ValueError) as error:
            return f"image {name}: {error}"
        found = hashlib.md5(data, usedforsecurity=False).hexdigest()
        return None if found == digest else f"image {name} is another one there"

    def _get(self, path: str) -> bytes:
        reply = self._http.send("GET", self._base + path, within=WITHIN)
        if reply.status in {404, 500}:  # Orthanc's answers where the file is not there
            raise StepFailed(f"{path} answers with status {reply.status}")
        if reply.status != 200:
            raise Unreachable(f"{self._base}{path} answers with status {reply.status}")
        return reply.body


def _number(found: object, name: str) -> int:
    value = found.get(name) if isinstance(found, dict) else None
    if not isinstance(value, int):
        raise Unreachable(f"Orthanc does not say its {name}")
    return value
