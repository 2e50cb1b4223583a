"""The fencing lease on database nodes: the kernel's table, what opens it without an agent, what root does."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

from hactl import layout
from hactl.render import acts, archive_guard
from hactl.render.engine import header, text
from hactl.render.secrets import RenderSecrets
from hactl.render.targets import RenderedFile
from hactl.spec.model import ClusterSpec

# What is refused on behalf of a dead host: all that Patroni and PostgreSQL here would otherwise wait for.
DEAD_PORTS: Final = (layout.PORT_POSTGRES, layout.PORT_PATRONI, layout.PORT_ETCD_CLIENT)
READY: Final = layout.RUN / "ready"
LOCK: Final = layout.RUN / "agent.lock"


def render(spec: ClusterSpec, _secrets: RenderSecrets) -> Iterator[RenderedFile]:
    """The agent's root acts on every node, table and opener on database nodes."""
    for node in spec.nodes:
        yield _script(
            node,
            str(layout.ACT),
            text(
                "agent/act.j2",
                header=header(node, spec.cluster),
                verbs=list(acts.verbs(spec, node)),
                units=list(acts.units(spec, node)),
                wake=layout.LIB / "wake",
                patronictl=layout.PATRONI_VENV / "bin/patronictl",
                patroni_config=layout.PATRONI_CONFIG,
                cluster=spec.cluster,
                node=node,
                archive=node in spec.archives,
                orthanc_config=layout.ORTHANC_CONFIG,
                probe_patient=archive_guard.probe_patient(node),
                redeploy=archive_guard.REDEPLOY_UNIT,
                redeployed=archive_guard.REDEPLOYED,
            ),
        )
    for node in spec.databases:
        yield _table(spec, node)
        yield _script(node, str(layout.OPEN_LEASE), _opener(spec, node), ("/bin/sh", "-n", "%s"))


def _script(node: str, path: str, content: str, validate: tuple[str, ...] | None = None) -> RenderedFile:
    return RenderedFile(
        node=node, path=path, content=content, component="agent", mode="0755", validate=validate
    )


def _table(spec: ClusterSpec, node: str) -> RenderedFile:
    """Loaded at boot by hactl-rules.service, and by the agent: a new one takes effect with its next start."""
    content = text(
        "agent/lease.nft.j2",
        header=header(node, spec.cluster),
        vip=spec.vips.database.address.ip,
        postgres=layout.PORT_POSTGRES,
        dead=DEAD_PORTS,
    )
    return RenderedFile(
        node=node,
        path=str(layout.LEASE_RULES),
        content=content,
        component="agent",
        validate=("/usr/sbin/nft", "-c", "-f", "%s"),
    )


def _opener(spec: ClusterSpec, node: str) -> str:
    own = f"{layout.HACTL_NAMESPACE}/{spec.cluster}"
    others = [str(voter.address) for name, voter in spec.voters.items() if name != node]
    vip = spec.vips.database
    return text(
        "agent/open-lease.j2",
        header=header(node, spec.cluster),
        node=node,
        ready=READY,
        lock=LOCK,
        port=layout.PORT_ETCD_CLIENT,
        pki=layout.PKI,
        fence=f"{own}/fence/{node}",
        mode=f"{own}/mode/{node}",
        voters=[str(spec.nodes[node].address), *others],
        open_file=layout.OPEN_FILE,
        open_run=layout.OPEN_RUN,
        vip=vip.address.ip,
        address=vip.address,
        interface=vip.interface,
        track=layout.TRACK_FILE,
    )
