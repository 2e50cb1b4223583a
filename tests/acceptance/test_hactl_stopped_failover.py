"""Every process of hactl is stopped, everywhere: Patroni and keepalived still fail over by themselves."""

from __future__ import annotations

import time
from collections.abc import Iterator

import pytest

from hactl.lab.faults import injected
from hactl.lab.faults_process import ALL
from tests.support import control
from tests.support.labs import Site, clean

PATRONI_ALONE = (
    45.0  # seconds; its ttl 20, an etcd election, promotion and VRRP took 23 to 25 in measurements
)
OPEN_WITHIN = 30.0


@pytest.fixture
def _stopped(site: Site) -> Iterator[None]:
    with injected(site.lab, "stop-hactl", ALL):
        yield


@pytest.mark.usefixtures("_stopped")
def test_patroni_and_keepalived_fail_over_alone(site: Site) -> None:
    deadline = time.monotonic() + OPEN_WITHIN
    while modes(site) != ["open", "open"]:
        assert time.monotonic() < deadline, "a node without hactl is not in mode open"
        time.sleep(0.5)
    session = site.session("hactl-stopped")
    with session.running():
        time.sleep(2)
        victim, other = site.primary, site.standby
        fault = session.fault(victim, lambda: site.lab.power_off(victim))
        session.acknowledged(5, within=90, since=fault.end)
        session.heal(victim, lambda: site.power_on(victim))
        after = site.until("paired again", paired)
        time.sleep(1)
    verdict = clean(session, limit=PATRONI_ALONE)
    assert verdict.outage
    assert after["database"]["primary"] == after["database"]["vip"]["holder"] == other


def modes(site: Site) -> list[str]:
    return control.etcdctl(
        site.lab, "get", "--prefix", "--print-value-only", control.own(site.lab, "mode/")
    ).split()


def paired(status: dict[str, object]) -> bool:
    members = status["database"]["members"]  # type: ignore[index]
    return any(m["role"] == "standby" and m["sync"] for m in members)
