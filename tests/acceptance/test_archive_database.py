"""The archive under load while its database is in trouble: it goes on by itself; nothing is done in vain."""

from __future__ import annotations

import subprocess
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager

from hactl.drill.workload import Load
from hactl.lab import faults
from tests.support.archive_load import acts, loaded, told
from tests.support.archive_nodes import has_vip, holder, main_pid, other_than, until
from tests.support.failovers import incident, mend
from tests.support.labs import Site, clean

BEHIND = 4.5  # seconds behind the database; the budget is 1.5, on a machine with nothing else to do
OUTAGE = 10.0
FEW = Load(writers=1, rate=10)
MOVED = 30.0
RESTARTED = 60.0


def query(site: Site, node: str, sql: str) -> str:
    database = site.lab.spec.database.name
    return site.lab.exec(
        node, ["runuser", "-u", "postgres", "--", "psql", "-XAtc", sql, database]
    ).out.strip()


def connections(site: Site, primary: str, archive: str, more: str = "") -> int:
    """Of that node's Orthanc. hactl has its own there: the manifest's, now and then a reconcile's."""
    asked = f"count(*) from pg_stat_activity where application_name = 'orthanc-{archive}' {more}"
    return int(query(site, primary, f"select {asked}"))


def ask(site: Site, node: str) -> None:
    """A viewer that waits for long. What it gets in the end is not what this is about."""
    web = site.ground.web
    url = f"https://{site.lab.spec.nodes[node].address}/changes?last"
    with ExitStack() as ignored:
        ignored.push(lambda *_: True)
        web.pool.request("GET", url, headers=web.headers, timeout=30.0)


def all_wait(site: Site, primary: str, node: str, count: int) -> Callable[[], bool]:
    return lambda: connections(site, primary, node, "and wait_event_type = 'Lock'") >= count


@contextmanager
def all_connections_busy(site: Site, primary: str) -> Iterator[None]:
    """Every pooled connection of every Orthanc waits for an answer of this primary, which does not come."""
    locked = "begin; lock table changes, resources in access exclusive mode; select pg_sleep(60)"
    argv = ["runuser", "-u", "postgres", "--", "psql", "-Xqc", locked, site.lab.spec.database.name]
    pools = {node: connections(site, primary, node) for node in site.lab.spec.archives}
    inside = site.lab.machine(primary).exec_argv(argv)
    with subprocess.Popen(inside, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL) as lock:
        try:
            for node in [n for n, count in pools.items() for _ in range(count + 2)]:
                threading.Thread(target=ask, args=(site, node), daemon=True).start()
            for node, count in pools.items():
                until(f"{count} connections of {node} wait", all_wait(site, primary, node, count), 10)
            yield
        finally:
            lock.kill()


def test_the_database_host_is_lost_with_every_connection_busy(site: Site) -> None:
    """Without keepalives in the connections' settings this hangs for two hours (measured)."""
    session = site.session("busy-pool")
    session.load = FEW
    with session.running(), loaded(site, "busy-pool") as load:
        victim, other = site.primary, site.standby
        with all_connections_busy(site, victim):
            fault = session.fault(victim, lambda: site.lab.power_off(victim))
        session.acknowledged(5, within=60, since=fault.end)
        load.works(5, since=fault.end, within=60)
        silence = load.silence(fault.begin)
        session.heal(victim, lambda: mend(site, victim))
        after = site.healthy()
    verdict = clean(session, limit=OUTAGE)
    assert verdict.outage
    assert verdict.outage.recovery is not None
    outage = verdict.outage.recovery
    told("database host lost, pools busy", database=f"{outage:.2f} s", silence=silence)
    assert after["database"]["primary"] == other
    assert silence.worst < outage + BEHIND
    incident(site, fault.begin)
    assert [act for act in acts(site, load) if not_of_the_failover(act)] == []


def not_of_the_failover(act: str) -> bool:
    return not act.startswith(("failover", "power-on", "readmit"))


@contextmanager
def misplaced(site: Site, standby: str, primary: str) -> Iterator[None]:
    """The standby has the database VIP, its packet filter lets it pass, and nobody else has it."""
    vip = site.lab.spec.vips.database
    address, interface = str(vip.address.ip), vip.interface
    lease = f"inet hactl_lease lease {{ {address}"
    site.lab.exec(primary, ["systemctl", "stop", "keepalived.service"])
    try:
        site.lab.exec(standby, ["nft", f"add element {lease} timeout 60s }}"])
        site.lab.exec(standby, ["ip", "address", "add", f"{address}/32", "dev", interface])
        site.lab.exec(standby, ["arping", "-q", "-U", "-c", "1", "-I", interface, address])
        yield
    finally:
        site.lab.exec(standby, ["ip", "address", "del", f"{address}/32", "dev", interface], check=False)
        site.lab.exec(standby, ["nft", f"delete element {lease} }}"], check=False)
        site.lab.exec(primary, ["systemctl", "start", "keepalived.service"])


def test_the_database_address_on_a_standby_is_put_back(site: Site) -> None:
    """Connections demand a server that writes. Nothing is done but to keepalived, on both nodes."""
    primary, standby = site.primary, site.standby
    with loaded(site, "misplaced-vip") as load, misplaced(site, standby, primary):
        begin = time.monotonic()
        time.sleep(1)  # what was sent before may still be answered
        load.works(5, since=time.monotonic(), within=MOVED)
        silence = load.silence(begin)
    told("database VIP on a standby", silence=silence)
    assert site.primary == primary
    mending = {node: f"give-order {node} restart keepalived.service" for node in (primary, standby)}
    assert mending[primary] in acts(site, load)
    assert set(acts(site, load)) <= set(mending.values())


def test_a_pool_that_hangs_costs_one_restart_of_that_node(site: Site) -> None:
    """The server's side of every connection stops where it is; SQL by new connections works meanwhile."""
    node = holder(site)
    other = other_than(site, node)
    freeze = faults.fault("freeze-pool")
    assert freeze.heal is not None
    with loaded(site, "freeze-pool") as load:
        before, others = main_pid(site, node), main_pid(site, other)
        begin = time.monotonic()
        freeze.inject(site.lab, node)
        until("another has the address", lambda: has_vip(site, other), MOVED)
        moved = time.monotonic() - begin
        load.works(5, since=begin, within=MOVED)
        silence = load.silence(begin)
        until("it is restarted", lambda: main_pid(site, node) not in {0, before}, RESTARTED)
        restarted = time.monotonic() - begin
        site.until("healthy with a new pool", lambda s: bool(s["verdict"] == "healthy"), within=60)
        freeze.heal(site.lab, node)
        assert main_pid(site, other) == others
    told("freeze-pool", moved=f"{moved:.1f} s", silence=silence, restarted=f"{restarted:.1f} s")
    assert acts(site, load) == [f"give-order {node} restart orthanc.service"]
