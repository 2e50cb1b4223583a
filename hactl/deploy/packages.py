"""Debian 12's packages by role. Deploy installs those that are missing, from the site's mirror."""

from __future__ import annotations

from typing import Final

from hactl.spec.model import ClusterSpec, Role

EVERYWHERE: Final = ("python3", "python3-venv", "nftables", "iproute2", "sudo", "ca-certificates", "curl")
BY_ROLE: Final[dict[Role, tuple[str, ...]]] = {
    Role.DATABASE: ("postgresql-15", "etcd-server", "etcd-client", "keepalived"),
    Role.WITNESS: ("etcd-server", "etcd-client", "prometheus", "prometheus-alertmanager"),
    Role.ARCHIVE: ("orthanc", "orthanc-postgresql", "orthanc-dicomweb", "nginx-light", "keepalived"),
}
SIGNING: Final = "dcmtk"  # its dcmsign, where images are signed
# All agents are one package in Debian 12. The programs that they run were read out of 4.12.1.
FENCING: Final = "fence-agents"
IPMI: Final = "ipmilan ipmilanplus idrac ilo3 ilo4 ilo5 imm"
SNMP: Final = "apc_snmp cisco_mds eaton_snmp emerson ibmblade ifmib intelmodular ipdu lindypdu tripplite_snmp"
SSH: Final = (
    "apc bladecenter brocade cyberpower_ssh drac5 hpblade ilo_ssh ilo3_ssh ilo4_ssh ilo5_ssh raritan_px3"
    " rsa rsb vbox virsh wti"
)
RUN_BY: Final = {"ipmitool": IPMI, "snmp": SNMP, "openssh-client": SSH}


def of(spec: ClusterSpec, name: str) -> tuple[str, ...]:
    """What one node needs. Whoever may become the active controller needs the fence agents."""
    roles = spec.nodes[name].roles
    more = _fencing(spec) if name in spec.voters else ()
    if name in spec.archives and spec.archive.signing is not None:
        more = (*more, SIGNING)
    return tuple(dict.fromkeys((*EVERYWHERE, *(p for role in roles for p in BY_ROLE[role]), *more)))


def _fencing(spec: ClusterSpec) -> tuple[str, ...]:
    kinds = {agent.agent.removeprefix("fence_") for agent in spec.fencing.agents.values()}
    programs = (package for package, names in RUN_BY.items() if not kinds.isdisjoint(names.split()))
    return (FENCING, *programs) if kinds else ()
