"""Makes the lab of pg_auto_failover: two data nodes and a monitor, from the same image as hactl's nodes.

Debian's packages go into these three machines' own disks, so that no node of the product has ever seen them.
"""

from __future__ import annotations

import base64
from collections.abc import Callable
from pathlib import Path
from typing import Final

from hactl import resources
from hactl.adapters.command import run
from hactl.deploy.desired import render_secrets
from hactl.lab import down as lab_down
from hactl.lab.lab import Lab
from hactl.lab.up import up
from hactl.lab.wait import wait_until
from hactl.pki.store import Store
from hactl.render.roles import roles_sql
from tests.bench.peers import pgaf_commands as pgaf

NAME: Final = "peers"
CACHE: Final = Path("/var/cache/hactl/peers")
STEP: Final = 120.0  # seconds for any command here
_PUT: Final = 'base64 -d >"$1"'
# $1 the file, $2 its mode: content from standard input, for postgres.
_WRITE: Final = 'umask 077 && cat >"$1" && chown postgres: "$1" && chmod "$2" "$1"'
_WIPE: Final = f"""
systemctl disable --now {pgaf.UNIT}
systemctl stop {pgaf.MAKE}
rm -rf {pgaf.DATA} {pgaf.HOME}/.config/pg_autoctl {pgaf.HOME}/.local/share/pg_autoctl /tmp/pg_autoctl
rm -rf {Path(pgaf.DATA).parent}/backup
rm -f /etc/systemd/system/{pgaf.UNIT}
install -d -o postgres -g postgres {pgaf.HOME} {Path(pgaf.DATA).parent}
"""

Say = Callable[[str], None]


def ensure(say: Say) -> Lab:
    """The lab, its machines with the packages, and the pair; what is there stays.

    Raises:
        StepFailed, Unreachable: a step failed.

    """
    source = resources.folder("templates") / "lab" / "cluster.yaml"
    text = source.read_text(encoding="utf-8")
    lab = up(NAME, text, str(source), say, only=("db1", "db2", "wit1"))
    for node in lab.nodes:
        if lab.exec(node, ["test", "-x", "/usr/bin/pg_autoctl"], check=False).code != 0:
            say(f"packages on {node}")
            _install(lab, node)
    if any(lab.exec(n, ["systemctl", "is-enabled", pgaf.UNIT], check=False).code for n in lab.nodes):
        make(lab, say)
    return lab


def remove(say: Say) -> None:
    lab_down.down(NAME, say)


def make(lab: Lab, say: Say) -> None:
    """The pair from nothing; what was there is gone."""
    at = pgaf.monitor(lab)
    for node in lab.nodes:
        lab.exec(node, ["sh", "-c", _WIPE], within=STEP, check=False)
        _credentials(lab, node)
    say(f"monitor on {at}")
    lab.exec(at, pgaf.create_monitor(_address(lab, at)), within=STEP)
    _start(lab, at, "pg_auto_failover")
    first, *others = lab.spec.databases
    for node in (first, *others):
        say(f"PostgreSQL on {node}")
        created = pgaf.create_node(node, _address(lab, node), _address(lab, at))
        lab.exec(node, created, within=STEP)
        _start(lab, node, "postgres")
        if node == first:
            sql = roles_sql(lab.spec, render_secrets(Store(lab.folder.state)))
            lab.exec(node, pgaf.psql("postgres"), within=STEP, stdin=sql)
            # The standby's copy begins with a checkpoint that takes its time: 188 s for a new cluster.
            lab.exec(node, pgaf.psql("postgres", "checkpoint"), within=STEP)


def _address(lab: Lab, node: str) -> str:
    return str(lab.spec.nodes[node].address)


def _start(lab: Lab, node: str, database: str) -> None:
    """Its access rules and own settings, then its unit as pg_autoctl writes it; until it answers."""
    nodes = {name: _address(lab, name) for name in lab.spec.databases}
    _write(lab, node, f"{pgaf.DATA}/pg_hba.conf", pgaf.hba(nodes, _address(lab, pgaf.monitor(lab))))
    config = f"{pgaf.DATA}/postgresql.conf"
    include = f"include_if_exists = '{pgaf.OWN}'"
    found = lab.exec(node, ["cat", config]).out
    if include not in found:
        _write(lab, node, config, f"{found}\n{include}\n")
    unit = lab.exec(node, [*pgaf.autoctl("show", "systemd"), "-q"]).out
    lab.exec(node, ["sh", "-c", f"cat >/etc/systemd/system/{pgaf.UNIT}"], stdin=unit)
    lab.exec(node, ["systemctl", "daemon-reload"])
    lab.exec(node, ["systemctl", "enable", "--now", pgaf.UNIT], within=STEP)
    asked = pgaf.psql(database, "select 1")
    wait_until(
        lambda: lab.exec(node, asked, within=10, check=False).code == 0,
        within=STEP,
        say=lambda: f"PostgreSQL on {node} does not answer within {STEP:g} s",
    )


def _credentials(lab: Lab, node: str) -> None:
    """The certificates that the same machine would have under hactl: clients verify them."""
    lab.exec(node, ["install", "-d", "-m", "0755", pgaf.FOLDER])
    store = Store(lab.folder.state)
    crt, key = store.cert(node, "postgres" if node in lab.spec.databases else "metrics")
    _write(lab, node, pgaf.CA, store.ca.read_text(encoding="ascii"), "0644")
    _write(lab, node, pgaf.CERT, crt.read_text(encoding="ascii"), "0644")
    _write(lab, node, pgaf.KEY, key.read_text(encoding="ascii"))
    _write(lab, node, pgaf.OWN, pgaf.own_settings(node), "0644")


def _write(lab: Lab, node: str, path: str, text: str, mode: str = "0600") -> None:
    lab.exec(node, ["sh", "-c", _WRITE, "write", path, mode], stdin=text)


def _install(lab: Lab, node: str) -> None:
    files = packages()
    for file in files:
        content = base64.b64encode(file.read_bytes()).decode("ascii")
        lab.exec(node, ["sh", "-c", _PUT, "put", f"/root/{file.name}"], stdin=content)
    lab.exec(node, ["dpkg", "--install", *(f"/root/{file.name}" for file in files)], within=STEP)


def packages() -> list[Path]:
    """Debian's, from this machine's own apt sources. Raises StepFailed: apt has them not."""
    CACHE.mkdir(mode=0o755, parents=True, exist_ok=True)
    if len(list(CACHE.glob("*.deb"))) < len(pgaf.PACKAGES):
        run(["apt-get", "-qq", "download", *pgaf.PACKAGES], within=STEP, cwd=CACHE)
    return sorted(CACHE.glob("*.deb"))
