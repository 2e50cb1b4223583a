"""`hactl plan` and `hactl failover --explain`: the controller's own functions over a look of their own."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import pytest

from hactl.cli import failover, live, plan
from hactl.cli.app import main
from hactl.decide.failover import FailoverMemory
from hactl.decide.plan import MoveEtcdLeader, Plan, Step, Veto
from hactl.view.control import ControlView
from tests.support.views import SAMPLE, demo_spec, look

Out = pytest.CaptureFixture[str]


def call(*argv: str) -> int:
    with pytest.raises(SystemExit) as ended:
        main(["--spec", str(SAMPLE), *argv])
    return int(ended.value.code or 0)


@pytest.fixture
def sees(monkeypatch: pytest.MonkeyPatch) -> Callable[..., None]:
    def install(active: str | None = "wit1", **slow: Plan) -> None:
        dcs = look(active=active)
        view = ControlView(me=active or live.NOBODY, holding=bool(active), dcs=dcs, dcs_at=100.0)
        seen = live.Watched(demo_spec(), view, FailoverMemory(), 100.1, slow)
        monkeypatch.setattr(live, "watch", lambda *_: seen)
        for module in (failover, plan):
            monkeypatch.setattr(module, "ports", lambda _: None)

    return install


def told(capsys: Out, *argv: str) -> Any:
    assert call("-o", "json", *argv) == 0
    return json.loads(capsys.readouterr().out)


def test_a_healthy_cluster_has_nothing_to_do(sees: Callable[..., None], capsys: Out) -> None:
    sees()
    assert call("plan") == 0
    assert capsys.readouterr().out == "demo: controller: active on wit1\n  nothing to do\n"


def test_a_plan_has_steps_reasons_and_vetoes(sees: Callable[..., None], capsys: Out) -> None:
    moved = Plan(
        (Step(MoveEtcdLeader("wit1"), "it is beside the primary"),), (Veto("PAUSED", "paused", "by me"),)
    )
    sees(control=moved)
    found = {p["about"]: p for p in told(capsys, "plan")["plans"]}
    assert found["control"]["steps"] == [
        {"action": "move-etcd-leader", "reason": "it is beside the primary", "with": {"to": "wit1"}}
    ]
    assert found["control"]["vetoes"] == [{"code": "PAUSED", "why": "paused", "evidence": "by me"}]
    assert call("plan") == 0
    text = capsys.readouterr().out
    assert "control: move-etcd-leader: it is beside the primary" in text
    assert "control: vetoed: PAUSED: paused [by me]" in text


def test_without_a_controller_that_is_said(sees: Callable[..., None], capsys: Out) -> None:
    sees(active=None)
    assert call("plan") == 0
    assert "none is active: nothing would be done" in capsys.readouterr().out
    assert told(capsys, "failover", "--explain")["controller"] is None


def test_a_failover_is_explained_as_a_tree(sees: Callable[..., None], capsys: Out) -> None:
    sees()
    tree = told(capsys, "failover", "--explain")["tree"]
    assert tree["code"] == "FAILOVER"
    assert {b["code"] for b in tree["under"]} >= {"PRECONDITIONS", "PROOFS", "RPO"}
    assert call("failover", "--explain") == 0
    assert capsys.readouterr().out.splitlines()[0].startswith("- FAILOVER: db1 is not suspected")
