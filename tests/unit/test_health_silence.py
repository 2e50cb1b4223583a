"""What would silence hactl is told before it does: an etcd that fills up, certificates that end."""

from __future__ import annotations

from pathlib import Path

import pytest

from hactl import layout
from hactl.agent import certificates
from hactl.agent.certificates import LATER, TOLD, EndingSoon
from hactl.decide.codes import Severity
from hactl.decide.health import judge
from hactl.decide.health_certificates import SOON
from hactl.pki import due
from hactl.units import Bytes
from hactl.view.model import CertState, EtcdStatus
from tests.support.pki import Clock, ready
from tests.support.views import Change, after, agent, certificate, demo_spec, etcd_says, keys, look

SPEC = demo_spec()
DAY = 86400
NOW = int(after().at)
QUOTA = layout.ETCD_QUOTA


def found(*changes: Change) -> dict[str, tuple[str, str]]:
    return {f.code.name: (f.subject, f.detail) for f in judge(SPEC, after(*changes)).findings}


def member(name: str, share: float, *errors: str) -> Change:
    size = Bytes(int(share * QUOTA))
    return etcd_says(name, EtcdStatus(name, "wit1", "3.4.23", size, Bytes(size.value // 4), errors))


def ends(node: str, **uses: int) -> Change:
    return keys(facts={**look().facts, node: agent(node, certificates=uses)})


@pytest.mark.parametrize(("share", "told"), [(0.59, False), (0.601, True), (0.99, True)])
def test_a_database_of_60_percent_of_the_quota_is_told(share: float, told: bool) -> None:  # noqa: FBT001
    seen = found(member("db2", share))
    assert ("ETCD_DB_LARGE" in seen) is told
    if told:
        assert seen["ETCD_DB_LARGE"][0] == "db2"
        assert "in use" in seen["ETCD_DB_LARGE"][1]


def test_a_full_etcd_is_one_error_whoever_raised_the_alarm() -> None:
    seen = found(*(member(n, 1.0, "memberID:7 alarm:NOSPACE ") for n in ("db1", "db2", "wit1")))
    assert seen["ETCD_NOSPACE"][0] == "etcd"
    assert not {"ETCD_ALARM", "ETCD_DB_LARGE"} & set(seen)


def test_another_alarm_is_told_as_it_is() -> None:
    seen = found(member("db1", 0.1, "memberID:7 alarm:CORRUPT "))
    assert seen["ETCD_ALARM"] == ("db1", "memberID:7 alarm:CORRUPT ")


@pytest.mark.parametrize(
    ("left", "code"),
    [(31 * DAY, None), (29 * DAY, "CERT_EXPIRING"), (0, "CERT_EXPIRED"), (-DAY, "CERT_EXPIRED")],
)
def test_an_agent_tells_of_certificates_that_lie_on_its_node(left: int, code: str | None) -> None:
    seen = found(ends("db1", hactl=NOW + left))
    assert {c for c in seen if c.startswith("CERT_")} == ({code} if code else set())
    if code:
        assert seen[code][0] == "db1"
        assert seen[code][1].startswith("hactl, on the node: ")


def test_an_expired_one_is_an_error() -> None:
    worst = judge(SPEC, after(ends("arc1", hactl=NOW - 1))).findings[0]
    assert (worst.code.name, worst.severity) == ("CERT_EXPIRED", Severity.ERROR)


def test_what_the_operator_s_copy_suffers_from_is_not_said_twice() -> None:
    both = (ends("db1", hactl=NOW + DAY), certificate("db1", "hactl", CertState.EXPIRING))
    assert "CERT_EXPIRING" not in found(*both)  # the doctor's own check says it
    renewed = (ends("db1", hactl=NOW + DAY), certificate("db1", "hactl", CertState.OK))
    assert "CERT_EXPIRING" in found(*renewed), "renewed, and not deployed"


def test_a_node_that_goes_on_with_its_spare_certificate_is_told() -> None:
    seen = found(keys(facts={**look().facts, "db1": agent("db1", spare="it refuses this machine's")}))
    assert seen["CERT_REFUSED"] == ("db1", "it refuses this machine's")


def test_health_and_pki_mean_the_same_by_soon() -> None:
    assert due.SOON.total_seconds() == SOON < TOLD


def test_an_agent_tells_what_ends_soon_and_reads_nothing_in_its_first_seconds(
    tmp_path: Path,
) -> None:
    clock = Clock()
    store = ready(tmp_path, clock)
    now, wall = [0.0], [clock.now.timestamp()]
    soon = EndingSoon(store.state / "certs" / "wit1", lambda: now[0], lambda: wall[0])
    wall[0] += 390 * DAY  # the spare one is good for half a year more
    assert soon() == {}
    now[0] = LATER
    assert set(soon()) == {p.stem for p in (store.state / "certs" / "wit1").glob("*.crt")} - {"hactl-spare"}
    assert min(soon().values()) == int(clock.now.timestamp() + 397 * DAY)
    wall[0] -= 300 * DAY
    assert soon() == {}
    assert certificates.EVERY >= 30
