"""PostgreSQL under Patroni: configuration, roles, unit."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from hactl import layout
from hactl.decide.lastcopy import MIN_FREE
from hactl.render import patroni, roles
from hactl.render.engine import header, json_document, text, yaml_document
from hactl.render.secrets import RenderSecrets
from hactl.render.targets import RenderedFile
from hactl.spec.model import ClusterSpec

UNIT = "patroni.service"
KEPT_SERVICE = "hactl-kept.service"
KEPT_TIMER = "hactl-kept.timer"

LEDGER_WITHIN = 90  # seconds that a rewind or a copy waits for the ledger at most
LEDGER_COPY = 4 * 1024**3  # bytes of divergent WAL that are copied aside at most
LEDGER_SPARE = 0.10  # of the disk is left free by it
REWIND_ENOUGH = 1024**3  # bytes free that are enough for a rewind whatever part of the disk that is
COPY_SPARE = 0.15  # of the disk is left free beside two copies of the database; below it the old one goes

WAKE_WITHIN = 5.0  # seconds for Patroni to answer that it begins a round
SWITCHOVER_WAIT = 2.0  # seconds for a clean shutdown; then Patroni goes on as it does without us

# What Patroni and systemd run besides PostgreSQL's own programs, and the numbers that each goes by.
PROGRAMS: Mapping[str, Mapping[str, float]] = {
    "stop-leftover": {},
    "stale-pid": {},
    "before-stop": {"wait": SWITCHOVER_WAIT},
    "ledger": {"copy_limit": LEDGER_COPY, "spare": LEDGER_SPARE},
    "half-rewound": {},
    "pg-rewind": {"least": MIN_FREE, "enough": REWIND_ENOUGH},
    "clone": {"spare": COPY_SPARE},
    "clean-kept": {"least": COPY_SPARE},
    "wake": {"limit": WAKE_WITHIN},
}


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
    yield from _scripts(spec, node, head)
    yield from _units(spec, node, head)


def _units(spec: ClusterSpec, node: str, head: str) -> Iterator[RenderedFile]:
    values = {"header": head, "node": node, "lib": layout.LIB, "ledger": layout.LEDGER}
    patroni_unit = text(
        "postgres/patroni.service.j2",
        cluster=spec.cluster,
        venv=layout.PATRONI_VENV,
        config=layout.PATRONI_CONFIG,
        **values,
    )
    yield _unit(node, UNIT, patroni_unit, UNIT)
    yield _unit(node, KEPT_SERVICE, text("postgres/hactl-kept.service.j2", **values), KEPT_TIMER)
    yield _unit(node, KEPT_TIMER, text("postgres/hactl-kept.timer.j2", **values), KEPT_TIMER)


def _unit(node: str, name: str, content: str, restarts: str) -> RenderedFile:
    return RenderedFile(
        node=node, path=str(layout.SYSTEMD / name), content=content, component="postgres",
        on_change="restart", unit=restarts,
    )  # fmt: skip


def _scripts(spec: ClusterSpec, node: str, head: str) -> Iterator[RenderedFile]:
    version = spec.database.version
    values = {
        "header": head, "node": node, "lib": layout.LIB, "ledger": layout.LEDGER,
        "handover": layout.HANDOVER_FILE,
        "python": layout.PATRONI_VENV / "bin/python", "config": layout.PATRONI_CONFIG,
        "pg_bin": layout.pg_bin(version), "pg_data": layout.pg_data(version), "within": LEDGER_WITHIN,
    }  # fmt: skip
    for name, more in PROGRAMS.items():
        content = text(f"postgres/{name}.j2", **values, **more)
        yield RenderedFile(
            node=node, path=str(layout.LIB / name), content=content, component="postgres", mode="0755"
        )
