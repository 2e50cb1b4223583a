"""What a client should connect with: the virtual IP, TLS and short times. Never a password."""

from __future__ import annotations

from pathlib import PurePath
from typing import Protocol
from urllib.parse import quote, urlencode

from hactl import layout
from hactl.errors import UsageError
from hactl.spec.model import ClusterSpec

# libpq's names -> values. With them a client notices a lost primary within 3 to 8 s; the kernel's own
# defaults are two hours for an idle connection and about 15 minutes for one with unacknowledged data.
_TIMES = {
    "connect_timeout": "3",
    "keepalives": "1",
    "keepalives_idle": "2",
    "keepalives_interval": "2",
    "keepalives_count": "3",
    "tcp_user_timeout": "3000",
}


class Credentials(Protocol):
    """Where the CA's certificate and the password file are; `hactl.site.Site` is one."""

    @property
    def ca(self) -> PurePath: ...

    @property
    def pgpass(self) -> PurePath: ...


ROLES = ("app", "monitor", "probe")
FORMS = ("uri", "keyword", "jdbc")


def connection(spec: ClusterSpec, site: Credentials, role: str, form: str = "keyword") -> str:
    """The connection string for app, monitor or probe, as a `uri`, `keyword` or `jdbc` text.

    Raises:
        UsageError: no such role or format.

    """
    forms = {"uri": _uri, "keyword": _keyword, "jdbc": _jdbc}
    if role not in ROLES or form not in forms:
        raise UsageError(f"no connection string for role {role} in format {form}")
    return forms[form](spec, site, *identity(spec, role))


def identity(spec: ClusterSpec, role: str) -> tuple[str, str]:
    """PostgreSQL's user and database of a role."""
    return {
        "app": (spec.database.name, spec.database.name),
        "monitor": (layout.ROLE_MONITOR, "postgres"),
        "probe": (layout.ROLE_PROBE, layout.DATABASE_HACTL),
    }[role]


def _address(spec: ClusterSpec) -> str:
    return str(spec.vips.database.address.ip)


def _options(site: Credentials) -> dict[str, str]:
    return {
        "sslmode": "verify-full",
        "sslrootcert": str(site.ca),
        "channel_binding": "require",  # thus SCRAM: a server cannot ask for the password itself
        "target_session_attrs": "read-write",
        "passfile": str(site.pgpass),
        **_TIMES,
    }


def _uri(spec: ClusterSpec, site: Credentials, user: str, database: str) -> str:
    query = urlencode(_options(site), safe="/", quote_via=quote)
    return f"postgresql://{user}@{_address(spec)}:{layout.PORT_POSTGRES}/{database}?{query}"


def _keyword(spec: ClusterSpec, site: Credentials, user: str, database: str) -> str:
    values = {
        "host": _address(spec), "port": str(layout.PORT_POSTGRES), "user": user, "dbname": database,
        **_options(site),
    }  # fmt: skip
    return " ".join(f"{name}={_quoted(value)}" for name, value in values.items())


def _quoted(value: str) -> str:
    """A libpq keyword value: quoted when it has to be."""
    if value and not any(c in " '\\" for c in value):
        return value
    return "'" + value.replace("\\", "\\\\").replace("'", "\\'") + "'"


def _jdbc(spec: ClusterSpec, site: Credentials, user: str, database: str) -> str:
    """For pgjdbc, which knows neither passfile nor the keepalive times: its read time-out stands for them.

    It knows channelBinding from 42.7.4 on, and keeps to it from 42.7.7 on (CVE-2025-49146).
    """
    values = {
        "user": user,
        "ssl": "true",
        "sslmode": "verify-full",
        "sslrootcert": str(site.ca),
        "channelBinding": "require",
        "targetServerType": "primary",
        "connectTimeout": "3",
        "loginTimeout": "6",
        "tcpKeepAlive": "true",
        "socketTimeout": "30",
    }
    query = urlencode(values, safe="/", quote_via=quote)
    return f"jdbc:postgresql://{_address(spec)}:{layout.PORT_POSTGRES}/{database}?{query}"
