from __future__ import annotations

import grp

import pytest

from tests.support import ansible_modules

MODULE = ansible_modules.load("hactl_facts")


def test_the_groups_of_an_account_that_was_there(monkeypatch: pytest.MonkeyPatch) -> None:
    known = [
        grp.struct_group(("adm", "x", 4, ["ops"])),
        grp.struct_group(("systemd-journal", "x", 101, ["hactl", "ops"])),
    ]
    monkeypatch.setattr(MODULE.grp, "getgrall", lambda: known)
    found = {user: MODULE.groups_of(user) for user in ("ops", "hactl", "nobody")}
    assert found == {"ops": ["adm", "systemd-journal"], "hactl": ["systemd-journal"], "nobody": []}
