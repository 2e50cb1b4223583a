"""Rules for the index: PostgreSQL behind a virtual IP that moves, shared by several nodes."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from typing import Final
from urllib.parse import parse_qsl, unquote, urlsplit

from hactl.decide.codes import Severity
from hactl.decide.lint.model import NodesRule, Rule, Setting
from hactl.view.orthanc_config import OrthancConfig

_E, _W = Severity.ERROR, Severity.WARNING
_SLOWEST: Final = 15.0  # seconds after which a connection to a host that vanished must be given up
_KEY_VALUE: Final = re.compile(r"(\w+)\s*=\s*('(?:\\.|[^'\\])*'|\S+)")


def uses_postgresql(config: OrthancConfig) -> bool:
    return config.on("PostgreSQL.EnableIndex", default=False)


def options(config: OrthancConfig) -> dict[str, str] | None:
    """The connection's parameters, from a URI or libpq's `key=value`; None without either."""
    uri = config.get("PostgreSQL.ConnectionUri")
    if not isinstance(uri, str) or not uri:
        return None
    if "://" not in uri:
        return {key: value.strip("'") for key, value in _KEY_VALUE.findall(uri)}
    parts = urlsplit(uri)
    host = parts.netloc.rpartition("@")[2].partition(":")[0]
    return {"host": unquote(host), **dict(parse_qsl(parts.query))}


def _number(found: dict[str, str], name: str) -> int:
    text = found.get(name, "")
    return int(text) if text.isascii() and text.isdigit() else 0


def _not_postgresql(config: OrthancConfig, _: Setting) -> Iterator[str]:
    if not uses_postgresql(config):
        yield "PostgreSQL.EnableIndex is not true"


def _no_uri(config: OrthancConfig, _: Setting) -> Iterator[str]:
    if uses_postgresql(config) and options(config) is None:
        yield "PostgreSQL.ConnectionUri is not set"


def _no_keepalive(config: OrthancConfig, _: Setting) -> Iterator[str]:
    found = options(config)
    if not uses_postgresql(config) or found is None or _local(found):
        return
    idle, interval, count = (_number(found, f"keepalives_{n}") for n in ("idle", "interval", "count"))
    if found.get("keepalives") == "0" or not (idle and interval and count):
        yield "keepalives_idle, keepalives_interval and keepalives_count are not all set"
    elif idle + interval * count > _SLOWEST:
        yield f"a lost host is noticed after {idle + interval * count} s"
    timeout = _number(found, "tcp_user_timeout")
    if not timeout:
        yield "tcp_user_timeout is not set"
    elif timeout > _SLOWEST * 1000:
        yield f"tcp_user_timeout is {timeout / 1000:g} s"


def _local(found: dict[str, str]) -> bool:
    """Over a Unix socket nothing gets lost on the way."""
    return found.get("host", "").startswith("/")


def _no_connect_timeout(config: OrthancConfig, _: Setting) -> Iterator[str]:
    found = options(config)
    if uses_postgresql(config) and found is not None and not _local(found):
        seconds = _number(found, "connect_timeout")
        if not 0 < seconds <= _SLOWEST:
            yield "connect_timeout is not set" if not seconds else f"connect_timeout is {seconds} s"


def _any_session(config: OrthancConfig, _: Setting) -> Iterator[str]:
    found = options(config)
    if not uses_postgresql(config) or found is None:
        return
    wanted = found.get("target_session_attrs", "any")
    if wanted not in {"read-write", "primary"}:
        yield f"target_session_attrs is {wanted}"


def _unverified(config: OrthancConfig, _: Setting) -> Iterator[str]:
    found = options(config)
    if uses_postgresql(config) and found is not None and not _local(found):
        mode = found.get("sslmode", "prefer")
        if mode != "verify-full":
            yield f"sslmode is {mode}"


def _locked(config: OrthancConfig, _: Setting) -> Iterator[str]:
    if uses_postgresql(config) and config.on("PostgreSQL.Lock", default=True):
        yield (
            "PostgreSQL.Lock is true" if config.get("PostgreSQL.Lock") else "PostgreSQL.Lock is not set: true"
        )


def _retries(config: OrthancConfig) -> tuple[int, int]:
    """How often, and every how many seconds."""
    return (
        config.number("PostgreSQL.MaximumConnectionRetries", 10),
        config.number("PostgreSQL.ConnectionRetryInterval", 5),
    )


def _too_few_retries(config: OrthancConfig, setting: Setting) -> Iterator[str]:
    times, every = _retries(config)
    if uses_postgresql(config) and times * every < setting.failover:
        yield f"{times} x {every} s = {times * every} s, a failover may take {setting.failover:g} s"


def _slow_retries(config: OrthancConfig, _: Setting) -> Iterator[str]:
    every = _retries(config)[1]
    if uses_postgresql(config) and every != 1:
        yield f"ConnectionRetryInterval is {every} s"


def _one_connection(config: OrthancConfig, _: Setting) -> Iterator[str]:
    if not uses_postgresql(config):
        return
    count = config.get("PostgreSQL.IndexConnectionsCount")
    if count is None:
        yield "IndexConnectionsCount is not set: 1 before plugin 7.0, 50 from then on"
    elif config.number("PostgreSQL.IndexConnectionsCount", 1) < 2:
        yield f"IndexConnectionsCount is {count}"


def _too_many(configs: Sequence[OrthancConfig], setting: Setting) -> Iterator[tuple[str, str]]:
    counts = [c.number("PostgreSQL.IndexConnectionsCount", 1) for c in configs if uses_postgresql(c)]
    room = setting.max_connections - setting.reserve
    if sum(counts) >= room and counts:
        said = f"{' + '.join(map(str, counts))} of max_connections {setting.max_connections}"
        yield "all nodes", f"{said}, of which {setting.reserve} are for others"


_URI = "in ConnectionUri: "
RULES: Final = (
    Rule("INDEX_NOT_SHARED", _E, "the index is not in PostgreSQL",
         "Orthanc's own SQLite index can be used by one process on one machine: no second node, no failover.",
         "load the PostgreSQL plugin, set PostgreSQL.EnableIndex to true", _not_postgresql),
    Rule("INDEX_NO_URI", _E, "the database is named by host and port",
         "The plugin's host and port settings set no time limit at all. With all pooled connections waiting "
         "when the database's host vanished, nodes still hung 159 s later; the kernel's limit is two hours.",
         "use PostgreSQL.ConnectionUri with the parameters of docs/archive.md", _no_uri),
    Rule("INDEX_NO_KEEPALIVE", _E, "a lost database host is not noticed",
         "As above: with the keepalives both nodes were back 3.3 s after the crash.",
         _URI + "keepalives_idle=2, keepalives_interval=1, keepalives_count=3, tcp_user_timeout=5000",
         _no_keepalive),
    Rule("INDEX_NO_CONNECT_TIMEOUT", _W, "a new connection may wait for minutes",
         "While the virtual IP moves nobody answers; the kernel tries for two minutes.",
         _URI + "connect_timeout=3", _no_connect_timeout),
    Rule("INDEX_ANY_SESSION", _E, "a standby would be used as the database",
         "With the virtual IP on a standby that is not promoted every call failed, reads too: transactions "
         "are serializable, which a standby cannot do.",
         _URI + "target_session_attrs=read-write", _any_session),
    Rule("INDEX_UNVERIFIED", _W, "the database server is not verified",
         "Whoever takes the address gets the index's password and the patients' names.",
         _URI + "sslmode=verify-full and sslrootcert", _unverified),
    Rule("INDEX_LOCK", _E, "the index is locked for one process",
         "The second node does not start; and the lock is taken at start only: after a restart of PostgreSQL "
         "two nodes wrote, both healthy, one of them without the lock. It protects nothing.",
         "PostgreSQL.Lock: false", _locked),
    Rule("INDEX_RETRIES_SHORT", _E, "a failover of the database outlasts the retries",
         "When the retries are used up a call fails; at its start Orthanc ends.",
         "MaximumConnectionRetries: 60 with ConnectionRetryInterval: 1", _too_few_retries),
    Rule("INDEX_RETRIES_SLOW", _W, "calls sleep on after the database is back",
         "Each waiting call sleeps for the whole interval: after 3.7 s without database it was 5.3 to 6.4 s.",
         "ConnectionRetryInterval: 1", _slow_retries),
    Rule("INDEX_ONE_CONNECTION", _W, "all calls share one connection to the database",
         "One slow query stops every image.",
         "IndexConnectionsCount: as many as max_connections allows, 12 is enough", _one_connection),
)  # fmt: skip
NODES_RULES: Final = (
    NodesRule("INDEX_CONNECTIONS_SUM", _E, "the nodes together take too many connections",
              "The last node to start gets none, and neither does who must repair it.",
              "smaller IndexConnectionsCount, or larger max_connections", _too_many),
)  # fmt: skip
