"""An archive pair on loopback: PostgreSQL with TLS, two Orthancs, two nginxes, all as hactl renders them.

The files are those of tests/samples/cluster.yaml; only places, addresses and ports are moved, so that two
nodes fit on one machine: addresses and VIPs become those of a /24 of 127.0.0.0/8 that no other test uses.
"""

from __future__ import annotations

import contextlib
import dataclasses
import os
import re
import shutil
import socket
import subprocess
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from hactl import layout
from hactl.pki import ca
from hactl.pki.expired import NAMES
from hactl.pki.expired import pem as expired
from hactl.pki.uses import CA_KINDS, CertSpec, certificates, modality
from hactl.render import archive_checks, nginx, orthanc, prometheus
from hactl.render.secrets import RenderSecrets
from hactl.render.targets import RenderedFile
from hactl.spec.model import ClusterSpec
from tests.support import loopback_postgres, postmaster, specs
from tests.support.leftovers import scratch
from tests.support.ports import free_network, free_port
from tests.support.servers import Daemon, program, wait_until

HTTPS = 10443  # no test needs root for a port
SECRETS = RenderSecrets(
    replicator="replicator-pw", rewind="rewind-pw", app="app:p\\w/%", monitor="monitor-pw", probe="probe-pw",
    patroni_rest="rest-pw", orthanc_admin="admin-pw", orthanc_ops="ops-pw", bmc="bmc-pw", scram={},
)  # fmt: skip


def sample() -> ClusterSpec:
    return specs.sample()


def account(name: str) -> dict[str, Any]:
    """Popen's arguments that make it run as `name` when the tests run as root."""
    return {"user": name, "group": name, "extra_groups": []} if os.geteuid() == 0 else {}


@dataclass
class Place:
    """Where one node's files and ports are on this machine."""

    folder: Path
    address: str
    http: int = field(default_factory=free_port)
    dicom: int = field(default_factory=free_port)


@dataclass
class ArchivePair:
    """The running pair. `destination` is the port of the C-MOVE destination of the modality `ops`."""

    folder: Path
    prefix: str
    destination: int
    places: dict[str, Place]
    daemons: dict[str, Daemon] = field(default_factory=dict)

    @property
    def database(self) -> str:
        return f"{self.prefix}.100"

    @property
    def vip(self) -> str:
        return f"{self.prefix}.101"

    def pki(self, node: str, name: str) -> Path:
        return self.places[node].folder / "pki" / name

    def addresses(self, node: str) -> tuple[str, ...]:
        """What nginx of a node listens on: arc1 holds the archive VIP."""
        own = self.places[node].address
        return (own, self.vip) if node == "arc1" else (own,)

    def moved(self, node: str, text: str) -> str:
        """A rendered text with its places, addresses and ports moved to this machine's."""
        place, spec = self.places[node], sample()
        home = str(place.folder)
        for old, new in {
            str(layout.PKI): f"{home}/pki", str(layout.ORTHANC_CONFIG.parent): f"{home}/orthanc",
            str(layout.LIB): f"{home}/lib", spec.archive.storage: str(self.folder / "images"),
            str(layout.NGINX_CONFIG): f"{home}/nginx.conf", "/var/log/nginx": home,
            "/run/nginx.pid": f"{home}/nginx.pid", "user www-data;": _nginx_user(),
            "http {": f"http {{\n{_temporary(home)}",
            "listen 0.0.0.0:443 ssl http2 default_server;": "".join(
                f"listen {a}:{HTTPS} ssl http2;" for a in self.addresses(node)
            ),
        }.items():  # fmt: skip
            text = text.replace(old, new)
        ports = {"8042": place.http, "2762": place.dicom, "11112": self.destination}
        text = re.sub(r"\b(8042|2762|11112)\b", lambda m: str(ports[m[0]]), text)
        text = re.sub(r"\b192\.0\.2\.(13|21|22|100|101)\b", rf"{self.prefix}.\1", text)
        for one in self.places.values():
            text = text.replace(f"{one.address}:443", f"{one.address}:{HTTPS}")
        return text.replace("192.0.2.2", "127.0.0.1")  # the modality `ops` is a program of this machine

    def install(self, file: RenderedFile) -> Path:
        """Put a rendered file where `moved` says, with its rights; owners only as root."""
        target = Path(self.moved(file.node, file.path))
        if not str(target).startswith(str(self.folder)):
            target = self.places[file.node].folder / "root" / file.path.lstrip("/")
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_text(self.moved(file.node, file.content))
        target.chmod(int(file.mode, 8))
        if os.geteuid() == 0:
            shutil.chown(target, file.owner, file.group)
        return target

    def check(self, node: str, script: str) -> subprocess.CompletedProcess[str]:
        """Run one of the node's check scripts as keepalived does."""
        path = self.places[node].folder / "lib" / script
        return subprocess.run([str(path)], capture_output=True, text=True, timeout=20, check=False)

    def start(self, name: str) -> None:
        self.daemons[name].start()

    def stop(self) -> None:
        """Nothing of it is needed any more. nginx and its workers have one process group."""
        for name in reversed(self.daemons):
            if name == "postgres":
                postmaster.end(self.folder / "pg" / "data")
            self.daemons[name].kill()


