"""Who deployed, why, and what came of it: in the journal, whatever happens; and never in the way."""

from __future__ import annotations

import pytest

from hactl.act.maintenance import Operator
from hactl.deploy.recorded import journaled
from hactl.errors import StepFailed
from hactl.view.journal import Kind, Record, parse_record, sealed, text_of
from hactl.view.keys import Keys
from tests.fakes.etcd import FakeClock, FakeEtcd

KEYS = Keys("demo")
FIRST = Record(1, "2026-01-01T00:00:00.000+00:00", 1, "b", "wit1", "controller", Kind.EVENT, "began")


@pytest.fixture
def etcd() -> FakeEtcd:
    found = FakeEtcd(FakeClock())
    found.put(KEYS.journal(1), text_of(sealed(FIRST)))
    return found


def anna(etcd: FakeEtcd) -> Operator:
    return Operator(etcd.client(), KEYS, FakeClock(), "operator anna", "desk")


def records(etcd: FakeEtcd) -> list[tuple[str, object, object]]:
    texts = [etcd.value(key) or "" for key in etcd.keys() if key.startswith(KEYS.journal_prefix)]  # noqa: SIM118
    found = [parse_record(text) for text in texts][1:]
    return [(r.action, r.data.get("ok"), r.data.get("said")) for r in found]


def test_before_and_after(etcd: FakeEtcd) -> None:
    with journaled(anna(etcd), {"limit": "", "reason": "new RAM"}, print):
        assert records(etcd) == [("deploy", None, None)]
    assert records(etcd)[1:] == [("deploy-ended", True, None)]


def test_a_failure_is_said_with_its_words(etcd: FakeEtcd) -> None:
    with pytest.raises(StepFailed), journaled(anna(etcd), {}, print):
        raise StepFailed("arc1: no room")
    assert records(etcd)[1:] == [("deploy-ended", False, "arc1: no room")]


def test_ctrl_c_is_said_too(etcd: FakeEtcd) -> None:
    with pytest.raises(KeyboardInterrupt), journaled(anna(etcd), {}, print):
        raise KeyboardInterrupt
    assert records(etcd)[1:] == [("deploy-ended", False, "interrupted")]


def test_without_etcd_it_is_deployed_all_the_same(etcd: FakeEtcd) -> None:
    for name in ("db1", "db2"):
        etcd.kill(name)
    said: list[str] = []
    with journaled(anna(etcd), {}, said.append):
        pass
    assert said
    assert said[0].startswith("Not in the journal")
