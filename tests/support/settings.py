"""PostgreSQL's settings as tests need them."""

from __future__ import annotations

from typing import Any

from hactl.view.setting import Running, Setting

# name, kind, value, shown, unit, context, least, most; as PostgreSQL 15 has them.
_NUMBERS = (
    ("work_mem", "integer", "4096", "4MB", "kB", "user", "64", "2147483647"),
    ("max_connections", "integer", "200", "200", "", "postmaster", "1", "262143"),
    ("superuser_reserved_connections", "integer", "3", "3", "", "postmaster", "0", "262143"),
    ("autovacuum_max_workers", "integer", "3", "3", "", "postmaster", "1", "262143"),
    ("max_worker_processes", "integer", "8", "8", "", "postmaster", "0", "262143"),
    ("max_wal_senders", "integer", "10", "10", "", "postmaster", "0", "262143"),
    ("shared_buffers", "integer", "16384", "128MB", "8kB", "postmaster", "16", "1073741823"),
    ("wal_segment_size", "integer", "16777216", "16MB", "B", "internal", "1048576", "1073741824"),
    ("min_wal_size", "integer", "80", "80MB", "MB", "sighup", "2", "2147483647"),
    ("max_wal_size", "integer", "1024", "1GB", "MB", "sighup", "2", "2147483647"),
    ("checkpoint_timeout", "integer", "300", "5min", "s", "sighup", "30", "86400"),
    ("random_page_cost", "real", "4", "4", "", "user", "0", "1.79769e+308"),
)  # fmt: skip
_KNOWN: dict[str, dict[str, Any]] = {
    row[0]: dict(zip(("kind", "value", "shown", "unit", "context", "low", "high"), row[1:], strict=True))
    for row in _NUMBERS
}  # fmt: skip
_KNOWN |= {
    "autovacuum": {"kind": "bool", "value": "on", "shown": "on", "context": "sighup"},
    "log_statement": {
        "kind": "enum",
        "value": "none",
        "shown": "none",
        "words": ("none", "ddl", "mod", "all"),
        "context": "superuser",
    },
    "synchronous_commit": {
        "kind": "enum",
        "value": "on",
        "shown": "on",
        "words": ("local", "remote_write", "remote_apply", "on", "off"),
    },
    "timezone": {"kind": "string", "value": "Etc/UTC", "shown": "Etc/UTC"},
    "log_timezone": {"kind": "string", "value": "Etc/UTC", "shown": "Etc/UTC", "context": "sighup"},
}


def setting(name: str, **changed: Any) -> Setting:
    return Setting(name=name, **{**_KNOWN[name], "source": "configuration file", **changed})


def running(**changed: Setting) -> Running:
    """A server with all of the above."""
    return Running({**{name: setting(name) for name in _KNOWN}, **changed})