def _nginx_user() -> str:
    return "user www-data;" if os.geteuid() == 0 else ""


def _temporary(home: str) -> str:
    kinds = ("client_body", "proxy", "fastcgi", "uwsgi", "scgi")
    return "".join(f"    {kind}_temp_path {home}/{kind};\n" for kind in kinds)


_GUESTS = ("ops", "ops-dicom", "postgres", "prometheus", "prometheus-web", "replicator")
_BUNDLES = {"ca": "ca.crt", "dicom-ca": layout.DICOM_CA.name}


def _issue(pair: ArchivePair) -> None:
    """The certificates that hactl makes for the archive nodes, with this machine's addresses.

    Beside them those of some guests, and of the modality `ops` (`modality.crt`).
    """
    spec, now = sample(), datetime.now(UTC)
    authorities = {kind: ca.new_authority(spec.cluster, ca.new_key(), now, kind) for kind in CA_KINDS}
    guests = [next(c for c in certificates(spec) if c.use == use) for use in _GUESTS]
    guests.append(modality(spec, "ops"))
    for node, place in pair.places.items():
        pki = place.folder / "pki"
        pki.mkdir(parents=True)
        for kind, authority in authorities.items():
            (pki / _BUNDLES[kind.use]).write_bytes(ca.certificate_pem([authority.certificate]))
        for kind, authority in authorities.items():
            (pki / NAMES[kind]).write_bytes(expired(authority))
        mine = [c for c in certificates(spec) if c.node == node]
        for wanted in (*mine, *guests):
            _issue_one(pki, authorities[wanted.ca], _local(wanted, pair, place), now)


def _local(wanted: CertSpec, pair: ArchivePair, place: Place) -> CertSpec:
    here = (place.address, pair.database, pair.vip, f"{pair.prefix}.13", "127.0.0.1", "localhost")
    return dataclasses.replace(wanted, sans=here if wanted.server else ())


def _issue_one(pki: Path, authority: ca.Authority, wanted: CertSpec, now: datetime) -> None:
    key = ca.new_leaf_key(wanted)
    certificate = ca.issue(authority, wanted, key, now)
    (pki / f"{wanted.use}.crt").write_bytes(ca.certificate_pem([certificate]))
    path = pki / f"{wanted.use}.key"
    path.touch(mode=0o600)
    path.write_bytes(ca.key_pem(key))
    if os.geteuid() == 0 and wanted.owner in {"orthanc", "postgres", "prometheus"}:
        shutil.chown(path, wanted.owner, wanted.group)


def _postgres(pair: ArchivePair) -> Daemon:
    """One instance on the database VIP: TLS and SCRAM for everybody, fsync off."""
    pg_bin = Path(str(layout.pg_bin(15)))
    program(str(pg_bin / "postgres"), "postgresql-15")
    home, options = pair.folder / "pg", account("postgres")
    home.mkdir()
    loopback_postgres.blank(loopback_postgres.owned(home) / "data")
    pki = pair.places["arc1"].folder / "pki"
    hba = "local all all trust\nhostssl all all 127.0.0.0/8 scram-sha-256\n"
    (home / "data" / "pg_hba.conf").write_text(hba)
    settings = {
        "listen_addresses": pair.database, "port": str(layout.PORT_POSTGRES), "fsync": "off", "ssl": "on",
        "unix_socket_directories": str(home), "ssl_cert_file": str(pki / "postgres.crt"),
        "ssl_key_file": str(pki / "postgres.key"), "shared_buffers": "32MB", "max_connections": "60",
    }  # fmt: skip
    lines = "".join(f"{k} = '{v}'\n" for k, v in settings.items())
    (home / "data" / "postgresql.auto.conf").write_text(lines)
    argv = [str(pg_bin / "postgres"), "-D", str(home / "data")]
    return Daemon("postgres", argv, pair.folder / "postgres.log", options)


