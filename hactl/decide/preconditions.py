"""What the doctor checks besides health: all that a failover will rely on, before it is needed."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from types import MappingProxyType

from hactl.decide import preflight_database, preflight_machine, preflight_network
from hactl.decide.codes import Finding, finding
from hactl.decide.config_drift import Kind, Wanted, deviations
from hactl.decide.health import Verdict, judge, nothing_answers, verdict
from hactl.decide.health_control import MIN_FREE
from hactl.decide.health_drill import never_drilled
from hactl.decide.health_maintenance import loud
from hactl.decide.health_tls import never_checked
from hactl.decide.preflight_database import servers
from hactl.spec.model import ClusterSpec, Role
from hactl.view.cluster import ClusterView
from hactl.view.model import CertState, NodeFacts, Unknown
from hactl.view.setting import Running

SHOWN = 3  # files of a node that are named
_PREFLIGHT = (*preflight_network.CHECKS, *preflight_machine.CHECKS, *preflight_database.CHECKS)
MAX_SKEW = 1.0  # seconds; etcd's own warning level
_NOT_RUNNING = frozenset({"inactive", "failed", "not-found", "unknown"})
# Started by a timer, an operator or the controller, and ended by themselves.
_RESTS = {
    (unit, "inactive")
    for unit in (
        "hactl-open.service", "hactl-scrub.service", "hactl-reconcile.service", "hactl-reconcile-dry.service",
    )
}  # fmt: skip
_COMPARED = {
    "postgresql-15": Role.DATABASE,
    "patroni": Role.DATABASE,
    "keepalived": None,
    "etcd-server": None,
    "orthanc": Role.ARCHIVE,
    "nginx": Role.ARCHIVE,
    "hactl": None,
}


def examine(
    spec: ClusterSpec,
    view: ClusterView,
    wanted_config: Mapping[str, object],
    pinned: Mapping[str, object] = MappingProxyType({}),
) -> Verdict:
    """Health and preconditions together. `wanted_config` is Patroni's dynamic configuration as rendered.

    `pinned`: parameters of the nodes' own files.
    """
    health = judge(spec, view)
    if nothing_answers(view):
        return verdict([*health.findings, *certificates(view)])
    return verdict(loud(view, [
        *health.findings,
        *vips_once(spec, view),
        *facts_known(view),
        *never_checked(spec, view),
        *never_drilled(spec, view),
        *units(view),
        *clocks(view),
        *disks(view),
        *versions(spec, view),
        *certificates(view),
        *dynamic_config(view, Wanted(wanted_config, frozenset(spec.database.parameters), pinned)),
        *files(view),
        *(found for check in _PREFLIGHT for found in check(spec, view)),
    ]))  # fmt: skip


def _known(view: ClusterView) -> dict[str, NodeFacts]:
    return {n: f for n, f in view.facts.items() if isinstance(f, NodeFacts)}


def vips_once(spec: ClusterSpec, view: ClusterView) -> Iterator[Finding]:
    for vip in spec.vips.by_name.values():
        address = str(vip.address.ip)
        holders = [n for n, facts in _known(view).items() if address in facts.addresses]
        if len(holders) > 1:
            yield finding("VIP_ON_TWO_NODES", holders[-1], f"{address} is on {' and '.join(holders)}")


def facts_known(view: ClusterView) -> Iterator[Finding]:
    if not view.facts:
        yield finding("FACTS_NOT_ASKED")
    for name, facts in view.facts.items():
        node = view.nodes.get(name)
        if node is not None and node.failed:
            continue
        if isinstance(facts, Unknown):
            yield finding("FACTS_UNKNOWN", name, facts.why)
            continue
        asked = {"its preflight": view.preflight.get(name), "its files": view.files.get(name)}
        silent = [f"{what}: {why.why}" for what, why in asked.items() if isinstance(why, Unknown)]
        if silent:
            yield finding("FACTS_UNKNOWN", name, "; ".join(silent))


def units(view: ClusterView) -> Iterator[Finding]:
    for name, facts in _known(view).items():
        down = [f"{u} is {s}" for u, s in facts.units.items() if s in _NOT_RUNNING and (u, s) not in _RESTS]
        if down:
            yield finding("UNIT_NOT_RUNNING", name, ", ".join(down))


def clocks(view: ClusterView) -> Iterator[Finding]:
    for name, facts in _known(view).items():
        if facts.clock_offset is not None and abs(facts.clock_offset) - facts.clock_doubt > MAX_SKEW:
            side = "ahead of" if facts.clock_offset > 0 else "behind"
            yield finding("CLOCK_SKEW", name, f"{abs(facts.clock_offset):.1f} s {side} this machine")


def disks(view: ClusterView) -> Iterator[Finding]:
    for name, facts in _known(view).items():
        for disk in facts.disks:
            if disk.free_ratio < MIN_FREE:
                detail = f"{disk.path}: {disk.free} free of {disk.total}"
                yield finding("DISK_NEARLY_FULL", name, detail)


def versions(spec: ClusterSpec, view: ClusterView) -> Iterator[Finding]:
    for package, role in _COMPARED.items():
        nodes = spec.nodes if role is None else spec.having(role)
        seen: dict[str, list[str]] = {}
        for name, facts in _known(view).items():
            if name in nodes and package in facts.versions:
                seen.setdefault(facts.versions[package], []).append(name)
        if len(seen) > 1:
            said = "; ".join(f"{v} on {', '.join(n)}" for v, n in sorted(seen.items()))
            yield finding("VERSIONS_DIFFER", package, said)


def certificates(view: ClusterView) -> Iterator[Finding]:
    if isinstance(view.certificates, Unknown):
        yield finding("SOURCE_UNKNOWN", "certificates", view.certificates.why)
        return
    codes = {
        CertState.EXPIRED: "CERT_EXPIRED",
        CertState.EXPIRING: "CERT_EXPIRING",
        CertState.UNFIT: "CERT_UNFIT",
    }
    for cert in view.certificates:
        if cert.state in codes:
            yield finding(codes[cert.state], cert.node, f"{cert.use}: {cert.why}")


def files(view: ClusterView) -> Iterator[Finding]:
    for name, found in view.files.items():
        if found and not isinstance(found, Unknown):
            more = f", and {len(found) - SHOWN} more" if len(found) > SHOWN else ""
            yield finding("FILES_DIFFER", name, ", ".join(found[:SHOWN]) + more)


def dynamic_config(view: ClusterView, wanted: Wanted) -> Iterator[Finding]:
    """Against etcd, and what the servers run with; what waits for a restart is a finding of its own."""
    configs = [p.config for p in view.patroni.values() if not isinstance(p.config, Unknown)]
    if not configs:
        return
    found = configs[0]
    if reason := _no_rewind(found):
        yield finding("REWIND_IMPOSSIBLE", detail=reason)
    running = {node: Running(server.settings) for node, server in servers(view).items()}
    said = [
        f"{f'{d.where}: ' if d.where else ''}{d.name} is {_short(d.found)}, wanted {_short(d.wanted)}"
        + (f" ({d.detail})" if d.detail else "")
        for d in deviations(wanted, found, running)
        if d.kind is not Kind.PENDING
    ]
    if said:
        yield finding("CONFIG_DRIFT", detail=", ".join(said))


def _no_rewind(config: Mapping[str, object]) -> str:
    """Patroni rewinds when told to, and pg_rewind needs hint bits in the WAL or checksums."""
    postgresql = config.get("postgresql")
    if not isinstance(postgresql, dict) or postgresql.get("use_pg_rewind") is not True:
        return "use_pg_rewind is not set"
    parameters = postgresql.get("parameters")
    hints = parameters.get("wal_log_hints") if isinstance(parameters, dict) else None
    return "" if str(hints).lower() in {"on", "true"} else "wal_log_hints is not on"


def _short(value: str) -> str:
    text = value or "not set"
    return text if len(text) <= 60 else f"{text[:57]}..."
