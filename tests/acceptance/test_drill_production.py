"""A drill as where people rely on the service: in a window, over SSH, mended by the node, tidied up."""

from __future__ import annotations

import json
import time
from typing import Any

from hactl.drill import rows
from hactl.render.drills import FAULT
from hactl.wiring import dispatchers
from tests.acceptance.test_drill import BROKE, hactl
from tests.support.labs import Site
from tests.support.violation import Violation

FROZEN = 30.0  # seconds: the node's own timer


def state(site: Site, node: str) -> dict[str, Any]:
    return dict(json.loads(site.lab.exec(node, [str(FAULT), "state"]).out))


def test_a_drill_over_ssh_is_judged_as_far_as_it_can_be_and_leaves_nothing(site: Site) -> None:
    words = ["drill", "run", "archive/kill-orthanc", "--production", "--yes", "--reason", "a test"]
    done = hactl(site.lab, "-o", "json", *words)
    if done.returncode == BROKE:
        raise Violation(done.stderr[-4000:])
    assert done.returncode == 0, done.stderr[-4000:]
    (found,) = json.loads(done.stdout)["drills"]
    assert (found["verdict"], found["lab"]) == ("kept", False)
    silent = {name for name, said in found["invariants"].items() if said == "not judged"}
    assert silent == {"I2", "I10"}
    assert found["counts"]["images"] > 0
    assert state(site, found["node"]) == {"closed": "", "fault": None}
    assert site.lab.exec(site.primary, rows.argv(found["run"]), stdin=rows.SQL).out == ""


def test_what_was_frozen_goes_on_though_nobody_asks_for_it(site: Site) -> None:
    """Whoever asked has no connection any more: systemd's timer on the node has the rest."""
    node = site.standby
    began = time.monotonic()
    dispatchers(site.lab.spec, site.lab.site)[node].ask("fault freeze-postgres", within=20)
    try:
        assert state(site, node)["fault"] == "freeze-postgres"
        timer = site.lab.exec(node, ["systemctl", "is-active", "hactl-drill-heal.timer"]).out
        assert timer.strip() == "active"
        while state(site, node)["fault"] and time.monotonic() < began + FROZEN + 10:
            time.sleep(1)
        assert state(site, node)["fault"] is None
        assert time.monotonic() - began > FROZEN - 2
    finally:
        site.lab.exec(node, [str(FAULT), "heal"])
    site.healthy()
