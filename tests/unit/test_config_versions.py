"""Versions of the configuration in an etcd from memory."""

from __future__ import annotations

import dataclasses

import pytest

from hactl.act import config_versions
from hactl.act.config_versions import KEPT, Draft
from hactl.act.maintenance import Hold, Operator
from hactl.deploy.recorded import recorded
from hactl.errors import StepFailed, Unreachable, UsageError
from hactl.view.config_version import parse_version, version_text
from hactl.view.keys import Keys
from tests.fakes.etcd import FakeClock, FakeEtcd

KEYS = Keys("demo")


class Clock:
    def wall(self) -> float:
        return 1_700_000_000.0

    def monotonic(self) -> float:
        return 1.0


@pytest.fixture
def etcd() -> FakeEtcd:
    return FakeEtcd(FakeClock())


@pytest.fixture
def anna(etcd: FakeEtcd) -> Operator:
    return Operator(etcd.client(), KEYS, Clock(), "operator anna", "desk", "192.0.2.9")


def test_a_version_says_who_why_what_and_what_changed(anna: Operator) -> None:
    first = config_versions.begin(anna, Draft("a: 1\n", "deploy"))
    second = config_versions.begin(anna, Draft("a: 2\nwebhook: https://x/T0KEN\n", "edit", "more"))
    assert (first.number, first.changes, first.applied) == (1, "", "")
    assert (second.number, second.how, second.reason) == (2, "edit", "more")
    assert second.author == "operator anna from 192.0.2.9"
    assert "-a: 1\n+a: 2" in second.changes
    assert "T0KEN" not in version_text(second)
    assert config_versions.every(anna) == (first, second)
    assert config_versions.newest(anna) == second
    assert config_versions.one(anna, 1) == first


def test_the_same_content_is_no_new_version(anna: Operator) -> None:
    first = config_versions.begin(anna, Draft("a: 1\n", "edit"))
    config_versions.applied(anna, first)
    again = config_versions.begin(anna, Draft("a: 1\n", "deploy"))
    assert (again.number, bool(again.applied)) == (1, True)
    config_versions.applied(anna, again)
    back = [config_versions.begin(anna, Draft(text, "deploy")) for text in ("a: 2\n", "a: 1\n")]
    assert [v.number for v in back] == [2, 3]


def test_a_secret_that_changes_is_a_new_version(anna: Operator) -> None:
    config_versions.begin(anna, Draft("webhook: https://x/one\n", "deploy"))
    second = config_versions.begin(anna, Draft("webhook: https://x/two\n", "deploy"))
    assert (second.number, second.changes) == (2, "")


def test_the_oldest_go(anna: Operator) -> None:
    for number in range(KEPT + 3):
        config_versions.begin(anna, Draft(f"a: {number}\n", "deploy"))
    kept = [v.number for v in config_versions.every(anna)]
    assert kept == list(range(4, KEPT + 4))
    with pytest.raises(UsageError, match="there is no version 3"):
        config_versions.one(anna, 3)


def test_a_look_at_the_cluster_does_not_read_them(anna: Operator, etcd: FakeEtcd) -> None:
    config_versions.begin(anna, Draft("a: 1\n", "deploy"))
    etcd.put(f"{KEYS.own}config", "before")
    etcd.put(f"{KEYS.own}configx", "behind")
    for gets in (KEYS.look(), (*KEYS.look_but_archives(("db1",)), *KEYS.of_archives())):
        found = {p.key for pairs in anna.kv.ranges(gets, within=1).ranges for p in pairs}
        assert found == {f"{KEYS.own}config", f"{KEYS.own}configx"}


def test_rubbish_is_left_out_of_the_list_and_refused_as_the_newest(anna: Operator, etcd: FakeEtcd) -> None:
    first = config_versions.begin(anna, Draft("a: 1\n", "deploy"))
    etcd.put(KEYS.config_version(2), "{")
    assert config_versions.every(anna) == (first,)
    with pytest.raises(Unreachable, match="cannot be read"):
        config_versions.newest(anna)
    for text in ("{}", "[]", '{"format": 1}', '{"format": 2, "number": 1}'):
        with pytest.raises(ValueError, match="version"):
            parse_version(text)


def test_without_the_lock_that_it_had_nothing_is_written(anna: Operator) -> None:
    lost = dataclasses.replace(anna, hold=Hold(KEYS.operation, "mine"))
    with pytest.raises(StepFailed, match="lock was lost"):
        config_versions.begin(lost, Draft("a: 1\n", "edit"))
    assert config_versions.every(anna) == ()


def test_a_lost_lock_does_not_make_what_is_deployed_undeployed(anna: Operator) -> None:
    version = config_versions.begin(anna, Draft("a: 1\n", "edit"))
    assert config_versions.applied(dataclasses.replace(anna, hold=Hold(KEYS.operation, "mine")), version)
    assert config_versions.every(anna)[0].applied


def test_nobody_knows_what_is_deployed_when_another_version_was_begun(anna: Operator) -> None:
    said: list[str] = []
    with recorded(anna, Draft("a: 1\n", "deploy"), fresh=False, whole=True, say=said.append):
        config_versions.begin(anna, Draft("a: 2\n", "edit"))
    assert "another one was begun meanwhile" in said[-1]
    assert [bool(v.applied) for v in config_versions.every(anna)] == [False, False]


def run(anna: Operator, *, fresh: bool = False, whole: bool = True, fails: bool = False) -> list[str]:
    said: list[str] = []
    with recorded(anna, Draft("a: 1\n", "deploy"), fresh=fresh, whole=whole, say=said.append):
        said.append(f"{len(config_versions.every(anna))} before")
        if fails:
            raise StepFailed("a task failed")
    return said


def test_a_deployment_is_recorded_before_and_marked_after(anna: Operator) -> None:
    assert run(anna) == ["Configuration version 1", "1 before"]
    assert [bool(v.applied) for v in config_versions.every(anna)] == [True]
    assert run(anna) == ["1 before"]


def test_the_first_one_is_recorded_when_there_is_an_etcd(anna: Operator) -> None:
    assert run(anna, fresh=True) == ["0 before", "Configuration version 1"]
    assert [bool(v.applied) for v in config_versions.every(anna)] == [True]


def test_one_that_failed_or_was_for_one_node_is_not_complete(anna: Operator) -> None:
    with pytest.raises(StepFailed):
        run(anna, fails=True)
    run(anna, whole=False)
    assert [bool(v.applied) for v in config_versions.every(anna)] == [False]
    run(anna)
    assert [bool(v.applied) for v in config_versions.every(anna)] == [True]
    assert len(config_versions.every(anna)) == 1


def test_without_etcd_a_deployment_goes_on_and_says_so(anna: Operator) -> None:
    class Gone:
        def __getattr__(self, name: str) -> object:
            raise Unreachable("no etcd")

    lost = dataclasses.replace(anna, kv=Gone())  # type: ignore[arg-type]
    said: list[str] = []
    with recorded(lost, Draft("a: 1\n", "deploy"), fresh=False, whole=True, say=said.append):
        said.append("deployed")
    assert said[1] == "deployed"
    assert "not recorded: no etcd" in said[0]
