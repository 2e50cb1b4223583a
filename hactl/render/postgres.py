"""PostgreSQL under Patroni: configuration, roles, unit."""

from __future__ import annotations

from collections.abc import Iterator

from hactl import layout
from hactl.render import patroni, roles
from hactl.render.engine import header, json_document, text, yaml_document
from hactl.render.secrets import RenderSecrets
from hactl.render.targets import RenderedFile
from hactl.spec.model import ClusterSpec

UNIT = "patroni.service"


def render(spec: ClusterSpec, secrets: RenderSecrets) -> tuple[RenderedFile, ...]:
    """The database nodes' files. A changed configuration is reloaded; Patroni says when it needs more."""
    return tuple(f for node in spec.databases for f in _files(spec, node, secrets))


def _files(spec: ClusterSpec, node: str, secrets: RenderSecrets) -> Iterator[RenderedFile]:
    head = header(node, spec.cluster)
    yield RenderedFile(
        node=node,
        path=str(layout.PATRONI_CONFIG),
        content=yaml_document(patroni.local(spec, node, secrets), head),
        component="postgres",
        mode="0640",
        group="postgres",
        on_change="reload",
        unit=UNIT,
        secret=True,
    )
    yield RenderedFile(
        node=node,
        path=str(layout.DCS_CONFIG),
        content=json_document(patroni.dynamic(spec)),
        component="postgres",
    )
    yield RenderedFile(
        node=node,
        path=str(layout.ROLES_SQL),
        content=roles.roles_sql(spec, secrets),
        component="postgres",
        mode="0640",
        group="postgres",
        secret=True,
    )
    yield _script(spec, node, head)
    yield _unit(spec, node, head)


def _unit(spec: ClusterSpec, node: str, head: str) -> RenderedFile:
    content = text(
        "postgres/patroni.service.j2",
        header=head,
        node=node,
        cluster=spec.cluster,
        venv=layout.PATRONI_VENV,
        config=layout.PATRONI_CONFIG,
        lib=layout.LIB,
        ledger=layout.LEDGER,
    )
    return RenderedFile(
        node=node,
        path=str(layout.SYSTEMD / UNIT),
        content=content,
        component="postgres",
        on_change="restart",
        unit=UNIT,
    )


def _script(spec: ClusterSpec, node: str, head: str) -> RenderedFile:
    version = spec.database.version
    content = text(
        "postgres/stop-leftover.j2",
        header=head,
        pg_bin=layout.pg_bin(version),
        pg_data=layout.pg_data(version),
    )
    return RenderedFile(
        node=node, path=str(layout.LIB / "stop-leftover"), content=content, component="postgres", mode="0755"
    )
