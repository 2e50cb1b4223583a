"""The control plane's units: the agent on each node, the controller on database nodes and witness."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, Final

from hactl import layout
from hactl.render import archive_guard, engine
from hactl.render.engine import header
from hactl.render.secrets import RenderSecrets
from hactl.render.targets import RenderedFile
from hactl.spec.model import ClusterSpec

AGENT: Final = "hactl-agent.service"
CONTROLLER: Final = "hactl-controller.service"
OPEN_SERVICE: Final = "hactl-open.service"
OPEN_TIMER: Final = "hactl-open.timer"
TLS_SERVICE: Final = "hactl-tls-check.service"
TLS_TIMER: Final = "hactl-tls-check.timer"
ALERTMANAGER: Final = "prometheus-alertmanager.service"
OWNER: Final = "hactl"  # the services' account; that for SSH is the spec's and may have another name
ALERTMANAGER_DATA: Final = "/var/lib/prometheus/alertmanager"  # Debian's package makes it
TMPFILES: Final = "/etc/tmpfiles.d/hactl.conf"


def units(spec: ClusterSpec, node: str) -> tuple[str, ...]:
    """The node's own units of hactl that run all the time."""
    return (AGENT, CONTROLLER) if node in spec.voters else (AGENT,)


def render(spec: ClusterSpec, secrets: RenderSecrets) -> Iterator[RenderedFile]:
    """Units, what they find at boot, and the fence devices' password."""
    for node in spec.nodes:
        yield from _agent(spec, node)
    for node in spec.voters:
        yield from _controller(spec, node, secrets)
    for node in spec.witnesses:
        yield _alertmanager(spec, node)
        yield from _tls_check(spec, node)


def _values(spec: ClusterSpec, node: str) -> dict[str, Any]:
    return {
        "header": header(node, spec.cluster), "node": node, "cluster": spec.cluster,
        "database": node in spec.databases, "owner": OWNER, "program": layout.VENV / "bin/hactl",
        "open_lease": layout.OPEN_LEASE, "canary": layout.CANARY, "run": layout.RUN,
        "track": layout.TRACK_FILE, "state": layout.STATE, "agent": AGENT, "service": OPEN_SERVICE,
        "tmpfiles": TMPFILES, "archive": node in spec.archives, "archive_track": layout.ARCHIVE_TRACK,
        "own_track": layout.ARCHIVE_TRACK if node in spec.archives else layout.TRACK_FILE,
        "release_archive": archive_guard.RELEASE,
    }  # fmt: skip


def _agent(spec: ClusterSpec, node: str) -> Iterator[RenderedFile]:
    values = _values(spec, node)
    yield _unit(node, AGENT, engine.text("agent/hactl-agent.service.j2", **values), AGENT)
    yield RenderedFile(
        node=node, path=TMPFILES, content=engine.text("agent/tmpfiles.conf.j2", **values), component="agent"
    )
    if node in spec.databases:
        # The timer stands for both: systemd starts the service by itself.
        service = engine.text("agent/hactl-open.service.j2", **values)
        yield _unit(node, OPEN_SERVICE, service, OPEN_TIMER)
        yield _unit(node, OPEN_TIMER, engine.text("agent/hactl-open.timer.j2", **values), OPEN_TIMER)


def _unit(node: str, name: str, content: str, restarts: str) -> RenderedFile:
    return RenderedFile(
        node=node, path=str(layout.SYSTEMD / name), content=content, component="agent",
        on_change="restart", unit=restarts,
    )  # fmt: skip


def _tls_check(spec: ClusterSpec, node: str) -> Iterator[RenderedFile]:
    """The daily proof that every port refuses what it must; the timer stands for both."""
    values = {**_values(spec, node), "service": TLS_SERVICE}
    yield _unit(node, TLS_SERVICE, engine.text("controller/hactl-tls-check.service.j2", **values), TLS_TIMER)
    yield _unit(node, TLS_TIMER, engine.text("controller/hactl-tls-check.timer.j2", **values), TLS_TIMER)


def _controller(spec: ClusterSpec, node: str, secrets: RenderSecrets) -> Iterator[RenderedFile]:
    yield RenderedFile(
        node=node, path=str(layout.SYSTEMD / CONTROLLER), component="controller",
        content=engine.text("controller/hactl-controller.service.j2", **_values(spec, node)),
        on_change="restart", unit=CONTROLLER,
    )  # fmt: skip
    if str(layout.BMC) in password_files(spec):
        yield RenderedFile(
            node=node, path=str(layout.BMC), component="controller", content=f"{secrets.bmc}\n",
            mode="0600", owner=OWNER, group=OWNER, secret=True,
        )  # fmt: skip


def password_files(spec: ClusterSpec) -> frozenset[str]:
    """What the fence agents read. /etc/hactl/bmc is hactl's own to write, every other file is the site's."""
    options = (agent.options.get("password_file") for agent in spec.fencing.agents.values())
    return frozenset(str(path) for path in options if path is not None)


def _alertmanager(spec: ClusterSpec, node: str) -> RenderedFile:
    content = engine.text(
        "alertmanager/dropin.conf.j2",
        header=header(node, spec.cluster),
        config=layout.ALERTMANAGER_CONFIG,
        data=ALERTMANAGER_DATA,
        port=layout.PORT_ALERTMANAGER,
    )
    return RenderedFile(
        node=node, path=str(layout.SYSTEMD / f"{ALERTMANAGER}.d" / "hactl.conf"), component="alertmanager",
        content=content, on_change="restart", unit=ALERTMANAGER,
    )  # fmt: skip
