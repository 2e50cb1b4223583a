"""Fills an etcd up to its quota, as whoever writes too much would."""

from __future__ import annotations

import contextlib

from hactl.ports import EtcdKv, NoSpace
from hactl.view.kv import Put

SMALL = 4 * 1024 * 1024  # bytes, of a quota that is soon used up
QUOTA = ("--quota-backend-bytes", str(SMALL))
_KEY = "/fill/{}"


def fill(kv: EtcdKv) -> int:
    """How many values it took until it refused."""
    for i in range(1000):
        try:
            kv.txn((), (Put(_KEY.format(i), "x" * 100_000),), within=5, again=True)
        except NoSpace:
            return i
    raise AssertionError("etcd took 100 MB: has it a small quota?")


def refuses(kv: EtcdKv) -> bool:
    with contextlib.suppress(NoSpace):
        kv.txn((), (Put("/fill/one-more", "x"),), within=5, again=True)
        return False
    return True
