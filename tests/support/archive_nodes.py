"""What an archive node of the lab is and says, for acceptance tests."""

from __future__ import annotations

import json
import subprocess
import sys
import time
from collections.abc import Callable
from functools import partial
from typing import Any

from hactl.errors import HactlError
from hactl.view.keys import Keys
from hactl.view.parse.agent_facts import parse_agent_facts
from hactl.wiring import etcd_kv
from tests.support.labs import Site

ORTHANC = "orthanc.service"
RISES = 15.0  # s after its start: keepalived has then seen its index answer twice
_UP_FOR = """read up _ </proc/uptime
since=$(systemctl show --value -p ActiveEnterTimestampMonotonic orthanc.service)
echo $((${up%.*} - since / 1000000))"""


def hactl(site: Site, *words: str, code: int = 0) -> Any:
    """`hactl -o json ...`, which must end with `code`."""
    argv = [sys.executable, "-m", "hactl", "--spec", str(site.lab.folder.spec), "-o", "json", *words]
    done = subprocess.run(argv, capture_output=True, text=True, timeout=120, check=False)
    assert done.returncode == code, done.stdout + done.stderr
    return json.loads(done.stdout) if done.stdout else {}


def holder(site: Site) -> str:
    """Who has the archive VIP."""
    [found] = [node for node in site.lab.spec.archives if has_vip(site, node)]
    return found


def other_than(site: Site, node: str) -> str:
    return next(n for n in site.lab.spec.archives if n != node)


def has_vip(site: Site, node: str) -> bool:
    """As its kernel has it, wherever its cables are."""
    return site.lab.spec.archive_vip.address.ip in site.lab.addresses(node)


def facts(site: Site, node: str) -> Any:
    lab = site.lab
    pair = etcd_kv(lab.spec, lab.site).range(Keys(lab.spec.cluster).facts(node), within=5).first
    return parse_agent_facts(pair.value) if pair else None


def may_serve(site: Site, node: str) -> bool:
    """Its agent says that it keeps it neither out nor shut."""
    found = facts(site, node)
    return found is not None and not found.archive.out and not found.archive.refusing


def active(site: Site, node: str) -> bool:
    return site.lab.exec(node, ["systemctl", "is-active", "--quiet", ORTHANC], check=False).code == 0


def fit(site: Site) -> None:
    """Wait until each archive node may take over from the other: what a test before restarted has risen."""
    for node in site.lab.spec.archives:
        until(f"{node} is fit", partial(_fit, site, node), 60)


def _fit(site: Site, node: str) -> bool:
    up = site.lab.exec(node, ["sh", "-c", _UP_FOR]).out
    return active(site, node) and may_serve(site, node) and int(up) >= RISES


def main_pid(site: Site, node: str) -> int:
    return int(site.lab.exec(node, ["systemctl", "show", "--value", "-p", "MainPID", ORTHANC]).out)


def until(what: str, true: Callable[[], object], within: float) -> float:
    """How long it took. What cannot be asked is not so yet."""
    start = time.monotonic()
    while True:
        try:
            if true():
                return time.monotonic() - start
        except HactlError:
            pass
        assert time.monotonic() - start < within, f"{what}: not within {within:g} s"
        time.sleep(0.05)
