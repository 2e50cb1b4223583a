"""Everything that shall lie on the nodes, from the spec and the state folder."""

from __future__ import annotations

from dataclasses import dataclass, field

from hactl.deploy import credentials
from hactl.pki.store import Store
from hactl.render.all import render
from hactl.render.secrets import RenderSecrets
from hactl.render.targets import RenderedFile
from hactl.spec.model import ClusterSpec


@dataclass(frozen=True)
class Desired:
    """`files` of all nodes, certificates and keys among them; `mask`: values that must never be shown."""

    files: tuple[RenderedFile, ...] = field(repr=False)
    mask: tuple[str, ...] = field(repr=False)


def render_secrets(store: Store) -> RenderSecrets:
    """The state folder's secrets in the form that rendering takes. Raises Refused when they are missing."""
    found = store.secrets()
    return RenderSecrets(
        replicator=found.replicator.value,
        rewind=found.rewind.value,
        app=found.app.value,
        monitor=found.monitor.value,
        probe=found.probe.value,
        patroni_rest=found.patroni_rest.value,
        orthanc_admin=found.orthanc_admin.value,
        orthanc_ops=found.orthanc_ops.value,
        bmc=found.bmc.value,
        scram=dict(found.scram),
        ssh_public_key=store.ssh_key.with_name(f"{store.ssh_key.name}.pub").read_text().strip(),
    )


def desired(spec: ClusterSpec, store: Store) -> Desired:
    """Raises Refused when the state folder lacks something; `hactl pki init` makes it."""
    secrets = render_secrets(store)
    return Desired((*render(spec, secrets), *credentials.files(spec, store)), secrets.values())
