"""Whether the nodes' machines are what a failover needs, and leave its services alone."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Final

from hactl.decide.codes import Finding, finding
from hactl.decide.preflight_network import known
from hactl.spec.model import ClusterSpec
from hactl.view.cluster import ClusterView
from hactl.view.model import NodeFacts, Unknown
from hactl.view.preflight import Upgrades

# Packages whose upgrade restarts the service. PostgreSQL's does not touch what Patroni runs.
RESTARTED: Final = ("etcd-server", "keepalived", "orthanc", "nginx")
# Services that needrestart must spare: their restart is seen by clients, or is a failover.
PRECIOUS: Final = (
    "patroni.service",
    "etcd.service",
    "keepalived.service",
    "orthanc.service",
    "hactl-agent.service",
)
NFT: Final = "sets with timeouts in nftables"  # what the lease is made of: on database nodes


def kernel(spec: ClusterSpec, view: ClusterView) -> Iterator[Finding]:
    for node, look in known(view).items():
        lacks = [
            f"{name}: {why}"
            for name, why in look.kernel.items()
            if why and (name != NFT or node in spec.databases)
        ]
        if lacks:
            yield finding("KERNEL_UNFIT", node, "; ".join(lacks))
        if look.watchdog is False:
            yield finding("WATCHDOG_NONE", node)


def upgrades(_: ClusterSpec, view: ClusterView) -> Iterator[Finding]:
    for node, look in known(view).items():
        if isinstance(look.upgrades, Unknown):
            yield finding("SOURCE_UNKNOWN", node, f"whether upgrades come by themselves: {look.upgrades.why}")
            continue
        facts = view.facts.get(node)
        said = list(_said(look.upgrades, facts)) if isinstance(facts, NodeFacts) else []
        if said:
            yield finding("UPGRADES_UNATTENDED", node, "; ".join(said))


def _said(found: Upgrades, facts: NodeFacts) -> Iterator[str]:
    if found.unattended:
        touched = [p for p in RESTARTED if p in facts.versions and not _matches(found.kept, p)]
        if touched:
            yield f"unattended-upgrades may restart {', '.join(touched)}"
    if found.reboots:
        yield "unattended-upgrades may restart the machine"
    if found.restarts:
        touched = [u for u in PRECIOUS if u in facts.units and not _matches(found.spared, u)]
        if touched:
            yield f"needrestart restarts {', '.join(touched)} without asking"


def _matches(patterns: tuple[str, ...], name: str) -> bool:
    """Patterns begin at the name's beginning. One that Python cannot read spares nothing."""
    for pattern in patterns:
        try:
            if re.match(pattern, name):
                return True
        except re.error:
            continue
    return False


def clocks(_: ClusterSpec, view: ClusterView) -> Iterator[Finding]:
    loose = [n for n, f in view.facts.items() if isinstance(f, NodeFacts) and f.synchronized is False]
    if loose:
        yield finding("CLOCK_FREE", loose[0] if len(loose) == 1 else "", ", ".join(loose))


CHECKS = (kernel, upgrades, clocks)
