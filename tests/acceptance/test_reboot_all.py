"""The whole site loses its power at once, and gets it back: everything comes up by itself, in any order."""

from __future__ import annotations

import time
from concurrent.futures import ThreadPoolExecutor

from tests.support.labs import Site, clean, stored

BACK_WITHIN = 150.0  # seconds, from the power coming back; five machines boot at once on a small machine


def test_a_power_failure_of_the_whole_site(site: Site) -> None:
    session = site.session("reboot-all")
    with session.running(), site.sending(session) as modality:
        stored(session, 3, since=0.0, within=30)
        fault = session.fault("all", lambda: everywhere(site, site.lab.power_off))
        time.sleep(2)
        back = session.heal("all", lambda: everywhere(site, lambda node: site.lab.power_on(node, wait=False)))
        session.acknowledged(5, within=BACK_WITHIN, since=back.end)
        site.healthy()
        stored(session, 3, since=fault.end, within=60)
    clean(session, session.images(modality.images), limit=BACK_WITHIN)


def everywhere(site: Site, act: object) -> None:
    with ThreadPoolExecutor(len(site.lab.nodes)) as pool:
        list(pool.map(act, site.lab.nodes))  # type: ignore[arg-type]
