"""Controllers' metrics as the operator and the witness's Prometheus read them, and an alert on its way."""

from __future__ import annotations

import json
import time
import urllib.parse
from typing import Any

import pytest

from hactl import layout
from hactl.adapters.http import HttpsClient
from hactl.errors import Unreachable
from hactl.lab import faults
from hactl.metrics.registry import METRICS, Source
from tests.support.labs import Site
from tests.support.servers import wait_until


def client(site: Site) -> HttpsClient:
    return HttpsClient(site.lab.site.ca, site.lab.site.cert, site.lab.site.key)


def controller(site: Site, node: str, path: str) -> str:
    address = site.lab.spec.nodes[node].address
    url = f"https://{address}:{layout.PORT_METRICS}{path}"
    return client(site).send("GET", url, within=5).body.decode()


def prometheus(site: Site, path: str, **query: str) -> Any:
    [witness] = site.lab.spec.witnesses.values()
    url = f"https://{witness.address}:{layout.PORT_PROMETHEUS}/api/v1/{path}?{urllib.parse.urlencode(query)}"
    return json.loads(client(site).send("GET", url, within=10).body)["data"]


def values(site: Site, query: str) -> dict[tuple[str, ...], float]:
    """By the labels' values, `job` and `instance` left out."""
    found = prometheus(site, "query", query=query)["result"]
    return {
        tuple(v for k, v in sorted(row["metric"].items()) if k not in {"__name__", "instance"}): float(
            row["value"][1]
        )
        for row in found
    }


def alerts(site: Site) -> dict[tuple[str, str], str]:
    found = prometheus(site, "alerts")["alerts"]
    return {(a["labels"]["alertname"], a["labels"].get("subject", "")): a["state"] for a in found}


def test_one_controller_speaks_of_the_cluster_and_all_of_themselves(site: Site) -> None:
    status = site.healthy()
    active = status["controller"]["active"]
    assert {active, *status["controller"]["standing_by"]} == set(site.lab.spec.voters)
    for node in site.lab.spec.voters:
        assert controller(site, node, "/healthz").startswith("ok")
        assert (
            controller(site, node, "/readyz") == f"ready: {'active' if node == active else 'standing by'}\n"
        )
        start = time.monotonic()
        text = controller(site, node, "/metrics")
        assert time.monotonic() - start < 1  # a TLS handshake on a busy machine; the scrape itself is 1 ms
        names = {line.split("{")[0].split(" ")[0] for line in text.splitlines() if not line.startswith("#")}
        cluster = {n for n in names if n in METRICS and METRICS[n].source is Source.CLUSTER}
        assert bool(cluster) == (node == active)


def test_who_has_no_certificate_of_the_cluster_is_refused(site: Site) -> None:
    """One of the CA for DICOM is nobody here."""
    url = f"https://{site.lab.spec.nodes[site.primary].address}:{layout.PORT_METRICS}/metrics"
    folder = site.lab.site.state / "certs" / "ops"
    other = HttpsClient(site.lab.site.ca, folder / "ops-dicom.crt", folder / "ops-dicom.key")
    with pytest.raises(Unreachable):
        other.send("GET", url, within=5)


def test_prometheus_reads_them_all_and_evaluates_every_rule(site: Site) -> None:
    site.healthy()
    wait_until("all targets are up", lambda: set(values(site, "up").values()) == {1.0}, 60)
    assert len(values(site, 'up{job="hactl"}')) == len(site.lab.spec.voters)
    assert values(site, "sum(hactl_controller_active)") == {(): 1.0}
    held = values(site, 'max by (node) (hactl_vip_held{vip="database"})')
    assert held == {(site.primary,): 1.0, (site.standby,): 0.0}
    rules = [r for g in prometheus(site, "rules")["groups"] for r in g["rules"]]
    assert {r["health"] for r in rules} == {"ok"}


def test_a_lost_storage_becomes_an_alert_with_its_node(site: Site) -> None:
    """Of severity error: those wait 15 s, warnings a minute."""
    node = next(n for n in site.lab.spec.archives if n != site.status()["archive"]["vip"]["holder"])
    expected = ("STORAGE_IDENTITY_LOST", node)
    with faults.injected(site.lab, "unmount-storage", node):
        wait_until("the alert", lambda: alerts(site).get(expected) == "firing", 120)
    site.healthy()
    wait_until("its end", lambda: expected not in alerts(site), 120)
