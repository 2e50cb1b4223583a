"""`hactl switchover` as an operator types it, under writes; and refused while the witness is away."""

from __future__ import annotations

import json
import subprocess
import sys
import time

from tests.support.labs import Site, clean

OUTAGE_LIMIT = 6.0  # seconds; on a machine that runs a whole test. docs/benchmarks.md has the figures
LOOKS = 5  # on a busy machine one look of 2 s may not hear from everybody, and then it is refused


def switch_over(site: Site, *words: str) -> subprocess.CompletedProcess[str]:
    argv = [sys.executable, "-m", "hactl", "--spec", str(site.lab.folder.spec), "switchover", "-o", "json"]
    return subprocess.run([*argv, *words], capture_output=True, text=True, timeout=240, check=False)


def test_the_standby_becomes_primary_and_nothing_is_lost(site: Site) -> None:
    session = site.session("switchover")
    with session.running():
        time.sleep(1)
        primary, standby = site.primary, site.standby
        session.fault(primary, lambda: None)
        for _ in range(LOOKS):
            done = switch_over(site, "--yes", "--reason", "acceptance")
            if done.returncode != 3:
                break
        session.heal(primary, lambda: None)
        assert done.returncode == 0, done.stderr
        after = site.healthy()
        time.sleep(1)
    told = json.loads(done.stdout)
    assert (told["from"], told["to"]) == (primary, standby)
    assert all(name in told["notes"][0] for name in site.lab.spec.archives), "their pools, with numbers"
    assert after["database"]["primary"] == after["database"]["vip"]["holder"] == standby
    verdict = clean(session, limit=OUTAGE_LIMIT)
    assert verdict.outage
    assert verdict.outage.silence < OUTAGE_LIMIT


def test_it_is_refused_with_the_reason_while_the_witness_is_cut_off(site: Site) -> None:
    primary, witness = site.primary, next(iter(site.lab.spec.witnesses))
    site.lab.isolate(witness)
    done = switch_over(site, "--yes")
    assert done.returncode == 3
    assert "ETCD_DEGRADED" in done.stderr
    assert site.primary == primary
