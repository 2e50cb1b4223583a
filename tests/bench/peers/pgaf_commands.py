"""pg_auto_failover's own commands, settings and files. Nothing here decides anything."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any, Final

from hactl import layout
from hactl.lab.lab import Lab

VERSION: Final = 15  # of PostgreSQL; Debian 12's
PACKAGES: Final = ("pg-auto-failover-cli", f"postgresql-{VERSION}-auto-failover", "libncurses6")
PROGRAMS: Final = f"/usr/lib/postgresql/{VERSION}/bin"
HOME: Final = "/var/lib/postgresql"
# The same place as hactl's, so that the lab's faults of single processes find it.
DATA: Final = str(layout.pg_data(VERSION))
UNIT: Final = "pgautofailover.service"
FOLDER: Final = "/etc/peers"
CA, CERT, KEY = (f"{FOLDER}/{name}" for name in ("ca.crt", "server.crt", "server.key"))
OWN: Final = f"{FOLDER}/node.conf"
AS_POSTGRES: Final = (
    "runuser", "-u", "postgres", "--", "env", f"HOME={HOME}", f"PATH={PROGRAMS}:/usr/bin:/bin",
)  # fmt: skip
MAKE: Final = "peers-make"
# In a unit, so that what one leaves behind can be ended.
IN_UNIT: Final = (
    "systemd-run", "--quiet", "--wait", "--collect", "--pipe", f"--unit={MAKE}", "--uid=postgres",
    f"--setenv=HOME={HOME}", f"--setenv=PATH={PROGRAMS}:/usr/bin:/bin",
)  # fmt: skip
TLS: Final = (
    "--ssl-mode", "verify-ca", "--ssl-ca-file", CA, "--server-cert", CERT, "--server-key", KEY,
)  # fmt: skip
# The monitor's settings are milliseconds, its own keepers' seconds. The keeper must have stopped an isolated
# primary before the monitor lets the standby be promoted: 4 s against 5.
TUNED: Final = {
    "health_check_period": 1000,
    "health_check_timeout": 1000,
    "health_check_max_retries": 1,
    "health_check_retry_delay": 500,
    "node_considered_unhealthy_timeout": 4000,
    "primary_demote_timeout": 5000,
}
PARTITION: Final = {"tuned": 4, "defaults": 20}


def monitor(lab: Lab) -> str:
    return next(iter(lab.spec.witnesses))


def autoctl(*words: str) -> list[str]:
    return [*AS_POSTGRES, "pg_autoctl", *words, "--pgdata", DATA]


def psql(database: str, *statements: str) -> list[str]:
    asked = [word for statement in statements for word in ("-c", statement)]
    return [*AS_POSTGRES, "psql", "-XAtq", "-v", "ON_ERROR_STOP=1", "-d", database, *asked]


def create_monitor(address: str) -> list[str]:
    return [*IN_UNIT, "pg_autoctl", "create", "monitor", *_common(address)]


def create_node(name: str, address: str, at: str) -> list[str]:
    url = f"postgres://autoctl_node@{at}:5432/pg_auto_failover?sslmode=verify-ca&sslrootcert={CA}"
    own = ["--name", name, "--listen", "*", "--monitor", url]
    return [*IN_UNIT, "pg_autoctl", "create", "postgres", *_common(address), *own]


def _common(address: str) -> list[str]:
    place = ["--pgdata", DATA, "--pgctl", f"{PROGRAMS}/pg_ctl", "--pgport", "5432", "--hostname", address]
    return [*place, "--skip-pg-hba", *TLS]


def hba(nodes: Mapping[str, str], at: str) -> str:
    """pg_hba.conf, one for all three: they trust each other, clients log in as into hactl's.

    `nodes`: name -> address of the data nodes; `at`: the monitor's.
    """
    lines = ["local all all trust", "host all all 127.0.0.1/32 trust"]
    for address in nodes.values():
        lines.append(f"hostssl pg_auto_failover autoctl_node {address}/32 trust")
        lines.append(f"hostssl all,replication pgautofailover_replicator {address}/32 trust")
    lines.append(f"hostssl all pgautofailover_monitor {at}/32 trust")
    lines.append(f"host all pgautofailover_monitor {at}/32 trust")
    lines.append(f"hostssl {layout.DATABASE_HACTL} {layout.ROLE_PROBE} all scram-sha-256")
    return "".join(f"{line}\n" for line in lines)


def own_settings(node: str) -> str:
    """Outside the data folder: the standby gets a copy of that. It would take a quarter of the memory."""
    return f"hactl.node = '{node}'\nmax_connections = 300\nshared_buffers = 128MB\n"


def tune(kind: str) -> list[str]:
    """The monitor's settings, `tuned` or its `defaults`."""
    if kind == "tuned":
        said = [f"alter system set pgautofailover.{name} = {value}" for name, value in TUNED.items()]
    else:
        said = [f"alter system reset pgautofailover.{name}" for name in TUNED]
    return psql("pg_auto_failover", *said, "select pg_reload_conf()")


def partition(kind: str) -> list[str]:
    return [*autoctl("config", "set"), "timeout.network_partition_timeout", str(PARTITION[kind])]


def switch_over(lab: Lab, _primary: str, _standby: str) -> None:
    """Asked of the monitor. Raises StepFailed: it did not happen."""
    lab.exec(monitor(lab), autoctl("perform", "switchover"), within=90)


def lacking(text: str) -> str:
    """What keeps the pair from being whole, of what `show state --json` says; empty when nothing does."""
    states: list[dict[str, Any]] = json.loads(text)
    found = sorted(f"{s['current_group_state']}>{s['assigned_group_state']}" for s in states)
    whole = found == ["primary>primary", "secondary>secondary"]
    ill = [str(s["nodename"]) for s in states if s.get("health", 1) != 1]
    return "" if whole and not ill else f"states {' '.join(found)}, unhealthy: {' '.join(ill) or 'none'}"
