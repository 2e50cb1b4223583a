from __future__ import annotations

import itertools
import threading
from pathlib import Path

import pytest

from hactl.drill import vipwatch
from hactl.drill.history import Answered, History, Look, read
from hactl.drill.vipwatch import ArpWatch, VipWatch, look
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


def test_it_looks_again_and_again(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    history = History.create(tmp_path / "run.jsonl")
    monkeypatch.setattr(vipwatch, "EVERY", 0.001)
    looks = itertools.count(1)
    enough = threading.Event()

    def addresses(_: str) -> set[str]:
        if next(looks) > 3:
            enough.set()
        return set()

    watch = VipWatch(["db1"], VIPS, addresses, history)
    watch.start()
    assert enough.wait(5)
    watch.stop()
    assert len([e for e in history.snapshot() if isinstance(e, Look)]) >= 3


def test_a_watch_that_cannot_look_does_not_end_silently(tmp_path: Path) -> None:
    looked = threading.Event()

    def broken(_: str) -> None:
        looked.set()
        raise Unreachable("the lab is gone")

    watch = VipWatch(["db1"], VIPS, broken, History.create(tmp_path / "run.jsonl"))
    watch.start()
    assert looked.wait(5)
    with pytest.raises(Unreachable, match="the lab is gone"):
        watch.stop()


def test_who_answers_by_arp_is_written_down(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    history = History.create(tmp_path / "run.jsonl")
    monkeypatch.setattr(vipwatch, "EVERY", 0.001)
    looks, enough = itertools.count(1), threading.Event()

    def arp() -> dict[str, tuple[str, ...]]:
        if next(looks) > 3:
            enough.set()
        return {"database": ("02:00:00:00:00:01",), "archive": ()}

    watch = ArpWatch(arp, history)
    watch.start()
    assert enough.wait(5)
    watch.stop()
    assert all(isinstance(e, Answered) for e in history.events)
    assert read(history.path) == tuple(history.events)
