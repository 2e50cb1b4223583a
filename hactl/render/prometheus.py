"""Prometheus on the witness: everything is scraped with mutual TLS, and it answers to nothing else itself."""

from __future__ import annotations

import functools
from collections.abc import Iterable, Iterator
from typing import Any, Final

from hactl import layout
from hactl.render import alerts, dashboard, engine
from hactl.render.secrets import RenderSecrets
from hactl.render.targets import RenderedFile
from hactl.spec.model import ClusterSpec

UNIT: Final = "prometheus.service"
RETENTION: Final = "30d"
DASHBOARD: Final = layout.PROMETHEUS_CONFIG.with_name("hactl-dashboard.json")  # for Grafana, to import
ALERTMANAGER: Final = f"127.0.0.1:{layout.PORT_ALERTMANAGER}"


def render(spec: ClusterSpec, secrets: RenderSecrets) -> Iterator[RenderedFile]:  # noqa: ARG001 - a renderer's shape
    """Scrape configuration, the listener's TLS and a drop-in, for each witness."""
    for node in spec.witnesses:
        comment = engine.header(node, spec.cluster)
        yield RenderedFile(
            node=node, path=str(layout.PROMETHEUS_CONFIG), component="prometheus",
            content=engine.yaml_document(configuration(spec, node), comment),
            validate=("/usr/bin/promtool", "check", "config", "--syntax-only", "%s"),
            on_change="reload", unit=UNIT,
        )  # fmt: skip
        yield RenderedFile(
            node=node, path=str(layout.ALERT_RULES), component="prometheus",
            content=comment + _rules(),
            validate=("/usr/bin/promtool", "check", "rules", "%s"), on_change="reload", unit=UNIT,
        )  # fmt: skip
        yield RenderedFile(
            node=node, path=str(DASHBOARD), component="prometheus", content=dashboard.text(),
        )  # fmt: skip
        yield RenderedFile(
            node=node, path=str(layout.PROMETHEUS_WEB), component="prometheus",
            content=engine.yaml_document(web(), comment),
            validate=("/usr/bin/promtool", "check", "web-config", "%s"), on_change="none",
        )  # fmt: skip
        yield RenderedFile(
            node=node, path=str(layout.SYSTEMD / f"{UNIT}.d" / "hactl.conf"), component="prometheus",
            content=engine.text("prometheus/prometheus.service.j2", **_unit_values(spec)),
            on_change="restart", unit=UNIT,
        )  # fmt: skip


def configuration(spec: ClusterSpec, witness: str) -> dict[str, Any]:
    """prometheus.yml: one job a component, one target a node, each labelled with the node's name."""
    return {
        "global": {
            "scrape_interval": "10s",
            "scrape_timeout": "5s",
            "evaluation_interval": "10s",
            "external_labels": {"cluster": spec.cluster, "witness": witness},
        },
        "rule_files": [str(layout.ALERT_RULES)],
        "alerting": {"alertmanagers": [{"static_configs": [{"targets": [ALERTMANAGER]}]}]},
        "scrape_configs": [
            _job(spec, "patroni", spec.databases, layout.PORT_PATRONI),
            _job(spec, "etcd", spec.voters, layout.PORT_ETCD_CLIENT),
            *_orthanc(spec),
            _job(spec, "hactl", spec.voters, layout.PORT_METRICS, label="controller"),
            _job(spec, "prometheus", [witness], layout.PORT_PROMETHEUS),
            {
                "job_name": "alertmanager",
                "static_configs": [{"targets": [ALERTMANAGER], "labels": {"node": witness}}],
            },
        ],
    }


def web() -> dict[str, Any]:
    """The listener: TLS, and nobody without a certificate of the cluster's CA. Read at each connection."""
    return {
        "tls_server_config": {
            "cert_file": str(layout.PKI / "prometheus-web.crt"),
            "key_file": str(layout.PKI / "prometheus-web.key"),
            "client_ca_file": str(layout.PKI / "ca.crt"),
            "client_auth_type": "RequireAndVerifyClientCert",
            "min_version": "TLS12",
        }
    }


@functools.cache
def _rules() -> str:
    """The same for every installation, and by far the longest of the rendered files."""
    return engine.yaml_document(alerts.document())


def _orthanc(spec: ClusterSpec) -> Iterator[dict[str, Any]]:
    """Nobody else's archive has these metrics."""
    if spec.archives:
        yield _job(spec, "orthanc", spec.archives, layout.PORT_HTTPS, path="/tools/metrics-prometheus")


def _job(
    spec: ClusterSpec, name: str, nodes: Iterable[str], port: int, path: str = "/metrics", label: str = "node"
) -> dict[str, Any]:
    """`label` has the target's name. A controller's is not `node`: that is whom its metrics speak of."""
    targets = [{"targets": [f"{spec.nodes[n].address}:{port}"], "labels": {label: n}} for n in nodes]
    return {
        "job_name": name,
        "metrics_path": path,
        "scheme": "https",
        "tls_config": {
            "ca_file": str(layout.PKI / "ca.crt"),
            "cert_file": str(layout.PKI / "prometheus.crt"),
            "key_file": str(layout.PKI / "prometheus.key"),
            "min_version": "TLS12",
        },
        "static_configs": targets,
    }


def _unit_values(spec: ClusterSpec) -> dict[str, Any]:
    return {
        "cluster": spec.cluster, "config": layout.PROMETHEUS_CONFIG, "web": layout.PROMETHEUS_WEB,
        "port": layout.PORT_PROMETHEUS, "retention": RETENTION,
    }  # fmt: skip
