from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from tests.support import ansible_modules

MODULE = ansible_modules.load("hactl_unit")
OLD = {"/c": "1", "/l": "1", "/n": "1"}
WATCH = {"/c": "restart", "/l": "reload", "/n": "none"}


@pytest.mark.parametrize(
    ("now", "before", "active", "enabled", "action"),
    [
        pytest.param(OLD, OLD, True, True, "none", id="nothing changed"),
        pytest.param({**OLD, "/c": "2"}, OLD, True, True, "restart", id="its configuration changed"),
        pytest.param({**OLD, "/l": "2"}, OLD, True, True, "reload", id="what it can read anew changed"),
        pytest.param({"/c": "2", "/l": "2", "/n": "1"}, OLD, True, True, "restart", id="the stronger wins"),
        pytest.param({**OLD, "/n": "2"}, OLD, True, True, "none", id="a file nobody has to be told of"),
        pytest.param(OLD, OLD, False, True, "start", id="it was stopped"),
        pytest.param(OLD, None, True, True, "start", id="it never ran what hactl wants"),
        pytest.param(OLD, OLD, True, False, "enable", id="it would not start with the machine"),
        pytest.param(OLD, {"/c": "1"}, True, True, "reload", id="a new file to watch"),
    ],
)  # fmt: skip
def test_what_a_unit_needs(
    now: dict[str, str],
    before: dict[str, str] | None,
    active: bool,  # noqa: FBT001
    enabled: bool,  # noqa: FBT001
    action: str,
) -> None:
    assert MODULE.decide(WATCH, now, before, active=active, enabled=enabled) == action


def test_a_unit_of_the_system_is_reloaded_never_restarted() -> None:
    assert MODULE.decide({"/l": "reload"}, {"/l": "1"}, None, active=True, enabled=True) == "reload"


@pytest.mark.parametrize("text", ["", "{", "[1]"])
def test_a_damaged_record_counts_as_none(tmp_path: Path, text: str) -> None:
    (tmp_path / "x.json").write_text(text)
    assert MODULE.load(tmp_path / "x.json") is None


def test_a_record_is_read_back(tmp_path: Path) -> None:
    MODULE.save(tmp_path / "deep" / "x.json", OLD)
    assert MODULE.load(tmp_path / "deep" / "x.json") == OLD


def test_fingerprints_of_files_links_and_nothing(tmp_path: Path) -> None:
    (tmp_path / "f").write_text("a")
    (tmp_path / "l").symlink_to("/opt/v1")
    first = MODULE.fingerprint(str(tmp_path / "f"))
    (tmp_path / "f").write_text("b")
    assert MODULE.fingerprint(str(tmp_path / "f")) != first
    assert MODULE.fingerprint(str(tmp_path / "l")) == "link:/opt/v1"
    assert MODULE.fingerprint(str(tmp_path / "none")) == "absent"


class FakeSystemd:
    """systemctl as the module calls it; `states` are the answers to `show`, the last one for ever."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch, *states: str, code: int = 0) -> None:
        self.calls: list[list[str]] = []
        self.states, self.code = list(states), code
        monkeypatch.setattr(MODULE.AnsibleModule, "run_command", self.run)

    def run(self, argv: list[str], **_: Any) -> tuple[int, str, str]:
        if argv[:2] == ["systemctl", "show"]:
            state = self.states[0] if len(self.states) == 1 else self.states.pop(0)
            return 0, f"ActiveState={state}\nUnitFileState=enabled\nMainPID=7\n", ""
        self.calls.append(argv)
        return (self.code if argv[1] == "restart" else 0), "", "no such unit"


def arguments(tmp_path: Path, **more: Any) -> dict[str, Any]:
    config = tmp_path / "c"
    config.write_text("1")
    return {"name": "x.service", "watch": {str(config): "restart"}, "records": str(tmp_path / "r"), **more}


def test_the_record_is_written_after_the_start_only(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    systemd = FakeSystemd(monkeypatch, "inactive", "active")
    assert ansible_modules.run(MODULE, arguments(tmp_path))["action"] == "start"
    assert ["systemctl", "restart", "x.service"] in systemd.calls
    again = ansible_modules.run(MODULE, arguments(tmp_path))
    assert (again["action"], again["changed"]) == ("none", False)


def test_a_start_that_fails_is_tried_again_next_time(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    FakeSystemd(monkeypatch, "inactive", code=1)
    result = ansible_modules.run(MODULE, arguments(tmp_path))
    assert result["failed"]
    assert "no such unit" in result["msg"]
    assert not (tmp_path / "r" / "x.service.json").exists()


def test_a_unit_that_never_serves_fails_in_time(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    FakeSystemd(monkeypatch, "inactive", "activating")
    clock = ansible_modules.Clock()
    monkeypatch.setattr(MODULE, "time", clock)
    result = ansible_modules.run(MODULE, arguments(tmp_path, within=30))
    assert result["failed"]
    assert "does not serve within 30 s" in result["msg"]
    assert clock.now >= 30


def test_check_mode_touches_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    systemd = FakeSystemd(monkeypatch, "inactive")
    result = ansible_modules.run(MODULE, arguments(tmp_path), check=True)
    assert (result["action"], systemd.calls) == ("start", [])
    assert not (tmp_path / "r").exists()
