"""A failover that loses transactions: images that were acknowledged are whole again after the reconcile.

The one case in which PostgreSQL itself loses what it acknowledged: an asynchronous standby whose replication
was cut is promoted. The rows are gone, the files are there, and hactl brings both together by itself.
"""

from __future__ import annotations

import json
import time
from collections.abc import Iterator
from contextlib import contextmanager

from hactl import layout
from hactl.drill import dicomweb, images
from hactl.drill.history import Outcome
from hactl.errors import HactlError
from hactl.lab.lab import Lab
from tests.support import control
from tests.support.archive_load import ArchiveLoad, told
from tests.support.archive_nodes import until
from tests.support.labs import Site

PATRONICTL = f"{layout.PATRONI_VENV}/bin/patronictl"
CUT = 3.0  # s between the cut and the loss of the host
RECONCILED_WITHIN = 300.0  # s; files younger than 90 s wait for their row
TABLE = "hactl_test_cut"


def configure(lab: Lab, node: str, *settings: str) -> None:
    """Patroni's dynamic configuration."""
    words = [word for setting in settings for word in ("-s", setting)]
    argv = [PATRONICTL, "-c", str(layout.PATRONI_CONFIG), "edit-config", "--force", "--quiet", *words]
    lab.exec(node, ["runuser", "-u", "postgres", "--", *argv], within=60)


@contextmanager
def asynchronous(site: Site) -> Iterator[None]:
    """No commit waits for the standby, and a standby that is behind may be promoted."""
    node = site.primary
    configure(site.lab, node, "synchronous_mode=false", "maximum_lag_on_failover=1073741824")
    sql = ["runuser", "-u", "postgres", "--", "psql", "-XAtc", "SHOW synchronous_standby_names"]
    try:
        until("asynchronous", lambda: not site.lab.exec(node, sql, within=20).out.strip(), 60)
        yield
    finally:
        configure(site.lab, site.primary, "synchronous_mode=true", "maximum_lag_on_failover=1048576")


@contextmanager
def replication_cut(lab: Lab, standby: str, primary: str) -> Iterator[None]:
    """Nothing of the primary's PostgreSQL reaches the standby; everything else does."""
    address = lab.spec.nodes[primary].address
    rules = (
        f"table inet {TABLE} {{ chain cut {{ type filter hook input priority -200; policy accept; "
        f"ip saddr {address} tcp sport {layout.PORT_POSTGRES} drop; }}; }}"
    )
    lab.exec(standby, ["nft", "-f", "-"], stdin=rules)
    try:
        yield
    finally:
        lab.exec(standby, ["nft", "delete", "table", "inet", TABLE])


def test_every_acknowledged_image_is_retrievable_after_the_reconcile(site: Site) -> None:
    victim, other = site.primary, site.standby
    with asynchronous(site), ArchiveLoad(site, "reconcile") as load:
        with replication_cut(site.lab, other, victim):
            before = stored(load)
            time.sleep(CUT)
            assert stored(load) > before, "nothing was acknowledged that could be lost"
            begin = time.monotonic()
            site.lab.power_off(victim)
            site.until("promoted", lambda s: bool(s["database"]["primary"] == other), within=120)
        load.works(5, since=begin, within=60)
        silence = load.silence(begin)
        site.power_on(victim)
        site.until("two members", lambda s: len(s["database"]["members"]) == 2)
    timeline = site.status()["database"]["timeline"]
    acknowledged = {s.uid for s in load.stores() if s.outcome is Outcome.OK}
    lost = [i for i in load.made if i.uid in acknowledged and not fetched(site, i)]
    until("compared by itself", lambda: reconciled(site.lab) >= timeline, RECONCILED_WITHIN)
    whole = time.monotonic() - begin
    assert load.whole(site) == len(acknowledged)
    told(
        "reconcile", silence=silence, acknowledged=len(acknowledged), without_a_row=len(lost),
        all_whole=f"{whole:.0f} s",
    )  # fmt: skip
    reports = control.hactl(site.lab, "archive", "reconcile", "report")
    assert sum(int((r["report"] or {}).get("restored", 0)) for r in reports.values()) >= len(lost)


def stored(load: ArchiveLoad) -> int:
    return sum(s.outcome is Outcome.OK for s in load.stores())


def reconciled(lab: Lab) -> int:
    """Up to which timeline, as etcd says; 0: none."""
    found = control.etcdctl(lab, "get", "--print-value-only", control.own(lab, "reconciled")).strip()
    return int(json.loads(found)["timeline"]) if found else 0


def fetched(site: Site, image: images.Image) -> str:
    """The digest of its pixels as the archive hands them out; empty: it does not."""
    try:
        return images.digest_of(dicomweb.wado(site.ground.web, image))
    except HactlError:
        return ""
