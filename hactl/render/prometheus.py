"""Prometheus on the witness: everything is scraped with mutual TLS, and it answers to nothing else itself."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Any, Final

from hactl import layout
from hactl.render import engine
from hactl.render.secrets import RenderSecrets
from hactl.render.targets import RenderedFile
from hactl.spec.model import ClusterSpec

UNIT: Final = "prometheus.service"
RETENTION: Final = "30d"


def render(spec: ClusterSpec, secrets: RenderSecrets) -> Iterator[RenderedFile]:  # noqa: ARG001 - a renderer's shape
    """Scrape configuration, the listener's TLS and a drop-in, for each witness."""
    for node in spec.witnesses:
        comment = engine.header(node, spec.cluster)
        yield RenderedFile(
            node=node, path=str(layout.PROMETHEUS_CONFIG), component="prometheus",
            content=engine.yaml_document(configuration(spec, node), comment),
            validate=("/usr/bin/promtool", "check", "config", "%s"), on_change="reload", unit=UNIT,
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
        "scrape_configs": [
            _job(spec, "patroni", spec.databases, layout.PORT_PATRONI),
            _job(spec, "etcd", spec.voters, layout.PORT_ETCD_CLIENT),
            _job(spec, "orthanc", spec.archives, layout.PORT_HTTPS, path="/tools/metrics-prometheus"),
            _job(spec, "prometheus", [witness], layout.PORT_PROMETHEUS),
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


def _job(
    spec: ClusterSpec, name: str, nodes: Iterable[str], port: int, path: str = "/metrics"
) -> dict[str, Any]:
    targets = [{"targets": [f"{spec.nodes[n].address}:{port}"], "labels": {"node": n}} for n in nodes]
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
