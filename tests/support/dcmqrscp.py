"""DCMTK's archive, without TLS: C-ECHO, C-STORE, C-FIND, C-GET, C-MOVE. A DICOM server of somebody else's."""

from __future__ import annotations

import contextlib
import os
import signal
import socket
import subprocess
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from tests.support.ports import free_port
from tests.support.servers import program, wait_until

AET = "PACS"
KNOWN = ("HACTL", "HACTLECHO1", "HACTLECHO2", "HACTLECHO3")


@dataclass
class Dcmqrscp:
    """`process` is in a group of its own: it forks for each association."""

    folder: Path
    port: int
    options: tuple[str, ...] = ()
    process: subprocess.Popen[bytes] | None = None

    def start(self) -> None:
        config = str(self.folder / "dcmqrscp.cfg")
        # By their addresses, whatever this machine's names are.
        argv = [program("/usr/bin/dcmqrscp", "dcmtk"), "-dhl", "-c", config, *self.options]
        with (self.folder / "log").open("ab") as log:
            self.process = subprocess.Popen([*argv, str(self.port)], stdout=log, stderr=log, process_group=0)
        wait_until("dcmqrscp listens", self.listens, 10)

    def listens(self) -> bool:
        with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", self.port), 1):
            return True
        return False

    def signal(self, number: signal.Signals) -> None:
        """To it and to all that serve an association."""
        if self.process is not None:
            with contextlib.suppress(ProcessLookupError):
                os.killpg(self.process.pid, number)

    def stop(self) -> None:
        self.signal(signal.SIGCONT)
        self.signal(signal.SIGKILL)
        if self.process is not None:
            self.process.wait(10)
            self.process = None

    def images(self) -> list[Path]:
        return sorted(p for p in (self.folder / "images").iterdir() if p.name != "index.dat")


@contextlib.contextmanager
def dcmqrscp(folder: Path, *options: str) -> Iterator[Dcmqrscp]:
    """Lets in the callers of KNOWN, and nobody else."""
    (folder / "images").mkdir()
    port = free_port()
    (folder / "dcmqrscp.cfg").write_text(_config(folder / "images", port))
    server = Dcmqrscp(folder, port, options)
    server.start()
    try:
        yield server
    finally:
        server.stop()


def _config(images: Path, port: int) -> str:
    hosts = "\n".join(f"h{n} = ({aet}, 127.0.0.1, {port + 1})" for n, aet in enumerate(KNOWN))
    peers = ", ".join(f"h{n}" for n in range(len(KNOWN)))
    return f"""\
NetworkTCPPort = {port}
MaxPDUSize = 16384
MaxAssociations = 16
HostTable BEGIN
{hosts}
hactl = {peers}
HostTable END
VendorTable BEGIN
VendorTable END
AETable BEGIN
{AET} {images} RW (200, 1024mb) hactl
AETable END
"""
