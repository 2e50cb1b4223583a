"""What every kind of archive is called with: our own certificates and AE title."""

from __future__ import annotations

import ssl
from collections.abc import Callable
from pathlib import Path

from hactl.adapters.archive_routes import OwnFiles
from hactl.adapters.http import HttpsClient
from hactl.errors import HactlError
from hactl.ports import Untrusted

Files = tuple[Path, Path, Path]


class Means:
    """`http`: the cluster's own client. `calling`: our AE title there, empty: none."""

    def __init__(self, http: HttpsClient, files: Files, dicom: Callable[[], Files], calling: str) -> None:
        """`files`: the cluster's CA, our certificate, its key; `dicom`: the same for DICOM, may raise."""
        self.http, self.calling = http, calling
        self._files, self._dicom = files, dicom
        self._made: dict[tuple[str, Path | None], OwnFiles] = {}  # one for a thousand archives

    def https(self, ca: Path | None = None) -> OwnFiles:
        return self._own("https", ca, lambda: self._files)

    def dicom_tls(self, ca: Path | None = None) -> Callable[[], ssl.SSLContext]:
        """To be called for each connection: raises Untrusted where a file of ours cannot be read."""

        def context() -> ssl.SSLContext:
            try:
                return self._own("dicom", ca, self._dicom).context()
            except Untrusted:
                raise
            except HactlError as error:  # the state folder lacks something: that is not the archive's fault
                raise Untrusted(error.message, hint=error.hint) from error

        return context

    def _own(self, use: str, ca: Path | None, files: Callable[[], Files]) -> OwnFiles:
        if (use, ca) not in self._made:
            own, cert, key = files()
            self._made[use, ca] = OwnFiles(ca or own, cert, key)
        return self._made[use, ca]
