from __future__ import annotations

import time
from pathlib import Path

import pytest

from hactl.drill.history import History, Look
from hactl.drill.vipwatch import VipWatch, look
from hactl.errors import Unreachable

VIPS = {"archive": "192.0.2.101", "database": "192.0.2.100"}


def test_a_look_names_the_vips_and_knows_who_is_away() -> None:
    there = {"db1": {"192.0.2.11", "192.0.2.100"}, "db2": {"192.0.2.12"}, "arc1": None}
    seen = look(there, VIPS, there.get).nodes
    assert {node: glance.held for node, glance in seen.items()} == {
        "db1": ("database",),
        "db2": (),
        "arc1": None,
    }
    assert all(g.begin <= g.end for g in seen.values())


def test_an_address_that_only_begins_like_the_vip_is_another() -> None:
    assert look(["db1"], {"database": "192.0.2.10"}, lambda _: {"192.0.2.100"}).nodes["db1"].held == ()


def test_it_looks_again_and_again(tmp_path: Path) -> None:
    history = History.create(tmp_path / "run.jsonl")
    watch = VipWatch(["db1"], VIPS, lambda _: set(), history)
    watch.start()
    deadline = time.monotonic() + 5
    while len(history.snapshot()) < 3 and time.monotonic() < deadline:
        time.sleep(0.02)
    watch.stop()
    assert len([e for e in history.snapshot() if isinstance(e, Look)]) >= 3


def test_a_watch_that_cannot_look_does_not_end_silently(tmp_path: Path) -> None:
    def broken(_: str) -> None:
        raise Unreachable("the lab is gone")

    watch = VipWatch(["db1"], VIPS, broken, History.create(tmp_path / "run.jsonl"))
    watch.start()
    time.sleep(0.05)
    with pytest.raises(Unreachable, match="the lab is gone"):
        watch.stop()
