"""Which findings a mute covers, and when it no longer holds: as a table."""

from __future__ import annotations

import dataclasses

import pytest

from hactl.decide.codes import Finding, finding
from hactl.decide.health import Health, verdict
from hactl.decide.mute import extent, heard
from hactl.view.mute import Mute
from hactl.view.parse.by_hand import mute_text, parse_mute

DOWN1 = finding("NODE_UNREACHABLE", "arc1")
DOWN2 = finding("NODE_UNREACHABLE", "arc2")
LOST = finding("STANDBY_LOST", "db2")
SPLIT = finding("TWO_PRIMARIES")


def mute(code: str, subject: str = "", count: int = 1, severity: str = "warning") -> Mute:
    return Mute(code, subject, "operator anna", "new disk", severity, count)


DEGRADED, HEALTHY, FAILED = Health.DEGRADED, Health.HEALTHY, Health.FAILED

CASES = [
    pytest.param([LOST], [], DEGRADED, [LOST], [], id="nothing is muted"),
    pytest.param([LOST], [mute("STANDBY_LOST")], HEALTHY, [], [], id="the code"),
    pytest.param([LOST], [mute("STANDBY_LOST", "db2")], HEALTHY, [], [], id="the code of this node"),
    pytest.param([LOST], [mute("STANDBY_LOST", "db1")], DEGRADED, [LOST], [], id="another node's"),
    pytest.param([LOST], [mute("SYNC_DEGRADED")], DEGRADED, [LOST], [], id="another code"),
    pytest.param([], [mute("STANDBY_LOST")], HEALTHY, [], [], id="not found any more: the mute stays"),
    pytest.param([LOST, SPLIT], [mute("STANDBY_LOST")], FAILED, [SPLIT], [], id="the rest counts"),
    pytest.param(
        [DOWN1, DOWN2], [mute("NODE_UNREACHABLE")], DEGRADED, [DOWN1, DOWN2], ["NODE_UNREACHABLE"],
        id="one more than when it was made: it ends, for all",
    ),
    pytest.param([DOWN1, DOWN2], [mute("NODE_UNREACHABLE", count=2)], HEALTHY, [], [], id="as many"),
    pytest.param(
        [DOWN1, DOWN2], [mute("NODE_UNREACHABLE", "arc1")], DEGRADED, [DOWN2], [], id="of one node only"
    ),
    pytest.param(
        [LOST], [mute("STANDBY_LOST", severity="info")], DEGRADED, [LOST], ["STANDBY_LOST"],
        id="taken more seriously by now",
    ),
    pytest.param(
        [DOWN1, DOWN2], [mute("NODE_UNREACHABLE"), mute("NODE_UNREACHABLE", "arc1")], DEGRADED, [DOWN2],
        ["NODE_UNREACHABLE"], id="the other mute still holds",
    ),
]  # fmt: skip


@pytest.mark.parametrize(("found", "mutes", "health", "left", "worse"), CASES)
def test_what_is_heard(
    found: list[Finding], mutes: list[Mute], health: Health, left: list[Finding], worse: list[str]
) -> None:
    result = heard(verdict(found), mutes)
    assert result.verdict.health is health
    assert set(result.verdict.findings) == set(left)
    assert {f for f, _ in result.muted} == set(found) - set(left)
    assert [m.name for m in result.worse] == worse


def test_a_mute_covers_what_there_is_and_one_at_least() -> None:
    assert extent("NODE_UNREACHABLE", "", [DOWN1, DOWN2, LOST]) == ("warning", 2)
    assert extent("NODE_UNREACHABLE", "arc1", [DOWN1, DOWN2]) == ("warning", 1)
    assert extent("TWO_PRIMARIES", "", [LOST]) == ("error", 1)


@pytest.mark.parametrize("subject", ["", "db2", "a/b"])
@pytest.mark.parametrize("until", [7200, 7200.0, 7200.5])
def test_its_text_and_back(subject: str, until: float) -> None:
    """The text too: the controller takes a mute away only as it stands there."""
    made = dataclasses.replace(mute("STANDBY_LOST", subject), since=1, until=until)
    name = f"STANDBY_LOST/{subject}" if subject else "STANDBY_LOST"
    assert parse_mute(name, mute_text(made)) == made
    assert mute_text(parse_mute(name, mute_text(made))) == mute_text(made)


@pytest.mark.parametrize(
    "text",
    [
        "",
        "[]",
        "{}",
        '{"by":"a","severity":"error"}',
        '{"by":1,"severity":"x","count":1}',
        '{"by":"a","severity":"x","count":0}',
    ],
)
def test_what_cannot_be_read_mutes_nothing(text: str) -> None:
    with pytest.raises(ValueError, match=r"mute|by|severity"):
        parse_mute("STANDBY_LOST", text)
