"""Orthanc on the archive nodes: two writers on one index behind the database VIP.

Each setting has its reason in docs/archive.md; the numbers come from measurements against Debian 12's
Orthanc 1.10.1 with its PostgreSQL plugin 4.0.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, Final
from urllib.parse import urlencode

from hactl import layout
from hactl.render import engine
from hactl.render.patroni import PARAMETERS
from hactl.render.secrets import RenderSecrets
from hactl.render.targets import RenderedFile
from hactl.spec.aets import echo_aets
from hactl.spec.model import ClusterSpec, Modality

ADMIN: Final = "hactl_admin"
OPERATOR: Final = "hactl_ops"
UNIT: Final = "orthanc.service"
PLUGINS: Final = "/usr/share/orthanc/plugins"

# The AE title of the checks that an archive node makes on itself. No modality of a spec has a capital key.
PROBE_NAME: Final = "HACTL-PROBE"
PROBE_AET: Final = "HACTLPROBE"

ECHO_NAME: Final = "HACTL-ECHO"  # of the controllers, by node
_DENIED: Final = ("Store", "Find", "FindWorklist", "Get", "Move", "StorageCommitment")

RETRIES: Final = 60  # of 1 s each: longer than any failover, so that calls wait instead of failing
MAX_INDEX_CONNECTIONS: Final = 12
RESERVED_CONNECTIONS: Final = 40  # of max_connections: superuser, replication, monitoring, applications
HTTP_THREADS: Final = 100  # a call that waits for the database keeps its thread until the database answers
MIN_DICOM_THREADS: Final = 16


def render(spec: ClusterSpec, secrets: RenderSecrets) -> Iterator[RenderedFile]:
    """Configuration, database password, TLS floor and drop-in of Orthanc, for each archive node."""
    for node in spec.archives:
        yield RenderedFile(
            node=node, path=str(layout.ORTHANC_CONFIG), component="orthanc", mode="0640", group="orthanc",
            content=engine.json_document(configuration(spec, node, secrets)), secret=True,
            validate=("/usr/bin/python3", "-c", "import json, sys; json.load(open(sys.argv[1]))", "%s"),
            on_change="restart", unit=UNIT,
        )  # fmt: skip
        # libpq reads it at each connect, and refuses it unless it is the reader's own and nobody else's.
        yield RenderedFile(
            node=node, path=str(layout.ORTHANC_PGPASS), component="orthanc", mode="0600", owner="orthanc",
            group="orthanc", content=_pgpass(spec, secrets), secret=True,
        )  # fmt: skip
        yield RenderedFile(
            node=node, path=str(layout.ORTHANC_OPENSSL), component="orthanc",
            content=engine.text("orthanc/openssl.cnf.j2"), on_change="restart", unit=UNIT,
        )  # fmt: skip
        yield RenderedFile(
            node=node, path=str(layout.SYSTEMD / f"{UNIT}.d" / "hactl.conf"), component="orthanc",
            content=engine.text("orthanc/orthanc.service.j2", **_unit_values(spec)),
            on_change="restart", unit=UNIT,
        )  # fmt: skip


def configuration(spec: ClusterSpec, node: str, secrets: RenderSecrets) -> dict[str, Any]:
    """The whole orthanc.json of one node; equal on all archive nodes but for the node's name."""
    return {
        "Name": node,
        **_storage(spec),
        **_http(secrets),
        **_dicom(spec),
        **_dicom_tls(),
        **_shared_index(node),
        "PostgreSQL": _postgresql(spec, node),
        "DicomWeb": {
            "Enable": True, "Root": "/dicom-web/", "EnableWado": True, "WadoRoot": "/wado",
            # No "Host": links in answers carry the name that the client asked for, as nginx hands it on.
            "Ssl": True,
        },
    }  # fmt: skip


def connection_uri(spec: ClusterSpec, node: str) -> str:
    """How a node reaches the primary: by the VIP, the server verified, and every wait with an end.

    Without the keepalive set, connections that wait for a host that vanished hang for two hours.
    """
    options = {
        "sslmode": "verify-full", "sslrootcert": str(layout.PKI / "ca.crt"),
        "ssl_min_protocol_version": "TLSv1.2", "channel_binding": "require",
        "passfile": str(layout.ORTHANC_PGPASS), "target_session_attrs": "read-write", "connect_timeout": "3",
        "keepalives": "1", "keepalives_idle": "2", "keepalives_interval": "1", "keepalives_count": "3",
        "tcp_user_timeout": "5000", "application_name": f"orthanc-{node}",
    }  # fmt: skip
    name, address = spec.database.name, spec.vips.database.address.ip
    return f"postgresql://{name}@{address}:{layout.PORT_POSTGRES}/{name}?{urlencode(options, safe='/')}"


def index_connections(spec: ClusterSpec) -> int:
    """Connections per archive node: all nodes together leave the reserve of max_connections free."""
    try:
        limit = int(spec.database.parameters.get("max_connections", PARAMETERS["max_connections"]))
    except ValueError:
        limit = 100  # PostgreSQL will refuse the text; nothing of ours depends on it
    fair = (limit - RESERVED_CONNECTIONS) // max(1, len(spec.archives))
    return max(2, min(MAX_INDEX_CONNECTIONS, fair))


