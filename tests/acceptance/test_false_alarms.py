"""Nothing is broken, everything is bad: hactl undertakes nothing. The bench `alarms` for 90 seconds."""

from __future__ import annotations

from tests.bench import alarms
from tests.support.labs import Site
from tests.support.violation import Violation

WORDS = ("--minutes", "1.5", "--loss", "5", "--busy", "2", "--elections", "20", "--clock", "300")


def test_frames_are_lost_cores_busy_etcd_elects_and_clocks_jump(site: Site) -> None:
    record = alarms.measure(alarms.arguments(WORDS), site)
    if record["findings"]:
        raise Violation("\n".join(record["findings"]))
    assert (record["acts"], record["same_primary"], record["moves"]) == ({}, True, [])
    assert record["elections"] >= 3
    assert record["jumps"] >= 3, "back, right, and forward"
    assert record["acknowledged"] > 500
