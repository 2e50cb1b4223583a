"""What a spec may say about PostgreSQL: names that are free, parameters that hactl does not need itself."""

from __future__ import annotations

import difflib
import re
from collections.abc import Iterator
from typing import Final

from hactl.errors import Problem
from hactl.spec import pg15
from hactl.spec.facts import Facts
from hactl.spec.shown import dotted

# PostgreSQL's own names, hactl's roles, and the words that mean something else in pg_hba.conf.
RESERVED_NAMES: Final = frozenset(
    {
        "postgres",
        "template0",
        "template1",
        "public",
        "none",
        "hactl",
        "hactl_monitor",
        "hactl_probe",
        "replicator",
        "rewind",
        "all",
        "replication",
        "sameuser",
        "samerole",
        "samegroup",
        "user",
        "current_user",
        "session_user",
        "current_role",
    }
)

# Why a parameter cannot be set -> the names, as patterns.
REFUSED_PARAMETERS: Final = {
    "would run a program or load code on the database nodes": (
        "[a-z_]+_command",
        "archive_library",
        "jit_provider",
        "[a-z_]+_preload_libraries",
        "dynamic_library_path",
        "output_plugin_libraries",
    ),
    "is part of the access rules, which hactl makes from the cluster's certificates": (
        "ssl",
        "ssl_[a-z_]+",
        "password_encryption",
        "krb_[a-z_]+",
        "db_user_namespace",
        "hba_file",
        "ident_file",
        "row_security",
    ),
    "decides whether an acknowledged image survives, so hactl sets it": (
        "synchronous_[a-z_]+",
        "fsync",
        "full_page_writes",
        "wal_log_hints",
        "data_sync_retry",
        "ignore_[a-z_]+",
        "zero_damaged_pages",
        "session_replication_role",
        "default_transaction_read_only",
        "allow_[a-z_]+",
    ),
    "belongs to replication and failover, which Patroni and hactl steer": (
        "wal_level",
        "hot_standby",
        "hot_standby_feedback",
        "max_wal_senders",
        "max_replication_slots",
        "wal_keep_size",
        "max_slot_wal_keep_size",
        "wal_sender_timeout",
        "wal_receiver_[a-z_]+",
        "wal_retrieve_retry_interval",
        "recovery_[a-z_]+",
        "primary_[a-z_]+",
        "promote_trigger_file",
        "archive_mode",
        "archive_timeout",
        "restart_after_crash",
        "cluster_name",
    ),
    "belongs to the network path, which hactl tunes as a whole": (
        "listen_addresses",
        "port",
        "unix_socket_[a-z_]+",
        "tcp_[a-z_]+",
        "bonjour[a-z_]*",
        "client_connection_check_interval",
        "authentication_timeout",
    ),
    "names a place that hactl and its service files must agree on": (
        "data_directory",
        "config_file",
        "external_pid_file",
        "include[a-z_]*",
        "log_directory",
        "log_filename",
        "log_file_mode",
        "log_destination",
        "logging_collector",
        "syslog_[a-z_]+",
        "event_source",
        "stats_temp_directory",
        "temp_tablespaces",
        "default_tablespace",
    ),
}
_REFUSED: Final = tuple((re.compile("|".join(names)), why) for why, names in REFUSED_PARAMETERS.items())


def database_name(facts: Facts) -> Iterator[Problem]:
    """The database's name is not one that PostgreSQL or hactl uses."""
    name = facts.database_name
    if name is not None and (name in RESERVED_NAMES or name.startswith("pg_")):
        yield Problem(
            "database.name",
            name,
            "this name has a meaning of its own in PostgreSQL or in hactl",
            "for example orthanc",
        )


def parameters(facts: Facts) -> Iterator[Problem]:
    """Parameters are ones PostgreSQL 15 knows, and none of those that hactl sets itself (list below)."""
    # Values are never shown: they may be a password.
    for key in facts.parameters:
        path = dotted(("database", "parameters", key))
        if why := refused(key):
            yield Problem(path, "", f"cannot be set here: it {why}", "remove it")
        elif key not in pg15.NAMES:
            near = difflib.get_close_matches(key[:64], sorted(pg15.NAMES), n=1, cutoff=0.7)
            hint = f"did you mean {near[0]}?" if near else "SELECT name FROM pg_settings lists them"
            yield Problem(path, "", "PostgreSQL 15 has no such parameter, and would not start with it", hint)


def refused(parameter: str) -> str:
    """Why hactl does not let the spec set a parameter, or ""."""
    return next((why for pattern, why in _REFUSED if pattern.fullmatch(parameter)), "")
