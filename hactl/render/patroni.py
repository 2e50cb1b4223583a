"""Patroni's configuration as data: the dynamic part in etcd, and the local part that wins over it.

The numbers were found by measurement: host loss, partition and freeze on a pair with synchronous replication.
"""

from __future__ import annotations

from typing import Any, Final

from hactl import layout
from hactl.render import access
from hactl.render.engine import text
from hactl.render.secrets import RenderSecrets
from hactl.spec.model import ClusterSpec

_PKI: Final = str(layout.PKI)
REST_USER: Final = "hactl"
CLONE: Final = "hactl_clone"

# Parameters for all members. The spec's own are merged over them.
PARAMETERS: Final[dict[str, Any]] = {
    "hot_standby": "on",
    "max_connections": 200,
    "max_replication_slots": 10,
    "max_wal_senders": 10,
    # A slot of a lost standby must not fill the primary's disk.
    "max_slot_wal_keep_size": "8GB",
    # Before recovery one call for the whole file system, not one for each file: seconds on a busy machine.
    "recovery_init_sync_method": "syncfs",
    "synchronous_commit": "on",
    "tcp_keepalives_count": 3,
    "tcp_keepalives_idle": 2,
    "tcp_keepalives_interval": 2,
    "tcp_user_timeout": "5s",
    "wal_keep_size": "512MB",
    "wal_level": "replica",
    "wal_log_hints": "on",
    # A lost standby blocks synchronous commits for this long; the default is 60 s.
    "wal_receiver_status_interval": "1s",
    "wal_receiver_timeout": "2s",
    "wal_retrieve_retry_interval": "500ms",
    "wal_sender_timeout": "2s",
}

# Whoever may write to etcd could otherwise run programs as postgres; the local file wins over etcd.
_PINNED_COMMANDS: Final[dict[str, Any]] = {
    "archive_cleanup_command": "",
    "archive_command": "",
    "archive_mode": "off",
    "archive_library": "",
    "dynamic_library_path": "$libdir",
    "local_preload_libraries": "",
    "recovery_end_command": "",
    "restore_command": "",
    "session_preload_libraries": "",
    "shared_preload_libraries": "",
    "ssl_passphrase_command": "",
}


def dynamic(spec: ClusterSpec) -> dict[str, Any]:
    """The dynamic configuration: all members follow it, and `deploy` patches it when it differs."""
    wanted = {name: _value(value) for name, value in spec.database.parameters.items()}
    return {
        "ttl": 20,  # Patroni's smallest
        "loop_wait": 1,
        "retry_timeout": 5,
        "maximum_lag_on_failover": 1048576,
        "check_timeline": True,
        "failsafe_mode": False,
        "member_slots_ttl": "30min",
        "primary_start_timeout": 0,  # a crashed postmaster: fail over at once, do not wait for its recovery
        "primary_stop_timeout": 5,
        "synchronous_mode": True,
        # With two members strict would stop all writes whenever one of them is lost.
        "synchronous_mode_strict": False,
        "postgresql": {
            "use_pg_rewind": True,
            "use_slots": True,
            "parameters": dict(sorted({**PARAMETERS, **wanted}.items())),
        },
    }


def _value(value: object) -> object:
    # PostgreSQL writes its switches so; Patroni then sees no difference where there is none.
    if isinstance(value, bool):
        return "on" if value else "off"
    return value


def pinned_parameters() -> dict[str, Any]:
    """Parameters of the local file. They win over the dynamic ones, so nothing in etcd can change them."""
    return {
        **_PINNED_COMMANDS,
        "listen_addresses": "0.0.0.0",  # noqa: S104 - the VIP comes and goes; nftables says who gets through
        "password_encryption": "scram-sha-256",
        "ssl": "on",
        "ssl_ca_file": f"{_PKI}/ca.crt",
        "ssl_cert_file": f"{_PKI}/postgres.crt",
        "ssl_key_file": f"{_PKI}/postgres.key",
        "ssl_min_protocol_version": "TLSv1.2",
        "unix_socket_directories": str(layout.POSTGRES_SOCKETS),
    }


def hba(spec: ClusterSpec) -> list[str]:
    """The lines of pg_hba.conf: TLS only, SCRAM only, everybody else rejected.

    A node that talks to the database VIP while it holds it comes from the VIP's own address.
    """
    own = f"{spec.vips.database.address.ip}/32"
    outside = [*access.clients(spec), *access.operators(spec)]
    lines = text(
        "postgres/pg_hba.j2",
        replicas=["127.0.0.1/32", *access.hosts(spec.databases), own],
        applications=_once([*access.hosts(spec.archives), *outside]),
        observers=_once(["127.0.0.1/32", *access.hosts(spec.nodes), own, *outside]),
        database=spec.database.name,
        own=layout.DATABASE_HACTL,
        replicator=layout.ROLE_REPLICATOR,
        rewind=layout.ROLE_REWIND,
        monitor=layout.ROLE_MONITOR,
        probe=layout.ROLE_PROBE,
    )
    return lines.splitlines()


def _once(items: list[str]) -> list[str]:
    return list(dict.fromkeys(items))


