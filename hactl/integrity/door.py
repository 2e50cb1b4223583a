"""Orthanc's own way in for an image: POST /instances through the node's nginx, with its certificate."""

from __future__ import annotations

import http.client
import json
from pathlib import Path
from typing import Any, Final

from hactl.adapters.http import HttpsClient
from hactl.errors import Refused, Unreachable
from hactl.integrity.ports import Ingested

WITHIN: Final = 120.0  # s; Orthanc itself waits 60 s for its database


class OrthancDoor:
    """`OverwriteInstances` is off: an image that is there already is left as it is."""

    def __init__(self, client: HttpsClient, host: str, port: int = 443) -> None:
        self._client, self._host, self._port = client, host, port

    def ingest(self, path: Path) -> Ingested:
        """Raises Refused: it is no image for the archive. Raises Unreachable."""
        status, body = self._post(path)
        if status == http.client.BAD_REQUEST:
            raise Refused(f"the archive does not take it: {_details(body)}")
        if status != http.client.OK:
            raise Unreachable(f"the archive answers {status} to an image: {_details(body)}")
        try:
            found: Any = json.loads(body)
            return Ingested(str(found["ID"]), found["Status"] == "Success")
        except (ValueError, KeyError, TypeError) as error:
            raise Unreachable("the archive gave no proper answer to an image") from error

    def _post(self, path: Path) -> tuple[int, bytes]:
        context = self._client.context()
        connection = http.client.HTTPSConnection(self._host, self._port, timeout=WITHIN, context=context)
        try:
            with path.open("rb") as content:
                headers = {"Content-Type": "application/dicom", "Content-Length": str(path.stat().st_size)}
                connection.request("POST", "/instances", body=content, headers=headers)
                answer = connection.getresponse()
                return answer.status, answer.read(65536)
        except (OSError, http.client.HTTPException) as error:
            raise Unreachable(f"{self._host}: {error or type(error).__name__}") from error
        finally:
            connection.close()


def _details(body: bytes) -> str:
    try:
        found = json.loads(body)
    except ValueError:
        return "no details"
    return str(found.get("Details") or found.get("Message")) if isinstance(found, dict) else "no details"
