"""Brings a lab into the way of running that a run needs, and says when it is fit for a fault."""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Mapping
from contextlib import ExitStack
from dataclasses import dataclass, field
from typing import Any, ClassVar, Final

from hactl import layout
from hactl.drill.session import Session
from hactl.errors import HactlError, Unreachable
from hactl.lab import faults, faults_disk, faults_process
from hactl.lab.lab import Lab
from tests.bench.failover_cases import DEFAULTS, PATRONICTL, Variant
from tests.support import control, etcd_leader
from tests.support.labs import Site

POSTGRES: Final = "/usr/lib/postgresql/15/bin/postgres"
READY_WITHIN: Final = 240.0
CALM: Final = 1.0  # seconds that it must stay so
_STREAMING: Final = (
    "select count(*) from pg_stat_replication where state = 'streaming' and sync_state in ('sync', 'quorum')"
)


def settled(lacks: Callable[[], str], within: float = READY_WITHIN) -> None:
    """Until nothing has been lacking for a while. Raises Unreachable with what is."""
    since, deadline = None, time.monotonic() + within
    while True:
        lacking = lacks()
        now = time.monotonic()
        since = None if lacking else since or now
        if since is not None and now - since >= CALM:
            return
        if now >= deadline:
            raise Unreachable(f"not fit for a fault within {within:g} s: {lacking}")
        time.sleep(0.5)


def streams_to_standby(lab: Lab, node: str) -> bool:
    """Whether PostgreSQL there has a synchronous standby that streams. Raises HactlError: no answer."""
    argv = ["runuser", "-u", "postgres", "--", "psql", "-XAtc", _STREAMING]
    return lab.exec(node, argv, within=3).out.strip() == "1"


@dataclass
class Modes:
    """Remembers what is set, so that a change happens only where there is one."""

    waived: ClassVar[frozenset[str]] = frozenset()

    site: Site
    now: Variant | None = None
    bmc: bool = True  # whether the spec on the nodes names fence agents
    _without: ExitStack = field(default_factory=ExitStack)

    @property
    def lab(self) -> Lab:
        return self.site.lab

    def enter(self, variant: Variant) -> None:
        """Heals everything, switches over to `variant` and waits until the pair is fit for a fault.

        Raises Unreachable with what is missing.
        """
        self._heal_machines()
        if self.now is None or self.now.settings != variant.settings:
            self._settings(variant.settings)
        if self.now is None or self.now.hactl != variant.hactl:
            act = faults_process.start_hactl if variant.hactl else faults_process.stop_hactl
            act(self.lab, faults_process.ALL)
        if variant.hactl:
            self._fence_agents(there=variant.bmc)
        self.now = variant
        control.forget_limits(self.lab)
        self.ready()

    def session(self, name: str) -> Session:
        return self.site.session(name)

    def copy_anew(self) -> None:
        """The standby, where it did not come back by itself: every later run would only say so again."""
        if not self.redundant():
            primary, standby = self.primary_and_standby()
            argv = [*PATRONICTL, "reinit", self.lab.spec.cluster, standby, "--force"]
            self.lab.exec(primary, argv, within=60, check=False)

    def facts(self) -> dict[str, Any]:
        """What may decide how long it takes, just before the fault."""
        return {"etcd_leader": etcd_leader.holder(self.lab)}

    def versions(self) -> dict[str, str]:
        node = next(iter(self.lab.spec.databases))
        asked = {
            "patroni": [PATRONICTL[0], "version"],
            "etcd": ["etcd", "--version"],
            "postgres": [POSTGRES, "--version"],
            "keepalived": ["sh", "-c", "keepalived --version 2>&1"],
            # What is deployed may be older than this checkout; the name ends with a hash of it.
            "hactl": ["sh", "-c", 'basename "$(readlink -f /opt/hactl)"'],
        }
        return {name: self.lab.exec(node, argv).out.splitlines()[0] for name, argv in asked.items()}

    def let_go(self, victim: str) -> None:
        """A frozen postmaster goes on."""
        faults_process.thaw_postgres(self.lab, victim)

    def leave(self) -> None:
        """As `hactl deploy` had left it."""
        faults.heal(self.lab)
        if self.now is None or self.now.settings is not None:
            self._settings(None)
        self._fence_agents(there=True)

    def _heal_machines(self) -> None:
        """Not `faults.heal`: that would start a stopped hactl."""
        faults_disk.release_all(self.lab)
        self.lab.heal()

    def ready(self) -> None:
        settled(self.lacks)

    def lacks(self) -> str:
        """What keeps the pair from being fit for the next fault; empty when nothing does."""
        status = self.site.status()
        base, vip = status["database"], status["database"]["vip"]
        standbys = [m for m in base["members"] if m["role"] == "standby"]
        if base["primary"] is None or vip["holder"] != base["primary"]:
            return f"primary {base['primary']}, VIP on {vip['holder']}"
        if not any(m["sync"] and m["state"] == "streaming" and m["lag_bytes"] == 0 for m in standbys):
            return f"standbys {standbys}"
        if not status["etcd"]["healthy"]:
            return "etcd is not whole"
        if self.now and self.now.hactl and status["verdict"] != "healthy":
            return "; ".join(f"{r['code']} {r['subject']}: {r['detail']}" for r in status["reasons"])
        return ""

    def primary_and_standby(self) -> tuple[str, str]:
        primary = self.site.status()["database"]["primary"]
        if primary is None:
            raise Unreachable("there is no primary")
        return primary, next(n for n in self.lab.spec.databases if n != primary)

    def redundant(self) -> bool:
        """Whether the primary has a synchronous standby that streams. A thawed old one may think it has."""
        try:
            node, _ = self.primary_and_standby()
            return streams_to_standby(self.lab, node)
        except HactlError:
            return False

    def _settings(self, wanted: Mapping[str, int] | None) -> None:
        node = next(iter(self.lab.spec.databases))
        if wanted is None:
            ours: dict[str, Any] = json.loads(self.lab.exec(node, ["cat", str(layout.DCS_CONFIG)]).out)
            wanted = {key: ours[key] for key in DEFAULTS}
        words = [word for key, value in wanted.items() for word in ("-s", f"{key}={value}")]
        argv = [*PATRONICTL, "edit-config", self.lab.spec.cluster, "--force", "--quiet", *words]
        self.lab.exec(node, argv, within=60)
        time.sleep(2 * DEFAULTS["loop_wait"])  # every member has read it, and the lease in etcd is a new one

    def _fence_agents(self, *, there: bool) -> None:
        """The spec that the controllers read names fence agents, or none."""
        if there == self.bmc:
            return
        if there:
            self._without.close()
        else:
            self._without.enter_context(control.without_fence_agents(self.lab))
        self.bmc = there
