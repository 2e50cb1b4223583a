"""Whether each node reaches what it needs of the others, and whether the network knows the virtual IPs."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Final

from hactl import layout
from hactl.decide.codes import Finding, finding
from hactl.spec.model import ClusterSpec, Node
from hactl.view import derive
from hactl.view.cluster import ClusterView
from hactl.view.control import Dcs
from hactl.view.model import NodeFacts, Unknown
from hactl.view.preflight import ArpLook, NodePreflight, Reach, Reached

NEVER_ANSWERS: Final = 8  # arp_ignore
_MEANS: Final = {
    Reached.SILENT: "no answer for {0}: a packet filter, a route or a cable",
    Reached.REFUSED: "refused to {0}: nothing listens there, or it is filtered",
}
_ETCD: Final = frozenset({layout.PORT_ETCD_CLIENT, layout.PORT_ETCD_PEER})
_ARCHIVE: Final = frozenset({layout.PORT_HTTPS, layout.PORT_DICOM_TLS})


def known(view: ClusterView) -> dict[str, NodePreflight]:
    return {n: p for n, p in view.preflight.items() if isinstance(p, NodePreflight)}


def ports(_: ClusterSpec, view: ClusterView) -> Iterator[Finding]:
    """One finding for each port of each node; what a lost or stopped one explains is not said again."""
    bad: dict[tuple[str, int, str], dict[Reached, list[str]]] = {}
    for node, look in known(view).items():
        for reach in look.reach:
            if reach.found in _MEANS and not _explained(view, reach):
                bad.setdefault((reach.to, reach.port, reach.what), {}).setdefault(reach.found, []).append(
                    node
                )
        untried = [r for r in look.reach if r.found is Reached.UNKNOWN]
        if untried:
            yield finding(
                "SOURCE_UNKNOWN", node, f"{len(untried)} connects to other nodes were not tried in time"
            )
    for (to, port, what), by in bad.items():
        said = "; ".join(_MEANS[how].format(", ".join(nodes)) for how, nodes in by.items())
        yield finding("PORT_UNREACHABLE", to, f"{what}, port {port}: {said}")


def _explained(view: ClusterView, reach: Reach) -> bool:
    if reach.vip:
        seen = view.vips.get(reach.to)
        return seen is None or seen.holder is None
    node = view.nodes.get(reach.to)
    if node is not None and node.failed:
        return True
    if isinstance(view.control, Dcs) and reach.to in view.control.fences:
        return True
    return reach.found is Reached.REFUSED and _down(view, reach)


def _down(view: ClusterView, reach: Reach) -> bool:
    """What listens there is known not to run, and has a finding of its own."""
    if reach.port in _ETCD:
        seen = view.etcd.get(reach.to)
        return seen is not None and isinstance(seen.status, Unknown)
    if reach.port == layout.PORT_PATRONI:
        return reach.to not in derive.selves(view)
    if reach.port == layout.PORT_POSTGRES:
        itself = derive.selves(view).get(reach.to)
        return itself is None or itself.state != "running"
    if reach.port in _ARCHIVE:
        return reach.to in view.archives and not view.archives[reach.to].level("L0").ok
    facts = view.facts.get(reach.to)
    return isinstance(facts, NodeFacts) and facts.units.get("hactl-controller.service") != "active"


def addresses(spec: ClusterSpec, view: ClusterView) -> Iterator[Finding]:
    """Who answers for the virtual IPs (ARP), and whether everybody would send there."""
    may_hold: dict[str, Mapping[str, Node]] = {"database": spec.databases, "archive": spec.archives}
    for name, vip in spec.vips.by_name.items():
        looks = {n: a for n, p in known(view).items() for a in p.arp if a.vip == name}
        yield from _claims(str(vip.address.ip), looks)
        for node, look in looks.items():
            if look.problem:
                yield finding("SOURCE_UNKNOWN", node, f"who answers for {look.address}: {look.problem}")
            if said := [*_rules(look, holds=node in may_hold[name]), *_cache(look, looks)]:
                yield finding("VIP_ARP", node, f"{look.address}: {'; '.join(said)}")


def _claims(address: str, looks: Mapping[str, ArpLook]) -> Iterator[Finding]:
    """More than one holder is a finding of its own; nobody's answer is one only where there is a holder."""
    owner = {mac: node for node, look in looks.items() for mac in (*look.macs, look.mine) if mac}
    holders = {node for node, look in looks.items() if look.held}
    claimed = {mac: node for node, look in looks.items() for mac in look.claimed}
    others = {mac: by for mac, by in claimed.items() if owner.get(mac) not in holders}
    # Where the holder could not be asked, one answer is the holder's.
    if holders or len(others) > 1:
        for mac, by in sorted(others.items()):
            who = owner.get(mac, "")
            yield finding(
                "VIP_STRANGER", who, f"{address} is answered for by {who or mac} ({mac}), seen by {by}"
            )
    deaf = [n for n, look in looks.items() if n not in holders and not look.claimed and not look.problem]
    if len(holders) == 1 and deaf:
        (holder,) = holders
        yield finding("VIP_ARP", holder, f"{address}: {', '.join(deaf)} asked for it and had no answer")


def _rules(look: ArpLook, *, holds: bool) -> Iterator[str]:
    if look.rules.get("drop_gratuitous_arp"):
        yield f"drop_gratuitous_arp is set on {look.interface}: the address's move would be missed"
    if not holds:
        return
    if look.rules.get("arp_ignore", 0) >= NEVER_ANSWERS:
        yield f"arp_ignore is {look.rules['arp_ignore']} on {look.interface}: nobody would find it here"
    lax = [name for name in ("arp_ignore", "arp_announce") if look.rules.get(name) == 0]
    if look.also and lax:
        yield (
            f"{', '.join((look.interface, *look.also))} lie in its network and {' and '.join(lax)} "
            f"{'is' if len(lax) == 1 else 'are'} 0: the wrong one may answer"
        )


def _cache(look: ArpLook, looks: Mapping[str, ArpLook]) -> Iterator[str]:
    holders = [(n, other) for n, other in looks.items() if other.held]
    if look.held or not look.cached or len(holders) != 1:
        return
    ((node, holder),) = holders
    if look.cached not in {holder.mine, *holder.macs}:
        yield f"this node would send to {look.cached}, and {node} is {holder.mine}"


CHECKS = (ports, addresses)
