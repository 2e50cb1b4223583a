"""The daily TLS check as it runs on the witness, against the rendered etcd, Patroni and PostgreSQL."""

from __future__ import annotations

import json
import os
import shutil
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

import hactl as hactl_package
from hactl import layout
from hactl.pki.expired import FOLDER, NAMES
from hactl.view.journal import parse_lines, records
from hactl.view.journal_check import verify
from hactl.view.parse.tls import parse_tls_check
from tests.support.mini import Mini, mini_installation
from tests.support.servers import program, wait_until

pytestmark = pytest.mark.lab  # namespaces, as root

VOTERS = ("db1", "db2", "wit1")
# A /var/lib of its own, in which the account hactl has its folder; then the program as that account.
_AS_HACTL = """
set -e
mount -t tmpfs tmpfs /var/lib
mkdir -m 0750 /var/lib/hactl
chown hactl:hactl /var/lib/hactl
code=0
setpriv --reuid hactl --regid hactl --init-groups env HOME=/nonexistent "$@" || code=$?
[ ! -e "$0" ] || { echo; cat "$0"; }
exit $code
"""


@pytest.fixture(scope="module")
def mini() -> Iterator[Mini]:
    etcd = program("etcd", "etcd-server")
    program(str(layout.pg_bin(15) / "postgres"), "postgresql-15")
    with mini_installation() as found:
        _expired(found)
        for node in VOTERS:
            found.start(node, [etcd, "--config-file", str(layout.ETCD_CONFIG)], user="etcd")
        # Before that Patroni ends with an error; on a node systemd starts it anew.
        wait_until("etcd agrees on its version", lambda: _etcd_version(found) == "3.4.0", 30)
        for node in ("db1", "db2"):
            assert found.exec(node, ["nft", "-f", str(layout.NFT_RULES)]).returncode == 0
        patroni = str(Path(sys.executable).parent / "patroni")
        found.start("db1", [patroni, str(layout.PATRONI_CONFIG)], user="postgres")
        try:
            wait_until("PostgreSQL takes writes", lambda: _writes(found), 120)
        except AssertionError as error:
            raise AssertionError(f"{error}\n{found.log('db1', 'patroni')}") from error
        yield found


def _expired(mini: Mini) -> None:
    """As `deploy` installs them on the witness."""
    for name in NAMES.values():
        target = mini.folder / "wit1/tree/etc/hactl/pki" / name
        target.write_bytes((mini.folder / "state" / FOLDER / name).read_bytes())
        target.chmod(0o600)
        owner = target.with_name("hactl.key").stat()
        os.chown(target, owner.st_uid, owner.st_gid)


def _etcd_version(mini: Mini) -> str:
    key = ["--cert", f"{layout.PKI}/hactl.crt", "--key", f"{layout.PKI}/hactl.key"]
    curl = [program("curl", "curl"), "-qsS", "--max-time", "2", "--cacert", f"{layout.PKI}/ca.crt", *key]
    said = mini.exec("wit1", [*curl, "https://127.0.0.1:2379/version"], user="hactl").stdout
    return str(json.loads(said)["etcdcluster"]) if said else ""


def _writes(mini: Mini) -> bool:
    said = mini.exec("db1", ["psql", "-XAt", "-c", "SELECT pg_is_in_recovery()"], user="postgres")
    return said.stdout.strip() == "f"


def checked(mini: Mini) -> tuple[int, dict[str, Any], str]:
    """Exit code, the answer, and the evidence."""
    # A copy: where this tree lies, in root's home perhaps, the account hactl need not be able to read it.
    code = mini.folder / "code"
    if not code.exists():
        shutil.copytree(Path(hactl_package.__file__).parent, code / "hactl")
    words = ["-m", "hactl", "--output", "json", "tls", "check", "--record"]
    hactl = ["env", f"PYTHONPATH={code}", "PYTHONDONTWRITEBYTECODE=1", sys.executable, *words]
    argv = ["sh", "-c", _AS_HACTL, str(layout.TLS_EVIDENCE), *hactl]
    done = mini.exec("wit1", argv, within=240)
    answer, end = json.JSONDecoder().raw_decode(done.stdout) if done.stdout else ({}, 0)
    assert answer, done.stderr
    return done.returncode, answer, done.stdout[end:]


def test_the_rendered_voters_refuse_all_that_they_must(mini: Mini) -> None:
    code, answer, evidence = checked(mini)
    assert answer["from"] == "wit1"
    found = {f"{e['name']} {e['speaks']}": e for e in answer["endpoints"]}
    etcd = [f"{node} {port}" for node in VOTERS for port in ("etcd", "etcd-peer")]
    for name in ("db1 patroni", "db1 postgres", *etcd):
        assert found[name]["verdict"] == "ok", found[name]
    # Nothing else runs here, and that is told as it is.
    assert {e["verdict"] for e in found.values()} == {"ok", "unproven"}
    assert code == 4
    lines = parse_lines(evidence.strip().splitlines())
    assert verify(lines) == ()
    kept = records(lines)
    assert [r.data.get("endpoint") for r in kept] == [*found, None]
    told = mini.exec("wit1", [*_ETCDCTL, "get", "--print-value-only", "/hactl/demo/tls-check"]).stdout
    assert (parse_tls_check(told).seq, parse_tls_check(told).hash) == (kept[-1].seq, kept[-1].hash)
    assert parse_tls_check(told).unproven_count == sum(e["verdict"] == "unproven" for e in found.values())


_ETCDCTL = [
    "env", "ETCDCTL_API=3", "etcdctl", "--endpoints", "https://127.0.0.1:2379",
    "--cacert", "/etc/hactl/pki/ca.crt", "--cert", "/etc/hactl/pki/hactl.crt",
    "--key", "/etc/hactl/pki/hactl.key",
]  # fmt: skip