def sql(pair: ArchivePair, text: str, database: str = "postgres") -> str:
    argv = ["psql", "-XAtqd", database, "-h", str(pair.folder / "pg"), "-U", "postgres"]
    done = subprocess.run(argv, input=text, capture_output=True, text=True, timeout=20, check=False, cwd="/")
    return done.stdout.strip() if done.returncode == 0 else f"ERROR {done.stderr}"


def start_database(pair: ArchivePair) -> None:
    pair.start("postgres")
    wait_until("PostgreSQL answers", lambda: sql(pair, "SELECT 1") == "1", 30)


def _install(pair: ArchivePair) -> None:
    spec = sample()
    environment = {"HOME": "/nonexistent", "PATH": "/usr/sbin:/usr/bin:/sbin:/bin"}
    for renderer in (orthanc.render, nginx.render, archive_checks.render):
        for file in renderer(spec, SECRETS):
            pair.install(file)
    for node, place in pair.places.items():
        config = place.folder / "orthanc"
        tls = {**environment, "OPENSSL_CONF": str(config / "openssl.cnf")}
        pair.daemons[f"orthanc-{node}"] = Daemon(
            f"orthanc-{node}", [program("Orthanc", "orthanc"), str(config / "orthanc.json")],
            pair.folder / f"orthanc-{node}.log", {**account("orthanc"), "env": tls, "umask": 0o027},
        )  # fmt: skip
        argv = [program("nginx", "nginx-light"), "-c", str(place.folder / "nginx.conf"), "-g", "daemon off;"]
        pair.daemons[f"nginx-{node}"] = Daemon(f"nginx-{node}", argv, pair.folder / f"nginx-{node}.log")


def listens(address: str, port: int) -> bool:
    with contextlib.suppress(OSError), socket.create_connection((address, port), timeout=1):
        return True
    return False


def _wait_listening(pair: ArchivePair, daemon: str, address: str, port: int) -> None:
    try:
        wait_until(f"{daemon} listens", lambda: listens(address, port), 30)
    except AssertionError as error:
        raise AssertionError(f"{error}\n{pair.daemons[daemon].tail()}") from error


@contextlib.contextmanager
def archive_pair() -> Iterator[ArchivePair]:
    """arc1 (which also has the archive VIP's address) and arc2, both up, on one index and one storage."""
    with scratch() as folder:
        yield from _archive_pair(folder)


def _archive_pair(folder: Path) -> Iterator[ArchivePair]:
    prefix = free_network()
    places = {f"arc{n}": Place(folder / f"arc{n}", f"{prefix}.2{n}") for n in (1, 2)}
    pair = ArchivePair(folder, prefix, free_port(), places)
    try:
        _issue(pair)
        _storage(pair)
        pair.daemons["postgres"] = _postgres(pair)
        start_database(pair)
        password = SECRETS.app.replace("'", "''")
        sql(pair, f"CREATE ROLE orthanc LOGIN PASSWORD '{password}'; ")
        sql(pair, "CREATE DATABASE orthanc OWNER orthanc")
        _install(pair)
        for name, daemon in pair.daemons.items():
            if name != "postgres":
                daemon.start()
        for node, place in places.items():
            _wait_listening(pair, f"orthanc-{node}", "127.0.0.1", place.http)
            _wait_listening(pair, f"nginx-{node}", place.address, HTTPS)
        yield pair
    finally:
        pair.stop()


def _storage(pair: ArchivePair) -> None:
    images = pair.folder / "images"
    images.mkdir()
    (images / layout.STORAGE_MARKER).write_text("demo\n")
    if os.geteuid() == 0:
        shutil.chown(images, "orthanc", "orthanc")


def prometheus_config(pair: ArchivePair) -> tuple[Path, Path]:
    """The witness's files, installed beside arc1's with the alert rules, with this machine's addresses."""
    files = {f.path: f for f in prometheus.render(sample(), SECRETS)}
    place = pair.places["arc1"].folder
    rules = place / layout.ALERT_RULES.name
    rules.write_text(files[str(layout.ALERT_RULES)].content)
    found = []
    for path in (layout.PROMETHEUS_CONFIG, layout.PROMETHEUS_WEB):
        text = pair.moved("arc1", files[str(path)].content).replace(":443", f":{HTTPS}")
        target = place / path.name
        target.write_text(text.replace(str(layout.ALERT_RULES), str(rules)))
        found.append(target)
    return found[0], found[1]
