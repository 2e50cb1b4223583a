"""Every file of every node, from the spec and the secrets. Pure and deterministic."""

from __future__ import annotations

from collections.abc import Callable, Iterable

from hactl.render import (
    alertmanager,
    archive_checks,
    archive_guard,
    base,
    control,
    etcd,
    hactl,
    integrity,
    keepalived,
    lease,
    nginx,
    orthanc,
    postgres,
    prometheus,
)
from hactl.render.manifest import manifest
from hactl.render.secrets import RenderSecrets
from hactl.render.targets import RenderedFile
from hactl.spec.model import ClusterSpec

Renderer = Callable[[ClusterSpec, RenderSecrets], Iterable[RenderedFile]]

# One function per component, in the order in which they are installed.
RENDERERS: tuple[Renderer, ...] = (
    base.render,
    hactl.render,
    etcd.render,
    postgres.render,
    control.render,
    lease.render,
    archive_guard.render,
    keepalived.render,
    archive_checks.render,
    orthanc.render,
    nginx.render,
    integrity.render,
    prometheus.render,
    alertmanager.render,
)


def render(spec: ClusterSpec, secrets: RenderSecrets) -> tuple[RenderedFile, ...]:
    """All files, by node in the spec's order, then by path; each node's manifest among them.

    Raises:
        ValueError: two components claim the same file (a bug, caught before anything is written).

    """
    found = [file for renderer in RENDERERS for file in renderer(spec, secrets)]
    places = [(f.node, f.path) for f in found]
    twice = sorted({p for p in places if places.count(p) > 1})
    if twice:
        raise ValueError(f"rendered by two components: {twice}")
    ordered: list[RenderedFile] = []
    for node in spec.nodes:
        mine = [f for f in found if f.node == node]
        ordered += sorted((*mine, manifest(node, mine)), key=lambda f: f.path)
    return tuple(ordered)
