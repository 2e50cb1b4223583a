"""Certificates as they lie on the nodes: a renewed one that was not deployed is of no use to anybody."""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterator
from typing import Final

from hactl.decide.codes import Finding, finding
from hactl.spec.model import ClusterSpec
from hactl.view.cluster import ClusterView
from hactl.view.model import CertState, Unknown

SOON: Final = 30 * 86400  # s; as `hactl pki renew` counts (pki/due.py)


def on_nodes(spec: ClusterSpec, view: ClusterView) -> Iterator[Finding]:
    """What the agents report; what the operator's own copy is found to suffer from is not said twice."""
    if isinstance(view.control, Unknown):
        return
    said = _said(view)
    for node, facts in view.control.facts.items():
        for use, end in sorted(facts.certificates.items()):
            if node not in spec.nodes or (node, use) in said or end - view.at > SOON:
                continue
            day = dt.datetime.fromtimestamp(end, dt.UTC).date().isoformat()
            if end <= view.at:
                yield finding("CERT_EXPIRED", node, f"{use}, on the node: since {day}")
            else:
                yield finding("CERT_EXPIRING", node, f"{use}, on the node: on {day}")


def refused(spec: ClusterSpec, view: ClusterView) -> Iterator[Finding]:
    if not isinstance(view.control, Unknown):
        for node, facts in view.control.facts.items():
            if node in spec.nodes and facts.spare:
                yield finding("CERT_REFUSED", node, facts.spare)


def _said(view: ClusterView) -> frozenset[tuple[str, str]]:
    if isinstance(view.certificates, Unknown):
        return frozenset()
    return frozenset((c.node, c.use) for c in view.certificates if c.state is not CertState.OK)


CHECKS = (on_nodes, refused)
