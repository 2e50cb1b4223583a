"""An agent's silence is counted in its own pace; files enough for each archive node's connections."""

from __future__ import annotations

import resource

import pytest

from hactl.adapters import open_files
from hactl.decide.pacing import PULSE, Pulses
from hactl.view.control import AgentFacts, Dcs

LIMIT = "hactl.adapters.open_files.resource"


@pytest.mark.parametrize(("every", "patience"), [(1.0, PULSE), (10.0, 26.0)])
def test_an_agent_is_silent_when_it_missed_its_own_pace(every: float, patience: float) -> None:
    dcs = Dcs(1, facts={"arc1": AgentFacts("arc1", "b", 7, every=every)})
    pulses = Pulses().after(dcs, 100.0)
    assert pulses.after(dcs, 101.0).fresh(dcs, "arc1", 100.0 + patience) is not None
    assert pulses.fresh(dcs, "arc1", 100.1 + patience) is None
    news = Dcs(2, facts={"arc1": AgentFacts("arc1", "b", 8, every=every)})
    assert pulses.after(news, 130.0).fresh(news, "arc1", 130.0 + patience) is not None


@pytest.mark.parametrize(
    ("limits", "archives", "set_to"),
    [
        ((1024, 524288), 1000, 4512),
        ((1024, 2048), 1000, 2048),
        ((1024, 524288), 2, None),
        ((resource.RLIM_INFINITY, resource.RLIM_INFINITY), 1000, None),
        ((1024, resource.RLIM_INFINITY), 1000, 4512),
    ],
)
def test_open_files_are_allowed_for_as_many_nodes(
    monkeypatch: pytest.MonkeyPatch, limits: tuple[int, int], archives: int, set_to: int | None
) -> None:
    set_: list[tuple[int, int]] = []
    monkeypatch.setattr(f"{LIMIT}.getrlimit", lambda _: limits)
    monkeypatch.setattr(f"{LIMIT}.setrlimit", lambda _, pair: set_.append(pair))
    allowed = open_files.allow_open_files(archives)
    assert set_ == ([] if set_to is None else [(set_to, limits[1])])
    assert allowed == (limits[0] if set_to is None else set_to)
