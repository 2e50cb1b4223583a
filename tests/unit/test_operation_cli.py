"""Commands that change something hold one lock: the second is told who is at work, and nothing is done."""

from __future__ import annotations

import signal
from typing import Any

import pytest

from hactl.act import operation
from hactl.act.maintenance import Operator
from hactl.cli import operator as by_hand
from hactl.cli import switchover
from hactl.cli.app import main
from hactl.deploy import run
from hactl.errors import LockHeld, UsageError
from hactl.view.archive import ArchiveFacts
from hactl.view.keys import Keys
from hactl.view.model import Probe, State
from tests.fakes.etcd import FakeClock, FakeEtcd
from tests.support.views import SAMPLE, after, agent, keys

Out = pytest.CaptureFixture[str]
KEYS = Keys("demo")


@pytest.fixture
def etcd(monkeypatch: pytest.MonkeyPatch) -> FakeEtcd:
    clock = FakeClock()
    etcd = FakeEtcd(clock)
    asks = Operator(etcd.client(), KEYS, clock, "operator ben", "desk")  # type: ignore[arg-type]
    well = Probe(State.OK)
    facts = {n: agent(n) for n in ("db1", "db2", "wit1")}
    for node in ("arc1", "arc2"):
        facts[node] = agent(node, storage=well, archive=ArchiveFacts(room=well, write=well), vips=())
    monkeypatch.setattr(by_hand, "operator", lambda _: asks)
    monkeypatch.setattr(by_hand, "look", lambda *_: after(keys(facts=facts)))
    monkeypatch.setattr(run, "operator", lambda *_: asks)
    monkeypatch.setattr(switchover, "_ask", lambda *_: [])
    return etcd


def other(etcd: FakeEtcd) -> Operator:
    return Operator(etcd.client(), KEYS, FakeClock(), "operator anna", "ward", "192.0.2.50")  # type: ignore[arg-type]


@pytest.mark.parametrize(
    "words",
    [
        ("switchover", "--yes"),
        ("archive", "drain", "arc1", "--yes", "--force"),
        ("archive", "undrain", "arc1"),
        ("archive", "restart", "arc1", "--yes", "--force"),
    ],
)
def test_the_second_command_ends_with_6_and_says_who_is_at_work(
    etcd: FakeEtcd, words: tuple[str, ...], capsys: Out
) -> None:
    with operation.held(other(etcd), "node reinit db2", "new disk"):
        before = etcd.keys()
        with pytest.raises(SystemExit) as ended:
            main(["--spec", str(SAMPLE), *words])
        assert ended.value.code == 6
        assert "node reinit db2, by operator anna from 192.0.2.50 on ward" in capsys.readouterr().err
        assert etcd.keys() == before


def request(**changes: Any) -> Any:
    class Request:
        spec, site, check, limit, holding = None, None, False, None, None

    for name, value in changes.items():
        setattr(Request, name, value)
    return Request


def facts(*, fresh: bool) -> Any:
    class Facts:
        pass

    Facts.fresh = fresh  # type: ignore[attr-defined]
    return Facts


def test_a_deployment_is_one_too(etcd: FakeEtcd) -> None:
    with run._operation(request(limit="db1"), facts(fresh=False), print):
        assert '"what":"deploy db1"' in (etcd.value(KEYS.operation) or "")
    with (
        operation.held(other(etcd), "switchover"),
        pytest.raises(LockHeld),
        run._operation(request(), facts(fresh=False), print),
    ):
        pass


def test_a_look_and_a_first_deployment_need_none(etcd: FakeEtcd) -> None:
    for asked, found in ((request(check=True), facts(fresh=False)), (request(), facts(fresh=True))):
        with run._operation(asked, found, print):
            assert etcd.value(KEYS.operation) is None


def test_what_may_mend_etcd_does_not_wait_for_it(etcd: FakeEtcd) -> None:
    etcd.kill("db1")
    etcd.kill("db2")
    said: list[Any] = []
    with run._operation(request(), facts(fresh=False), said.append):
        pass
    assert "Without the operation lock" in said[0].text


def test_a_closed_terminal_unwinds_like_ctrl_c_and_the_handlers_come_back() -> None:
    before = signal.getsignal(signal.SIGHUP)
    with pytest.raises(KeyboardInterrupt, match="SIGHUP"), by_hand.signals():
        signal.raise_signal(signal.SIGHUP)
    assert signal.getsignal(signal.SIGHUP) is before


def test_whoever_ignores_hangups_still_does() -> None:
    old = signal.signal(signal.SIGHUP, signal.SIG_IGN)  # nohup
    try:
        with by_hand.signals():
            signal.raise_signal(signal.SIGHUP)
    finally:
        signal.signal(signal.SIGHUP, old)


def test_a_failure_inside_is_not_taken_for_a_missing_lock(etcd: FakeEtcd) -> None:
    with pytest.raises(UsageError), run._operation(request(), facts(fresh=False), print):
        raise UsageError("no such node")
    assert etcd.value(KEYS.operation) is None
