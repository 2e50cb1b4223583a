"""The dispatcher's `preflight`, and what a server tells besides its settings."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

from hactl import layout
from hactl.view.model import Unknown
from hactl.view.parse.fields import Json, document, items, mapping, number, text, texts
from hactl.view.parse.settings import SETTINGS, parse_settings
from hactl.view.preflight import ArpLook, NodePreflight, Reach, Reached, ServerLook, Slot, Upgrades

# What PostgreSQL's manual grants a role for pg_rewind.
_REWIND: Final = (
    "pg_ls_dir(text, boolean, boolean)", "pg_stat_file(text, boolean)", "pg_read_binary_file(text)",
    "pg_read_binary_file(text, bigint, bigint, boolean)",
)  # fmt: skip
_FUNCTIONS: Final = ", ".join(f"'pg_catalog.{name}'" for name in _REWIND)

# One value comes back, in JSON. Directory and slots are told to pg_monitor.
QUERY: Final = f"""
select json_build_object({SETTINGS},
  'rewind', (select json_build_object('login', rolcanlogin, 'lacks', (
      select coalesce(json_agg(f), '[]') from unnest(array[{_FUNCTIONS}]) f
      where not has_function_privilege(r.oid, f, 'execute'))) from pg_roles r
    where rolname = '{layout.ROLE_REWIND}'),
  'wal', (select sum(size)::bigint from pg_ls_waldir()),
  'slots', (select coalesce(json_agg(json_build_object('name', slot_name, 'active', active,
      'retained', pg_wal_lsn_diff(case when pg_is_in_recovery() then pg_last_wal_receive_lsn()
        else pg_current_wal_lsn() end, restart_lsn)::bigint, 'status', wal_status)), '[]')
    from pg_replication_slots))
"""  # noqa: S608 - constants of our own


def parse_server(body: bytes) -> ServerLook:
    """Raises ValueError: not the answer to QUERY. An older node tells its settings only."""
    answer = mapping(document(body, "server"), "server")
    slots = (
        Slot(
            text(s.get("name"), "slot"),
            s.get("active") is True,
            number(s.get("retained")),
            _word(s, "status"),
        )
        for s in items(answer.get("slots"), "server: slots")
    )
    return ServerLook(parse_settings(body), _rewind(answer), number(answer.get("wal")), tuple(slots))


def _rewind(answer: Json) -> str | Unknown:
    if "rewind" not in answer:
        return Unknown("this node's program is older and does not tell")
    if answer["rewind"] is None:
        return f"there is no role {layout.ROLE_REWIND}"
    role = mapping(answer["rewind"], "server: rewind")
    if role.get("login") is not True:
        return f"the role {layout.ROLE_REWIND} may not log in"
    lacks = texts(role.get("lacks"), "server: rewind")
    return f"the role {layout.ROLE_REWIND} may not call {lacks[0].partition('.')[2]}" if lacks else ""


def parse_preflight(body: bytes) -> NodePreflight:
    """Raises ValueError: it is something else."""
    answer = mapping(document(body, "preflight"), "preflight")
    kernel = mapping(answer.get("kernel") or {}, "preflight: kernel")
    watchdog = answer.get("watchdog")
    return NodePreflight(
        reach=tuple(_reach(items(answer.get("reach"), "preflight: reach"))),
        arp=tuple(_arp(found) for found in items(answer.get("arp"), "preflight: arp")),
        upgrades=_upgrades(answer.get("upgrades")),
        kernel={name: str(problem) for name, problem in kernel.items()},
        watchdog=watchdog if isinstance(watchdog, bool) else None,
        backup_age=_backup(answer.get("backup")),
    )


def _reach(found: list[Json]) -> Iterator[Reach]:
    for entry in found:
        port = number(entry.get("port"))
        if port is None:
            raise ValueError("preflight: reach: no port")
        word = _word(entry, "found")
        came = Reached(word) if word in set(Reached) else Reached.UNKNOWN
        yield Reach(
            text(entry.get("to"), "preflight: reach"), port, _word(entry, "what"), came,
            entry.get("vip") is True,
        )  # fmt: skip


def _arp(found: Json) -> ArpLook:
    rules = mapping(found.get("rules") or {}, "preflight: arp")
    known = {name: number(value) for name, value in rules.items()}
    return ArpLook(
        vip=text(found.get("vip"), "preflight: arp"),
        address=text(found.get("address"), "preflight: arp"),
        interface=_word(found, "interface"),
        mine=_word(found, "mine").lower(),
        held=found.get("held") is True,
        macs=tuple(mac.lower() for mac in texts(found.get("macs"), "preflight: arp")),
        claimed=tuple(mac.lower() for mac in texts(found.get("claimed"), "preflight: arp")),
        cached=_word(found, "cached").lower(),
        also=texts(found.get("also"), "preflight: arp"),
        rules={name: value for name, value in known.items() if value is not None},
        problem=_word(found, "problem"),
    )


def _upgrades(found: object) -> Upgrades | Unknown:
    if found is None:
        return Unknown("apt's configuration could not be read")
    said = mapping(found, "preflight: upgrades")
    return Upgrades(
        unattended=said.get("unattended") is True,
        kept=texts(said.get("kept"), "preflight: upgrades"),
        reboots=said.get("reboots") is True,
        restarts=said.get("restarts") is True,
        spared=texts(said.get("spared"), "preflight: upgrades"),
    )


def _backup(found: object) -> float | Unknown | None:
    if found is None:
        return None
    said = mapping(found, "preflight: backup")
    age = said.get("age_s")
    if isinstance(age, int | float) and not isinstance(age, bool):
        return float(age)
    return Unknown(_word(said, "why") or "no stamp")


def _word(found: Json, key: str) -> str:
    value = found.get(key)
    return value if isinstance(value, str) else ""
