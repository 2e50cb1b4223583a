"""`hactl status --watch` in a real terminal of 80 by 24, in the lab."""

from __future__ import annotations

import sys

from hactl.lab import faults
from tests.support.labs import Site
from tests.support.terminal import terminal


def test_it_draws_what_happens_and_gives_the_screen_back(site: Site) -> None:
    argv = [sys.executable, "-m", "hactl", "--spec", str(site.lab.folder.spec), "status", "--watch"]
    node = next(n for n in site.lab.spec.archives if n != site.status()["archive"]["vip"]["holder"])
    with terminal(argv) as screen:
        first = screen.until("a latency", lambda lines: any(" ms, worst " in li for li in lines), 30)
        assert first[0].startswith("demo  HEALTHY")
        assert any(line.startswith(f"  ● {site.primary}") and "primary" in line for line in first)
        assert any("─ events ─" in line for line in first)
        with faults.injected(site.lab, "lose-orthanc", node):
            screen.until("the finding", lambda lines: f" {node}: " in "\n".join(lines[:6]), 30)
        screen.until("healthy again", lambda lines: "HEALTHY" in lines[0], 90)
        assert screen.interrupt() == 0
        assert screen.given_back()