def _login(role: str, password: str) -> dict[str, str]:
    return {
        "username": role,
        "password": password,
        "sslmode": "verify-full",
        "sslrootcert": f"{_PKI}/ca.crt",
        "sslcert": f"{_PKI}/{role}.crt",
        "sslkey": f"{_PKI}/{role}.key",
        "channel_binding": "require",
        "gssencmode": "disable",
    }


def _restapi(spec: ClusterSpec, node: str, secrets: RenderSecrets) -> dict[str, Any]:
    allowed = [*access.hosts(spec.voters), "127.0.0.1/32", *access.operators(spec)]
    return {
        "listen": f"0.0.0.0:{layout.PORT_PATRONI}",  # also on the VIP: who holds it is asked through it
        "connect_address": f"{spec.nodes[node].address}:{layout.PORT_PATRONI}",
        "certfile": f"{_PKI}/patroni.crt",
        "keyfile": f"{_PKI}/patroni.key",
        "cafile": f"{_PKI}/ca.crt",
        "verify_client": "required",
        "allowlist": _once(allowed),  # of those who have a certificate, only these may change anything
        # And only with this password, which no other node has. Members and patronictl take it from here too.
        "authentication": {"username": REST_USER, "password": secrets.patroni_rest},
    }


def _etcd3(spec: ClusterSpec, node: str) -> dict[str, Any]:
    others = [str(n.address) for name, n in spec.voters.items() if name != node]
    return {
        "hosts": [f"{address}:{layout.PORT_ETCD_CLIENT}" for address in ("127.0.0.1", *others)],
        # Without this Patroni asks etcd for its members and may then wait on the dead host's (20 s, not 3).
        "use_proxies": True,
        "protocol": "https",
        "cacert": f"{_PKI}/ca.crt",
        "cert": f"{_PKI}/patroni.crt",
        "key": f"{_PKI}/patroni.key",
    }


def _postgresql(spec: ClusterSpec, node: str, secrets: RenderSecrets) -> dict[str, Any]:
    parameters = pinned_parameters()
    del parameters["listen_addresses"]  # Patroni makes it from `listen`
    parameters["hactl.node"] = node  # through the VIP nothing else says which node answered
    return {
        "listen": f"0.0.0.0:{layout.PORT_POSTGRES}",
        "connect_address": f"{spec.nodes[node].address}:{layout.PORT_POSTGRES}",
        "data_dir": str(layout.pg_data(spec.database.version)),
        "bin_dir": str(layout.pg_bin(spec.database.version)),
        # Absolute, so `bin_dir` does not matter: the ledger comes first (templates/postgres/pg-rewind.j2).
        "bin_name": {"pg_rewind": str(layout.LIB / "pg-rewind")},
        "pgpass": "/var/lib/postgresql/hactl.pgpass",
        "use_unix_socket": True,
        "use_unix_socket_repl": False,
        "authentication": {
            "superuser": {"username": "postgres"},  # over the local socket, by the operating system's user
            "replication": _login(layout.ROLE_REPLICATOR, secrets.replicator),
            "rewind": _login(layout.ROLE_REWIND, secrets.rewind),
        },
        "parameters": parameters,
        "pg_hba": hba(spec),
        "pg_ident": ["# no mappings"],
        # Pinned for the same reason as the parameters: each of these can name a program.
        "callbacks": {},
        "create_replica_methods": [CLONE],
        # `keep_data`: the program itself sets the old data aside (templates/postgres/clone.j2).
        CLONE: {"command": str(layout.LIB / "clone"), "keep_data": True},
        "basebackup": {"checkpoint": "fast"},  # patronictl reinit --from-leader takes this one
        "recovery_conf": {},
        "pre_promote": "",
        # Patroni looks once a second whether PostgreSQL has stopped: in a switchover this one waits for it.
        "before_stop": str(layout.LIB / "before-stop"),
    }


def local(spec: ClusterSpec, node: str, secrets: RenderSecrets) -> dict[str, Any]:
    """The whole of patroni.yml for one database node."""
    return {
        "scope": spec.cluster,
        "namespace": layout.ETCD_NAMESPACE,
        "name": node,
        "log": {"format": "%(levelname)s: %(message)s"},  # the journal adds the time
        "restapi": _restapi(spec, node, secrets),
        "ctl": {
            "cacert": f"{_PKI}/ca.crt",
            "certfile": f"{_PKI}/patroni.crt",
            "keyfile": f"{_PKI}/patroni.key",
        },
        "etcd3": _etcd3(spec, node),
        "bootstrap": {
            "dcs": dynamic(spec),
            "initdb": [
                {"encoding": "UTF8"},
                {"locale": "C.UTF-8"},
                "data-checksums",
                {"auth-local": "peer"},
                {"auth-host": "scram-sha-256"},
            ],
        },
        "postgresql": _postgresql(spec, node, secrets),
        # Where the machine has a watchdog: it resets 12 s after Patroni's last sign of life as leader. Not
        # sooner: a healthy cycle may take loop_wait + 2 * retry_timeout = 11 s while etcd is slow.
        "watchdog": {"mode": "automatic", "device": "/dev/watchdog", "safety_margin": 8},
    }
