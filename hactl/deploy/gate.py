"""May this deployment touch the cluster? The first one may; later ones need it healthy, unless forced."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from typing import Final

from hactl.decide.archive_told import told
from hactl.decide.codes import Finding, Severity
from hactl.decide.health import judge
from hactl.decide.plan import Veto
from hactl.deploy.ask import Answer, insist
from hactl.deploy.inventory import Facts
from hactl.errors import Refused, UsageError
from hactl.observe.gather import gather
from hactl.site import Site
from hactl.spec.model import ClusterSpec
from hactl.view import derive
from hactl.view.archive import DrainBy
from hactl.view.cluster import ClusterView
from hactl.view.control import Dcs
from hactl.wiring import glance_ports

# What a deployment mends. It brings hactl's own services to run, also on a site that never had them: without
# them nothing serves less. What they gave up on is a finding of its own where it matters.
MENDED: Final = frozenset(
    {
        "CONTROLLER_NONE",
        "CONTROLLER_ALONE",
        "AGENT_SILENT",
        "LEASE_OPEN",
        "RECOVERY_GIVEN_UP",
        "UNIT_NOT_RUNNING",
        # It brings the certificates that `hactl pki renew` made: these must not keep it out.
        "CERT_EXPIRING",
        "CERT_EXPIRED",
        "CERT_REFUSED",
        # A deployment wants hactl's hands off anyway. Patroni's pause is another thing.
        "PAUSED",
        # No sign of anything ill; and the drill may be what waits for this deployment.
        "DRILL_OVERDUE",
    }
)


def facts(
    spec: ClusterSpec, site: Site, answers: Sequence[Answer], limit: str | None, *, force: bool
) -> Facts:
    """What deployment starts from.

    Raises:
        UsageError: the limit names no node.
        Unreachable: a node that is to be deployed cannot be asked.
        Refused: the cluster is not healthy and `force` is not set; or a first deployment was limited.

    """
    if limit is not None and limit not in spec.nodes:
        raise UsageError(f"no node {limit} in the spec", hint=f"one of: {', '.join(spec.nodes)}")
    insist(answers, [limit] if limit else list(spec.nodes))
    new = frozenset(a.node for a in answers if a.deployed is False)
    if not any(a.deployed for a in answers):
        insist(answers, list(spec.nodes))  # only when all say so it is a first deployment
        if limit is not None:
            raise Refused(
                f"nothing is deployed yet, and {limit} alone is no cluster: etcd needs its majority to start",
                hint="hactl deploy",
            )
        return Facts(fresh=True, new=new)
    view = told(spec, gather(glance_ports(spec, site)))
    findings = [f for f in judge(spec, view).findings if not _ours(view, f)]
    if not force:
        refuse_unhealthy(findings, new)
    vetoes = tuple(Veto("NOT_HEALTHY", sentence(f)) for f in unhealthy(findings, new))
    primary = derive.primary(view) or derive.leader(view)
    return Facts(fresh=False, new=new, primary=primary, vetoes=vetoes)


def _ours(view: ClusterView, found: Finding) -> bool:
    """A drain that a deployment left behind, which was cut off: this one ends it."""
    dcs = view.control
    drain = dcs.drains.get(found.subject) if isinstance(dcs, Dcs) else None
    return found.code.name == "ARCHIVE_DRAINED" and drain is not None and drain.by is DrainBy.DEPLOY


def refuse_unhealthy(findings: Sequence[Finding], new: Collection[str]) -> None:
    """Raises Refused with all findings that matter."""
    if grave := unhealthy(findings, new):
        raise Refused(
            "the cluster is not healthy, and a deployment may restart what still works",
            [sentence(f) for f in grave],
            hint="hactl status; or, to deploy all the same: hactl deploy --force",
        )


def unhealthy(findings: Sequence[Finding], new: Collection[str]) -> list[Finding]:
    """All findings that matter; what is wrong with a new node is why it is deployed."""
    warned = [f for f in findings if f.severity.rank >= Severity.WARNING.rank]
    return [f for f in warned if f.subject not in new and f.code.name not in MENDED]


def sentence(finding: Finding) -> str:
    about = f" {finding.subject}" if finding.subject else ""
    return f"{finding.code.name}{about}: {finding.detail or finding.code.summary}"
