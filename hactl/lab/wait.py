"""Waiting with a deadline."""

from __future__ import annotations

import time
from collections.abc import Callable

from hactl.errors import Unreachable


def wait_until(ok: Callable[[], bool], *, within: float, say: Callable[[], str], pause: float = 0.1) -> None:
    """Ask `ok` every `pause` seconds until it says yes.

    Raises:
        Unreachable: not within `within` seconds, with the sentence `say` gives then.

    """
    end = time.monotonic() + within
    while not ok():
        if time.monotonic() >= end:
            raise Unreachable(say())
        time.sleep(pause)
