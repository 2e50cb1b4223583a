"""One look at etcd -> Dcs. A value that cannot be read makes its own key absent, and is said."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Callable, Iterable, Mapping
from functools import partial
from typing import Any, TypeVar

from hactl.units import Lsn
from hactl.view.archive import ArchiveMark, Drain
from hactl.view.control import (
    AgentFacts,
    Dcs,
    DcsMember,
    Fenced,
    FenceIntent,
    Key,
    Leader,
    Mode,
    Order,
    OrderDone,
    PatroniKeys,
    Prime,
)
from hactl.view.drill import parse_drill
from hactl.view.keys import Keys
from hactl.view.kv import Pair, RangesReply
from hactl.view.model import DbRole
from hactl.view.mute import Mute
from hactl.view.parse.agent_facts import parse_agent_facts
from hactl.view.parse.archive import parse_drain, parse_mark
from hactl.view.parse.by_hand import parse_holder, parse_mute, parse_pause, parse_scheduled
from hactl.view.parse.fields import Json, document, lsn, mapping, number, text
from hactl.view.parse.maintenance import parse_maintenance
from hactl.view.parse.patroni import ROLES
from hactl.view.parse.tls import parse_tls_check

T = TypeVar("T")


def parse_look(keys: Keys, reply: RangesReply) -> Dcs:
    """`reply` answers keys.look(). Never raises: what could not be read is in Dcs.problems."""
    problems: list[str] = []
    own: dict[str, Pair] = {}
    patroni: dict[str, Pair] = {}
    for found in reply.ranges:
        for pair in found:
            if pair.key.startswith(keys.own):
                own[pair.key.removeprefix(keys.own)] = pair
            elif pair.key.startswith(keys.patroni):
                patroni[pair.key.removeprefix(keys.patroni)] = pair
    return Dcs(
        revision=reply.revision,
        patroni=_patroni(patroni, problems),
        **_families(own, problems),
        **_single(own, problems),
        **_archives(own, problems),
        maintenance={n: parse_maintenance(n, p.value) for n, p in _below(own, "maintenance/")},
        alive={n: Key(p.value, p.mod_revision, p.lease) for n, p in _below(own, "alive/")},
        mode_revisions={n: p.mod_revision for n, p in _below(own, "mode/")},
        problems=tuple(problems),
    )


def parse_archive_key(keys: Keys, pair: Pair) -> tuple[str, Drain | ArchiveMark | AgentFacts] | None:
    """The node, and what one of its keys says; None: a key of another kind.

    Raises:
        ValueError: it cannot be read.

    """
    family, _, rest = pair.key.removeprefix(keys.own).partition("/")
    node, _, what = rest.partition("/")
    match family, what:
        case "facts", "":
            return node, parse_agent_facts(pair.value)
        case "archive", "drain":
            return node, parse_drain(node, pair.value)
        case "archive", "state":
            return node, parse_mark(pair.value)
    return None


def _object(value: str) -> Json:
    return mapping(document(value.encode(), "value"), "value")


def _integer(found: Json, name: str) -> int:
    value = number(found.get(name))
    if value is None:
        raise ValueError(f"{name} is no number")
    return value


def _leader(found: Json) -> Leader:
    return Leader(text(found.get("node"), "node"), _integer(found, "lease"), _integer(found, "mod_revision"))


def parse_fence(node: str, value: str) -> FenceIntent:
    """The value of fence/NODE. Raises ValueError: not a fence intent."""
    found = _object(value)
    return FenceIntent(
        node=node,
        epoch=_integer(found, "epoch"),
        incident=str(found.get("incident", "")),
        by=str(found.get("by", "")),
        leader=_leader(mapping(found.get("leader"), "leader")),
        reason=str(found.get("reason", "")),
    )


def _fenced(node: str, value: str) -> Fenced:
    found = _object(value)
    return Fenced(node, _integer(found, "epoch"), text(found.get("postgres"), "postgres"))


def parse_prime(node: str, value: str) -> Prime:
    found = _object(value)
    return Prime(node, _integer(found, "epoch"), text(found.get("reject"), "reject"))


def _order(node: str, value: str) -> Order:
    found = _object(value)
    return Order(
        node, text(found.get("id"), "id"), text(found.get("verb"), "verb"), str(found.get("unit", ""))
    )


def _done(node: str, value: str) -> OrderDone:
    found = _object(value)
    return OrderDone(node, text(found.get("id"), "id"), found.get("ok") is True, str(found.get("said", "")))


# First part of the key -> field of Dcs, and what makes its value from the node's name and the key's value.
_FAMILIES: Mapping[str, tuple[str, Callable[[str, str], object]]] = {
    "mode": ("modes", lambda _, value: Mode(value)),
    "fence": ("fences", parse_fence),
    "fenced": ("fenced", _fenced),
    "prime": ("primes", parse_prime),
    "primed": ("primed", lambda _, value: _integer(_object(value), "epoch")),
    "order": ("orders", _order),
    "done": ("done", _done),
    "facts": ("facts", lambda _, value: parse_agent_facts(value)),
}


def _below(pairs: Mapping[str, Pair], prefix: str) -> list[tuple[str, Pair]]:
    return [(key.removeprefix(prefix), pair) for key, pair in pairs.items() if key.startswith(prefix)]


def _families(own: Mapping[str, Pair], problems: list[str]) -> dict[str, Any]:
    fields: dict[str, dict[str, object]] = {name: {} for name, _ in _FAMILIES.values()}
    for key, pair in own.items():
        family, _, node = key.partition("/")
        if family not in _FAMILIES or not node or "/" in node:
            continue
        field, understand = _FAMILIES[family]
        try:
            fields[field][node] = understand(node, pair.value)
        except ValueError as error:
            problems.append(f"{pair.key}: {error}")
    return fields


def _archives(own: Mapping[str, Pair], problems: list[str]) -> dict[str, Any]:
    drains: dict[str, Drain] = {}
    marks: dict[str, ArchiveMark] = {}
    for key, pair in _below(own, "archive/"):
        node, _, what = key.partition("/")
        if what == "drain":
            drains[node] = parse_drain(node, pair.value)
        elif what == "state" and (mark := _read(pair, parse_mark, None, problems)):
            marks[node] = mark
    return {"drains": drains, "archive_states": marks}


def _single(own: Mapping[str, Pair], problems: list[str]) -> dict[str, Any]:
    incident = own.get("incident")
    return {
        "active": _read(own.get("controller"), _node, "", problems) or None,
        "standing_by": tuple(sorted(node for node, _ in _below(own, "standby/"))),
        "incident": None if incident is None else incident.value,
        "epoch": _read(own.get("epoch"), _decimal, 0, problems),
        "recent_failovers": sum(k.startswith("recent/failover/") for k in own),
        "budget": _budget(own),
        "drill": _read(own.get("drill"), parse_drill, None, problems),
        "tls_check": _read(own.get("tls-check"), parse_tls_check, None, problems),
        "reconciled": _read(own.get("reconciled"), _timeline, 0, problems),
        # Whatever it says: somebody wants hands off.
        "paused": "paused" in own,
        "pause": parse_pause(own["paused"].value) if "paused" in own else None,
        "mutes": _mutes(own, problems),
        "scheduled": _read(own.get("scheduled"), parse_scheduled, None, problems),
        "operation": _read(own.get("operation"), parse_holder, None, problems),
    }


def _mutes(own: Mapping[str, Pair], problems: list[str]) -> tuple[Mute, ...]:
    found = (_read(pair, partial(parse_mute, name), None, problems) for name, pair in _below(own, "mute/"))
    return tuple(mute for mute in found if mute is not None)


def _read(pair: Pair | None, understand: Callable[[str], T], missing: T, problems: list[str]) -> T:
    if pair is None:
        return missing
    try:
        return understand(pair.value)
    except ValueError as error:
        problems.append(f"{pair.key}: {error}")
        return missing


def _node(value: str) -> str:
    return text(_object(value).get("node"), "node")


def _timeline(value: str) -> int:
    return _integer(mapping(document(value.encode(), "reconciled"), "reconciled"), "timeline")


def _decimal(value: str) -> int:
    epoch = number(value)
    if epoch is None:
        raise ValueError("no number")
    return epoch


def _budget(own: Iterable[str]) -> dict[tuple[str, str], int]:
    parts = (key.split("/") for key in own if key.startswith("budget/"))
    return dict(Counter((p[1], p[2]) for p in parts if len(p) == 4))


def _patroni(keys: Mapping[str, Pair], problems: list[str]) -> PatroniKeys:
    leader = keys.get("leader")
    nobody: tuple[str, tuple[str, ...]] = ("", ())
    sync = _read(keys.get("sync"), _sync, nobody, problems)
    members = {}
    for name, pair in _below(keys, "members/"):
        if member := _read(pair, partial(_member, name), None, problems):
            members[name] = member
    return PatroniKeys(
        leader=Leader(leader.value, leader.lease, leader.mod_revision) if leader and leader.value else None,
        sync_leader=sync[0],
        sync_standbys=sync[1],
        members=members,
        paused=_read(keys.get("config"), _pause, False, problems),
        # No failover of the controller's rests on these two: what cannot be read there is no problem of its.
        timeline=_read(keys.get("history"), _newest, None, []),
        written=_read(keys.get("status"), _written, None, []),
    )


def _newest(value: str) -> int | None:
    """Patroni's /history has a line for each timeline that ended."""
    ended = json.loads(value)
    last = ended[-1] if isinstance(ended, list) and ended else None
    timeline = number(last[0]) if isinstance(last, list) and last else None
    return None if timeline is None else timeline + 1


def _written(value: str) -> Lsn | None:
    return lsn(_object(value).get("optime"))


def _sync(value: str) -> tuple[str, tuple[str, ...]]:
    """Patroni's /sync; what is null there is empty here."""
    found = _object(value)
    names = str(found.get("sync_standby") or "").split(",")
    return str(found.get("leader") or ""), tuple(n for n in names if n)


def _pause(value: str) -> bool:
    return bool(_object(value).get("pause"))


def _member(name: str, value: str) -> DcsMember:
    found = _object(value)
    return DcsMember(
        name=name,
        role=ROLES.get(str(found.get("role")), DbRole.UNKNOWN),
        state=str(found.get("state", "unknown")),
        replication_state=str(found.get("replication_state") or ""),
        timeline=number(found.get("timeline")),
        lsn=lsn(found.get("xlog_location")),
    )
