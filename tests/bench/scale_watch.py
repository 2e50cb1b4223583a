"""Looks at a running controller from outside: what it uses, how long a scrape takes, what it says."""

from __future__ import annotations

import http.client
import os
import re
import ssl
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from hactl import layout
from tests.bench.scale_place import ME, Place

_TICKS: Final = os.sysconf("SC_CLK_TCK")
_FAILED: Final = re.compile(r'^hactl_archive_state\{node="([^"]+)",state="failed"\} 1(?:\.0)?$', re.MULTILINE)
_SERVES: Final = re.compile(
    r'^hactl_archive_state\{node="([^"]+)",state="healthy"\} 1(?:\.0)?$', re.MULTILINE
)


def cpu(pid: int) -> float:
    """Seconds of processor time so far, of all its threads."""
    fields = Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()
    return (int(fields[11]) + int(fields[12])) / _TICKS


def status(pid: int) -> dict[str, int]:
    """Memory in KiB, threads, open files."""
    rows = dict(
        line.split(":", 1) for line in Path(f"/proc/{pid}/status").read_text().splitlines() if ":" in line
    )
    return {
        "rss_kib": int(rows["VmRSS"].split()[0]),
        "threads": int(rows["Threads"]),
        "files": sum(1 for _ in Path(f"/proc/{pid}/fd").iterdir()),
    }


@dataclass(frozen=True)
class Scrape:
    """`seconds`: connecting with mutual TLS included, as Prometheus does. `failed`, `healthy`: nodes."""

    seconds: float
    size: int
    series: int
    failed: frozenset[str]
    healthy: frozenset[str]


class Scraper:
    def __init__(self, place: Place) -> None:
        site = place.site()
        self._tls = ssl.create_default_context(cafile=str(site.ca))
        self._tls.load_cert_chain(site.cert, site.key)
        self._address = place.address(ME)

    def once(self) -> Scrape:
        """Raises OSError, http.client.HTTPException: no answer."""
        began = time.monotonic()
        connection = http.client.HTTPSConnection(
            self._address, layout.PORT_METRICS, timeout=10, context=self._tls
        )
        try:
            connection.request("GET", "/metrics")
            body = connection.getresponse().read()
        finally:
            connection.close()
        took = time.monotonic() - began
        text = body.decode()
        return Scrape(
            took, len(body), sum(not line.startswith("#") for line in text.splitlines()),
            frozenset(_FAILED.findall(text)), frozenset(_SERVES.findall(text)),
        )  # fmt: skip


def sample(pid: int, began: float, scraper: Scraper) -> dict[str, Any]:
    """One line of the raw record; the scrape comes last, so its cost is in the next line's."""
    found: dict[str, Any] = {"at": round(time.monotonic() - began, 2), "cpu": cpu(pid), **status(pid)}
    try:
        scrape = scraper.once()
    except (OSError, http.client.HTTPException) as error:
        return {**found, "scrape": None, "why": str(error)}
    return {
        **found, "scrape": round(scrape.seconds, 4), "bytes": scrape.size, "series": scrape.series,
        "failed": sorted(scrape.failed), "healthy": len(scrape.healthy),
    }  # fmt: skip
