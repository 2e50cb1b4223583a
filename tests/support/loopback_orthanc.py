"""A real Orthanc on loopback: DICOM TLS with client certificates demanded, DICOMweb, one known AE title."""

from __future__ import annotations

import contextlib
import json
import os
import signal
import subprocess
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from tests.support.ports import free_port
from tests.support.tls import TestCa

ORTHANC = Path("/usr/sbin/Orthanc")
DICOMWEB = Path("/usr/share/orthanc/plugins/libOrthancDicomWeb.so")
USER, PASSWORD = "ops", "not-a-secret"


@dataclass(frozen=True)
class Orthanc:
    ca: TestCa
    cert: Path
    key: Path
    dicom: int
    http: int
    receiver: int  # where the known AE title HACTL listens

    @property
    def base(self) -> str:
        return f"http://127.0.0.1:{self.http}/dicom-web"


@contextlib.contextmanager
def orthanc(folder: Path) -> Iterator[Orthanc]:
    for program, package in ((ORTHANC, "orthanc"), (DICOMWEB, "orthanc-dicomweb")):
        if not program.exists():
            pytest.fail(f"{program} is missing: apt-get install {package}")
    ca = TestCa(folder)
    issued = ca.issue("orthanc", ["127.0.0.1"])
    server = Orthanc(ca, issued.cert, issued.key, free_port(), free_port(), free_port())
    config = folder / "orthanc.json"
    config.write_text(json.dumps(_config(server, folder)))
    with (folder / "orthanc.log").open("w") as log:
        process = subprocess.Popen([ORTHANC, str(config)], stdout=log, stderr=log, cwd=folder)
    try:
        _wait_for(server, process, folder)
        yield server
    finally:
        process.send_signal(signal.SIGTERM)
        try:
            process.wait(10)
        except subprocess.TimeoutExpired:
            os.kill(process.pid, signal.SIGKILL)
            process.wait(5)


def _config(server: Orthanc, folder: Path) -> dict[str, object]:
    return {
        "Name": "loopback",
        "StorageDirectory": str(folder / "storage"), "IndexDirectory": str(folder / "index"),
        "Plugins": [str(DICOMWEB)], "HttpPort": server.http, "RemoteAccessAllowed": False,
        "AuthenticationEnabled": True, "RegisteredUsers": {USER: PASSWORD},
        "DicomAet": "PACS", "DicomPort": server.dicom, "DicomCheckCalledAet": True,
        "DicomModalities": {"ops": {
            "AET": "HACTL", "Host": "127.0.0.1", "Port": server.receiver, "UseDicomTls": True,
        }},
        "DicomAlwaysAllowEcho": False, "DicomAlwaysAllowStore": False, "DicomAlwaysAllowFind": False,
        "DicomTlsEnabled": True, "DicomTlsCertificate": str(server.cert),
        "DicomTlsPrivateKey": str(server.key), "DicomTlsTrustedCertificates": str(server.ca.crt),
        "DicomTlsRemoteCertificateRequired": True,
    }  # fmt: skip


def _wait_for(server: Orthanc, process: subprocess.Popen[bytes], folder: Path) -> None:
    import socket

    deadline = time.monotonic() + 30
    for port in (server.http, server.dicom):
        while True:
            log = (folder / "orthanc.log").read_text()
            assert process.poll() is None, f"Orthanc ended: {log}"
            assert time.monotonic() < deadline, f"Orthanc does not listen on {port}: {log}"
            with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", port), 1):
                break
            time.sleep(0.1)