def _storage(spec: ClusterSpec) -> dict[str, Any]:
    return {
        "StorageDirectory": spec.archive.storage,
        "IndexDirectory": spec.archive.storage,
        "StorageCompression": False,
        "MaximumStorageSize": 0,
        "MaximumPatientCount": 0,
        "StoreMD5ForAttachments": True,
        "SyncStorageArea": True,
        "OverwriteInstances": False,
    }


def _http(secrets: RenderSecrets) -> dict[str, Any]:
    return {
        "HttpServerEnabled": True,
        "HttpPort": layout.PORT_ORTHANC_HTTP,
        "RemoteAccessAllowed": False,
        "SslEnabled": False,
        "AuthenticationEnabled": True,
        "RegisteredUsers": {ADMIN: secrets.orthanc_admin, OPERATOR: secrets.orthanc_ops},
        "HttpThreadsCount": HTTP_THREADS,
        "OrthancExplorerEnabled": False,
        "WebDavEnabled": False,
        "ExecuteLuaEnabled": False,
        "LuaScripts": [],
        "RestApiWriteToFileSystemEnabled": False,
        "MetricsEnabled": True,
        "DeidentifyLogs": True,
        "Plugins": [f"{PLUGINS}/libOrthancPostgreSQLIndex.so", f"{PLUGINS}/libOrthancDicomWeb.so"],
    }


def _dicom(spec: ClusterSpec) -> dict[str, Any]:
    verbs = ("Echo", "Store", "Find", "FindWorklist", "Get", "Move")
    return {
        "DicomServerEnabled": True,
        "DicomAet": spec.archive.aet,
        "DicomCheckCalledAet": True,
        "DicomPort": layout.PORT_DICOM_TLS,
        "DicomThreadsCount": max(MIN_DICOM_THREADS, len(spec.archive.modalities) + 4),
        **{f"DicomAlwaysAllow{verb}": False for verb in verbs},
        "DicomCheckModalityHost": True,
        "DicomModalitiesInDatabase": False,
        "OrthancPeersInDatabase": False,
        "DicomModalities": _modalities(spec),
        "UnknownSopClassAccepted": False,
        "SynchronousCMove": True,
        "ConcurrentJobs": 4,
    }


def _modalities(spec: ClusterSpec) -> dict[str, Any]:
    known = {name: _modality(m) for name, m in spec.archive.modalities.items()}
    if PROBE_AET not in {m.aet for m in spec.archive.modalities.values()}:
        known[PROBE_NAME] = {"AET": PROBE_AET, "Host": "127.0.0.1", "Port": 11112, "UseDicomTls": True}
    for node, aet in echo_aets(spec).items():
        known[f"{ECHO_NAME}-{node}"] = {
            "AET": aet, "Host": str(spec.nodes[node].address), "Port": 11112, "UseDicomTls": True,
            "AllowEcho": True, **{f"Allow{verb}": False for verb in _DENIED},
        }  # fmt: skip
    return known


def _modality(modality: Modality) -> dict[str, Any]:
    return {
        "AET": modality.aet,
        "Host": str(modality.address),
        "Port": modality.port,
        "UseDicomTls": modality.tls,
    }


def _dicom_tls() -> dict[str, Any]:
    return {
        "DicomTlsEnabled": True,
        "DicomTlsCertificate": str(layout.PKI / "orthanc.crt"),
        "DicomTlsPrivateKey": str(layout.PKI / "orthanc.key"),
        "DicomTlsTrustedCertificates": str(layout.DICOM_CA),
        "DicomTlsRemoteCertificateRequired": True,
    }


def _shared_index(node: str) -> dict[str, Any]:
    return {"SaveJobs": False, "DatabaseServerIdentifier": node, "CheckRevisions": False}


def _postgresql(spec: ClusterSpec, node: str) -> dict[str, Any]:
    return {
        "EnableIndex": True,
        "EnableStorage": False,
        "ConnectionUri": connection_uri(spec, node),
        "Lock": False,
        "MaximumConnectionRetries": RETRIES,
        "ConnectionRetryInterval": 1,
        "IndexConnectionsCount": index_connections(spec),
    }


def _pgpass(spec: ClusterSpec, secrets: RenderSecrets) -> str:
    return engine.text(
        "orthanc/pgpass.j2",
        address=spec.vips.database.address.ip,
        port=layout.PORT_POSTGRES,
        database=spec.database.name,
        password=secrets.app,
    )


def _unit_values(spec: ClusterSpec) -> dict[str, Any]:
    return {
        "cluster": spec.cluster, "storage": spec.archive.storage, "lib": layout.LIB,
        "scratch": layout.STORAGE_SCRATCH,
        "config": layout.ORTHANC_CONFIG, "openssl": layout.ORTHANC_OPENSSL,
    }  # fmt: skip
