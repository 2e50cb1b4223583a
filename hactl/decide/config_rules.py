"""What Patroni makes of its dynamic configuration without saying so, and what PostgreSQL does not start with.

Patroni stores and shows whatever is written to it; members then use other values (Patroni 4.1: config.py
_validate_and_adjust_timeouts, postgresql/config.py CMDLINE_OPTIONS). A test compares with Patroni's own code.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Final

from hactl.decide.config_values import canonical
from hactl.spec import rules_database
from hactl.view.setting import Setting

MIN_LOOP_WAIT: Final = 1
# Smallest values and defaults, in seconds.
_TIMES: Final = {"loop_wait": (MIN_LOOP_WAIT, 10), "retry_timeout": (3, 10), "ttl": (20, 30)}
# Parameters that Patroni hands over on the command line: below the least it takes its own default instead.
FLOORS: Final = {
    "max_connections": (25, "100"),
    "max_wal_senders": (3, "10"),
    "max_prepared_transactions": (0, "0"),
    "max_locks_per_transaction": (32, "64"),
    "max_replication_slots": (4, "10"),
    "max_worker_processes": (2, "8"),
}
# A standby must not have less of these than its primary.
NO_LESS_ON_STANDBY: Final = frozenset(
    {
        "max_connections", "max_prepared_transactions", "max_locks_per_transaction", "max_wal_senders",
        "max_worker_processes",
    }
)  # fmt: skip
MAX_BACKENDS: Final = 262143  # PostgreSQL: postmaster.h
TIMED: Final = (
    "Patroni's times are measured together with the fencing lease; what a site may choose is fencing.lease"
)
# Patroni's own settings, and the spec's field for what they are about.
_PATRONI: Final = {
    "ttl": TIMED, "loop_wait": TIMED, "retry_timeout": TIMED, "primary_start_timeout": TIMED,
    "primary_stop_timeout": TIMED, "failsafe_mode": TIMED, "master_start_timeout": TIMED,
    "pause": "that is done by `hactl pause` and `hactl resume`",
    "pg_hba": "who gets in is access.clients and access.operators",
    "pg_ident": "who gets in is access.clients and access.operators",
    "watchdog": TIMED,
}  # fmt: skip
_FIELDS: Final = {
    "ssl": "hactl makes the certificates (hactl pki), and who gets in is access.clients and access.operators",
    "hba_file": "who gets in is access.clients and access.operators",
    "listen_addresses": "a node's address is nodes.NAME.address",
    "port": "PostgreSQL's port is the same in every installation",
    "wal_sender_timeout": TIMED, "wal_receiver_timeout": TIMED, "tcp_user_timeout": TIMED,
}  # fmt: skip


@dataclass(frozen=True)
class Clamp:
    """Patroni stores `written`, and goes by `effective`."""

    name: str
    written: str
    effective: str
    why: str


def clamps(config: Mapping[str, object]) -> tuple[Clamp, ...]:
    """Of a whole dynamic configuration."""
    return (*_timeouts(config), *_floors(config))


def _timeouts(config: Mapping[str, object]) -> Iterator[Clamp]:
    found = {name: _seconds(config.get(name), default) for name, (_, default) in _TIMES.items()}
    if any(value is None for value in found.values()):
        for name, value in found.items():
            if value is None:
                # Patroni then keeps the configuration that it had, all of it.
                yield Clamp(
                    name, str(config[name]), "", "is no number: Patroni ignores the whole configuration"
                )
        return
    used = {name: max(value or 0, _TIMES[name][0]) for name, value in found.items()}
    rule = "loop_wait + 2 * retry_timeout must not exceed ttl"
    if MIN_LOOP_WAIT + 2 * used["retry_timeout"] > used["ttl"]:
        used |= {"loop_wait": MIN_LOOP_WAIT, "retry_timeout": (used["ttl"] - MIN_LOOP_WAIT) // 2}
    elif used["loop_wait"] + 2 * used["retry_timeout"] > used["ttl"]:
        used["loop_wait"] = used["ttl"] - 2 * used["retry_timeout"]
    for name, value in used.items():
        if value != found[name]:
            low = _TIMES[name][0]
            why = f"the least is {low}" if value == low and (found[name] or 0) < low else rule
            yield Clamp(name, str(found[name]), str(value), why)


def _seconds(value: object, default: int) -> int | None:
    """As Python's int() makes one of what JSON can hold."""
    if value is None:
        return default
    try:
        return int(value) if isinstance(value, int | float | str) else None
    except (ValueError, OverflowError):
        return None


def _floors(config: Mapping[str, object]) -> Iterator[Clamp]:
    for name, value in parameters(config).items():
        least, instead = FLOORS.get(name, (0, ""))
        number = _seconds(value, 0) if name in FLOORS else None
        if name in FLOORS and (number is None or number < least):
            yield Clamp(
                name, str(value), instead, f"Patroni takes its own {instead} for whatever is below {least}"
            )


def parameters(config: Mapping[str, object]) -> Mapping[str, object]:
    """PostgreSQL's parameters in a dynamic configuration."""
    postgresql = config.get("postgresql")
    found = postgresql.get("parameters") if isinstance(postgresql, Mapping) else None
    return found if isinstance(found, Mapping) else {}


def managed(name: str) -> str:
    """Why a setting is hactl's own, with the spec's field for it if there is one; "": it may be set."""
    if name in _PATRONI:
        return f"is Patroni's, and hactl sets it: {_PATRONI[name]}"
    why = rules_database.refused(name)
    if not why:
        return ""
    field = next((text for start, text in _FIELDS.items() if name.startswith(start)), "")
    return f"{why}; {field}" if field else why


def together(settings: Mapping[str, Setting], wanted: Mapping[str, object]) -> Iterator[str]:
    """What PostgreSQL checks between parameters at its start: it would not come up. `wanted`: all of them."""
    of = {name: _size(settings, wanted, name) for name in _SUMMED}
    if of["superuser_reserved_connections"] >= of["max_connections"]:
        yield (
            f"superuser_reserved_connections ({of['superuser_reserved_connections']}) must be less than "
            f"max_connections ({of['max_connections']}): PostgreSQL would not start"
        )
    total = sum(of[name] for name in _SUMMED[1:]) + 1
    if total > MAX_BACKENDS:
        yield (f"{' + '.join(_SUMMED[1:])} come to {total}; PostgreSQL has {MAX_BACKENDS} processes at most")
    segment = _size(settings, wanted, "wal_segment_size") // 1024**2  # in bytes; the two sizes are in MB
    for name in ("min_wal_size", "max_wal_size"):
        size = _size(settings, wanted, name)
        if size < 2 * segment:
            yield f"{name} ({size}MB) must be at least two WAL segments ({segment}MB): PostgreSQL needs that"


_SUMMED: Final = (
    "superuser_reserved_connections", "max_connections", "autovacuum_max_workers", "max_worker_processes",
    "max_wal_senders",
)  # fmt: skip


def _size(settings: Mapping[str, Setting], wanted: Mapping[str, object], name: str) -> int:
    setting = settings.get(name)
    if setting is None:
        return 0
    try:
        return int(canonical(setting, wanted.get(name, setting.value)))
    except ValueError:  # said of the parameter itself
        return int(setting.value)
