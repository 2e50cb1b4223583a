"""An archive node out of service on purpose, under load: nobody notices. And both without power at once."""

from __future__ import annotations

import time
from functools import partial

from hactl import layout
from hactl.view.archive import EndToEnd
from tests.support import control
from tests.support.archive_load import acts, loaded, told
from tests.support.archive_nodes import (
    active,
    facts,
    hactl,
    has_vip,
    holder,
    main_pid,
    may_serve,
    other_than,
    until,
)
from tests.support.labs import Site

BOOTED = 60.0


def test_a_drain_and_a_restart_cost_no_call(site: Site) -> None:
    """The address moves to the other node and back, and no store or query fails meanwhile."""
    node = holder(site)
    other = other_than(site, node)
    until("no agent is at a reconcile", lambda: not orders(site), 120)
    with loaded(site, "drain") as load:
        said = hactl(site, "archive", "drain", node, "--yes", "--reason", "acceptance")
        assert said["state"] == "drained"
        until("the other node has it", lambda: has_vip(site, other), 5)
        assert not has_vip(site, node)
        hactl(site, "archive", "drain", other, "--yes", code=3)  # never both
        hactl(site, "archive", "undrain", node)
        drained = load.silence(load.began)
        begin, before = time.monotonic(), main_pid(site, other)
        hactl(site, "archive", "restart", other, "--yes")
        assert main_pid(site, other) not in {0, before}
        restarted = load.silence(begin)
    told("archive drain", took=f"{said['took']} s", silence=drained)
    told("archive restart", silence=restarted)
    assert load.failures() == []


def checked(site: Site, node: str) -> bool:
    found = facts(site, node)
    last = found.archive.last_check if found is not None else None
    return isinstance(last, EndToEnd) and last.ok


def orders(site: Site) -> str:
    return control.etcdctl(site.lab, "get", "--keys-only", "--prefix", control.own(site.lab, "order/"))


def test_both_archive_nodes_lose_their_power(site: Site) -> None:
    nodes = list(site.lab.spec.archives)
    with loaded(site, "archive-both") as load:
        for node in nodes:
            site.lab.power_off(node)
        begin = time.monotonic()
        for node in nodes:
            site.lab.power_on(node, wait=False)
        back = load.works(5, since=begin, within=BOOTED)
        for node in nodes:
            until(f"{node} may serve", partial(may_serve, site, node), BOOTED)
    told("both archive nodes powered on", serve=f"{back:.1f} s")
    assert acts(site, load) == []


def test_every_node_checks_itself_and_what_drifted_is_put_back(site: Site) -> None:
    """The end-to-end check has run by itself on each node, and runs from here."""
    for node in site.lab.spec.archives:
        until(f"{node} has checked itself", partial(checked, site, node), 90)
    assert all(n["ok"] for n in hactl(site, "archive", "probe")["nodes"])
    node, path = other_than(site, holder(site)), str(layout.NGINX_CONFIG)
    site.lab.exec(node, ["sh", "-c", f"echo '# by hand' >>{path}"])
    assert path in site.lab.exec(node, [str(layout.ACT), "redeploy-archive"], within=90).out
    assert "by hand" not in site.lab.exec(node, ["cat", path]).out
    until("Orthanc runs again", lambda: active(site, node), 30)
