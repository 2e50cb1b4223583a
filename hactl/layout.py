"""Where everything lies on a node, and which ports it uses: for render, deploy and observe to agree."""

from __future__ import annotations

from pathlib import PurePosixPath
from typing import Final

ETC: Final = PurePosixPath("/etc/hactl")
SPEC: Final = ETC / "cluster.yaml"
SPEC_DIGEST: Final = ETC / "cluster.sha256"  # of what hactl's own services go by: all but database.parameters
PKI: Final = ETC / "pki"
DICOM_CA: Final = PKI / "dicom-ca.crt"  # whom DICOM trusts: archive nodes there, hactl's checks everywhere
MANIFEST: Final = ETC / "manifest.json"
EXPIRED: Final = PKI / "expired.pem"  # witness, for the TLS check; no *.crt, for those must not expire
DICOM_EXPIRED: Final = PKI / "dicom-expired.pem"
PGPASS: Final = ETC / "pgpass"
LIB: Final = PurePosixPath("/usr/local/lib/hactl")  # check scripts and the dispatcher, root-owned 0755
VENV: Final = PurePosixPath("/opt/hactl")
PATRONI_VENV: Final = PurePosixPath("/opt/patroni")
WHEELHOUSE: Final = PurePosixPath("/opt/hactl-wheels")

PATRONI_CONFIG: Final = PurePosixPath("/etc/patroni/hactl.yml")
ETCD_CONFIG: Final = PurePosixPath("/etc/etcd/hactl.yml")
ETCD_DATA: Final = PurePosixPath("/var/lib/etcd/hactl")
ETCD_QUOTA: Final = 2 * 1024**3  # bytes of a member's database, as by default; at it no write is taken
KEEPALIVED_CONFIG: Final = PurePosixPath("/etc/keepalived/keepalived.conf")
NFT_RULES: Final = ETC / "rules.nft"
ORTHANC_CONFIG: Final = PurePosixPath("/etc/orthanc-hactl/orthanc.json")
ORTHANC_PGPASS: Final = PurePosixPath("/etc/orthanc-hactl/pgpass")
ORTHANC_OPENSSL: Final = PurePosixPath("/etc/orthanc-hactl/openssl.cnf")
NGINX_CONFIG: Final = PurePosixPath("/etc/nginx/hactl.conf")
PROMETHEUS_CONFIG: Final = PurePosixPath("/etc/prometheus/hactl.yml")
PROMETHEUS_WEB: Final = PurePosixPath("/etc/prometheus/hactl-web.yml")
ALERT_RULES: Final = PurePosixPath("/etc/prometheus/hactl-rules.yml")
ALERTMANAGER_CONFIG: Final = PurePosixPath("/etc/prometheus/hactl-alertmanager.yml")
SYSTEMD: Final = PurePosixPath("/etc/systemd/system")

LEASE_RULES: Final = ETC / "lease.nft"  # a table of its own: reloading the rules must not empty the lease

RUN: Final = PurePosixPath("/run/hactl")
TRACK_FILE: Final = RUN / "track"  # keepalived's: 0 may hold the database VIP, -254 must not
LEASE_FILE: Final = RUN / "lease"  # CLOCK_BOOTTIME seconds until which the fencing lease is valid
HANDOVER_FILE: Final = RUN / "handover"  # CLOCK_BOOTTIME seconds until which a switchover is asked for
STATE: Final = PurePosixPath("/var/lib/hactl")
OPEN_FILE: Final = STATE / "open"  # there: hactl does not run on this node, and etcd knows
OPEN_RUN: Final = RUN / "open"  # the same until the next boot, where the disk takes no file
JOURNAL: Final = STATE / "journal" / "journal.jsonl"
TLS_EVIDENCE: Final = STATE / "tls" / "evidence.jsonl"  # witness: every daily check, a journal of its own
INTEGRITY: Final = PurePosixPath("/var/lib/hactl-integrity")  # archive nodes: manifest, marks, reports
HAND: Final = LIB / "hand"  # what may change the image storage: a fixed vocabulary, under Orthanc's account
HAND_SOCKET: Final = PurePosixPath("/run/hactl-hand.sock")
LEDGER: Final = PurePosixPath("/var/lib/hactl-ledger")  # lost-commit ledgers and divergent WAL
PG_HOME: Final = PurePosixPath("/var/lib/postgresql")  # whatever of PostgreSQL's lies on a disk
CANARY: Final = PurePosixPath("/var/lib/postgresql/hactl-canary")  # on the data's disk: the agent's fsync
ACT: Final = LIB / "act"  # what the agent may have root do: a fixed vocabulary
OPEN_LEASE: Final = LIB / "open-lease"
ARCHIVE_RULES: Final = ETC / "archive.nft"  # archive nodes: whom the archive's ports are shut to, and when
ARCHIVE_TRACK: Final = RUN / "archive-track"  # as TRACK_FILE, for the archive VIP
STORAGE_SCRATCH: Final = ".hactl-write"  # in the image storage: where each node's agent writes its 4 KiB
DEPLOYED: Final = PurePosixPath("/var/lib/hactl-deploy/kept")  # root's copy of what was deployed last
BMC: Final = ETC / "bmc"  # the fence devices' password, where the spec names this very path

PORT_POSTGRES: Final = 5432
POSTGRES_SOCKETS: Final = PurePosixPath("/run/postgresql")  # the folder of its Unix-domain socket
PORT_PATRONI: Final = 8008
PORT_ETCD_CLIENT: Final = 2379
PORT_ETCD_PEER: Final = 2380
PORT_ORTHANC_HTTP: Final = 8042  # loopback only; nginx speaks TLS in front of it
PORT_DICOM_TLS: Final = 2762  # IANA dicom-tls
PORT_HTTPS: Final = 443
PORT_PROMETHEUS: Final = 9090
PORT_ALERTMANAGER: Final = 9093  # loopback of the witness
PORT_METRICS: Final = 9465  # each controller's, with the cluster's TLS
PORT_METRICS_LOCAL: Final = 9466  # the same in plain on loopback

HACTL_NAMESPACE: Final = "/hactl"  # hactl's keys are /hactl/<cluster>/...
ETCD_NAMESPACE: Final = "/service"  # Patroni's own default; its keys are /service/<cluster>/...

DCS_CONFIG: Final = PurePosixPath(
    "/etc/patroni/dcs.json"
)  # what `deploy` compares with Patroni's GET /config
ROLES_SQL: Final = ETC / "roles.sql"  # applied by `deploy` on the primary, as postgres, over the local socket
AUTHORIZED_KEYS: Final = ETC / "authorized_keys"
STORAGE_MARKER: Final = ".hactl-storage"  # in the image storage: proves that the right disk is mounted

ROLE_REPLICATOR: Final = "replicator"
ROLE_REWIND: Final = "rewind"
ROLE_MONITOR: Final = "hactl_monitor"
ROLE_PROBE: Final = "hactl_probe"
DATABASE_HACTL: Final = "hactl"  # heartbeat and drills, owned by ROLE_PROBE


def pg_bin(version: int) -> PurePosixPath:
    """Debian's place for the server programs of one major version."""
    return PurePosixPath(f"/usr/lib/postgresql/{version}/bin")


def pg_data(version: int) -> PurePosixPath:
    return PurePosixPath(f"/var/lib/postgresql/{version}/hactl")
