"""Which vetoes a command by hand is asked about, in words: for --explain. Pure.

What a veto rests on is decided where it is made (node_stop.py, ...); a test holds that this table names every
veto that can come from there, and none that cannot.
"""

from __future__ import annotations

import enum
from collections.abc import Collection, Iterable, Iterator, Mapping
from collections.abc import Set as AbstractSet
from dataclasses import dataclass
from typing import Final

from hactl.decide.plan import Veto
from hactl.spec.model import Role

_DB, _ARC, _WIT = Role.DATABASE, Role.ARCHIVE, Role.WITNESS
_ALL: Final = frozenset({_DB, _ARC, _WIT})
_VOTERS: Final = frozenset({_DB, _WIT})


class Said(enum.StrEnum):
    """`not asked`: another veto, or an option of the command, made the question idle."""

    NO_VETO = "no veto"
    VETO = "veto"
    NOT_ASKED = "not asked"


@dataclass(frozen=True)
class Asked:
    """One question and its answer; `why`: the veto's words, or why it was not asked."""

    code: str
    question: str
    said: Said
    why: str = ""


@dataclass(frozen=True)
class _Question:
    """`after`: vetoes that make it idle; where there is no look at etcd, everything is."""

    text: str
    after: tuple[str, ...] = ()


_NO_PRIMARY: Final = ("PRIMARY_UNKNOWN",)
_NO_TARGET: Final = ("NO_TARGET", "ALREADY_PRIMARY")
_UNFIT: Final = (*_NO_PRIMARY, *_NO_TARGET)
_NO_AGENT: Final = ("NO_PRIMARY", "AGENT_SILENT")

QUESTIONS: Final[Mapping[str, _Question]] = {
    "ETCD_UNKNOWN": _Question("does a majority of etcd answer?"),
    "INCIDENT_OPEN": _Question("is a failover under way, or not over yet?"),
    "PAUSED": _Question("is hactl paused, or does somebody deploy?"),
    "PATRONI_PAUSED": _Question("is Patroni paused?"),
    "FENCED": _Question("is anything fenced that this needs?"),
    "ORDER_AT_WORK": _Question("has {node}'s agent an order that it has not ended?"),
    "AGENT_SILENT": _Question("does the agent report that would have to obey?", ("NO_PRIMARY", "NO_TARGET")),
    "JOINING": _Question("is {node} being made a standby again just now?"),
    "OTHER_IN_MAINTENANCE": _Question("does somebody work on another node?"),
    "IN_MAINTENANCE": _Question("does somebody work on a node that this needs?", _NO_TARGET),
    "ALREADY_STOPPED": _Question("was {node} stopped by somebody already?"),
    "STOPPED": _Question("was {node} stopped by somebody?"),
    "NO_MAINTENANCE": _Question("is there anything to end on {node}?"),
    "PRIMARY_UNKNOWN": _Question("is it known which node is the primary?"),
    "IS_PRIMARY": _Question("is {node} the primary?", _NO_PRIMARY),
    "NOT_PRIMARY": _Question("is {node} still the primary?"),
    "NO_OTHER_DATABASE": _Question("would another database node be left?"),
    "ETCD_QUORUM": _Question("would etcd keep its majority?"),
    "NO_OTHER_CONTROLLER": _Question("would another controller be left?"),
    "NO_OTHER_ARCHIVE": _Question("could another archive node take over, or is {node} out already?"),
    "ALREADY_DRAINED": _Question("is {node} drained already?"),
    "VIP_ELSEWHERE": _Question("is the database VIP where the primary is?", _NO_PRIMARY),
    "ETCD_DEGRADED": _Question("does every member of etcd answer?", _NO_PRIMARY),
    "ETCD_NO_LEADER": _Question("is it known which member of etcd leads?"),
    "NO_TARGET": _Question("is there a node to give the role to?", _NO_PRIMARY),
    "ALREADY_PRIMARY": _Question("is that node the primary already?", (*_NO_PRIMARY, "NO_TARGET")),
    "STANDBY_UNFIT": _Question("does that node stream from the primary?", _UNFIT),
    "NOT_IN_SYNC": _Question("has that node all that was acknowledged?", (*_UNFIT, "STANDBY_UNFIT")),
    "STANDBY_LAGGING": _Question("has that node replayed all but 1 MiB?", _UNFIT),
    "PAGES_DAMAGED": _Question("has no page of its data failed its checksum?", (*_UNFIT, "AGENT_SILENT")),
    "LONG_TRANSACTION": _Question(
        "has a client's transaction been open for a minute?", ("TRANSACTIONS_UNKNOWN", *_NO_PRIMARY)
    ),
    "TRANSACTIONS_UNKNOWN": _Question("do the servers tell which transactions are open?", _NO_PRIMARY),
    "PATRONI_SILENT": _Question("does {node}'s Patroni answer?"),
    "NOT_RUNNING": _Question("does PostgreSQL run on {node}?", ("PATRONI_SILENT",)),
    "NO_PENDING_RESTART": _Question("does anything wait for a restart?", ("PATRONI_SILENT",)),
    "NO_ETCD": _Question("has {node} an etcd?"),
    "STREAMS": _Question("does {node} stream, so that there is nothing to repair?"),
    "NO_PRIMARY": _Question("is there a running primary, which is another node?"),
    "PRIMARY_OUT_OF_REACH": _Question("does {node} reach the primary's PostgreSQL?", _NO_AGENT),
    "DISK_FULL": _Question("have {node}'s disks room for it?", _NO_AGENT),
    "LAST_COPY": _Question("may {node} hold the last good copy?"),
    "NEWER_TIMELINE": _Question("is {node} on a newer timeline than the primary?", ("UNKNOWN", "LAST_COPY")),
    "UNKNOWN": _Question("does {node}'s Patroni say what it has?"),
    "NO_FENCE_AGENT": _Question("is there a fence agent to cut {node}'s power?"),
    "NOT_PROVABLE": _Question("could anything prove {node} silent?"),
    "ALREADY_FENCED": _Question("is {node} fenced already?"),
    "OTHER_FENCED": _Question("is the other database node fenced?"),
    "OTHER_STOPPED": _Question("was the other database node stopped by somebody?"),
    "NOBODY_TAKES_OVER": _Question("would the database be left without anybody to serve it?"),
    "NOT_FENCED": _Question("is {node} fenced at all?"),
    "CONTROLLERS_FENCE": _Question("was it the controller who fenced {node}?", ("NOT_FENCED",)),
    "NOT_DEPLOYED": _Question("has the spec's file changes that were not deployed?"),
    "VALUE_REFUSED": _Question("do the servers and Patroni take these values as they are?"),
    "NOT_HEALTHY": _Question("is the installation healthy?"),
    "LAB_ONLY": _Question("is this fault one that only a lab can mend?"),
    "NOBODY_TO_STRIKE": _Question("has any node the role that is to be struck?"),
    "NO_WINDOW": _Question("does the spec agree to no window for drills?"),
    "ZONE_UNKNOWN": _Question("is the windows' time zone known here?", ("NO_WINDOW",)),
    "OUTSIDE_WINDOW": _Question("is a window for drills open?", ("NO_WINDOW", "ZONE_UNKNOWN")),
    "WINDOW_ENDS": _Question(
        "is it open for long enough?", ("NO_WINDOW", "ZONE_UNKNOWN", "OUTSIDE_WINDOW")
    ),
    "NOT_REDUNDANT": _Question("is anything missing, broken or unknown, also what is kept quiet?"),
    "SCHEDULED": _Question("is a switchover scheduled?"),
    "TOO_MANY_FAILOVERS": _Question("would a failover more be left for a real loss within this hour?"),
    "NODE_SILENT": _Question("does each node that is asked answer over SSH?"),
    "FAULT_UNDER_WAY": _Question("is another fault under way?"),
    "NODE_REFUSES": _Question("would the node itself do it?"),
    "STILL_LEADS": _Question("does {node} still hold the leader key?", ("NOT_FENCED",)),
}  # fmt: skip

_AT_WORK: Final = dict.fromkeys(("INCIDENT_OPEN", "PAUSED", "FENCED", "ORDER_AT_WORK"), _ALL)
_DRAIN: Final = dict.fromkeys(("NO_OTHER_ARCHIVE", "ALREADY_DRAINED", "AGENT_SILENT", "PAUSED"), _ALL)
_SWITCH: Final = dict.fromkeys((
    "INCIDENT_OPEN", "PAUSED", "PATRONI_PAUSED", "FENCED", "PRIMARY_UNKNOWN", "VIP_ELSEWHERE",
    "ETCD_DEGRADED", "NO_TARGET", "ALREADY_PRIMARY", "STANDBY_UNFIT", "NOT_IN_SYNC", "STANDBY_LAGGING",
    "PAGES_DAMAGED",
    "IN_MAINTENANCE", "AGENT_SILENT",
), _ALL)  # fmt: skip
_JOIN: Final = dict.fromkeys((
    *_AT_WORK, "PATRONI_PAUSED", "JOINING", "STOPPED", "IS_PRIMARY", "NO_PRIMARY", "AGENT_SILENT",
    "PRIMARY_OUT_OF_REACH", "DISK_FULL",
), _ALL)  # fmt: skip
_UNIT: Final = {**_AT_WORK, "AGENT_SILENT": _ALL}

# Command -> the codes that it is asked about -> the roles of nodes of which.
ASKED: Final[Mapping[str, Mapping[str, AbstractSet[Role]]]] = {
    "stop": {
        **_AT_WORK, "AGENT_SILENT": _ALL, "OTHER_IN_MAINTENANCE": _ALL, "ALREADY_STOPPED": _ALL,
        "PRIMARY_UNKNOWN": {_DB}, "IS_PRIMARY": {_DB}, "NO_OTHER_DATABASE": {_DB}, "PATRONI_PAUSED": {_DB},
        "JOINING": {_DB}, "ETCD_QUORUM": _VOTERS, "NO_OTHER_CONTROLLER": _VOTERS, "NO_OTHER_ARCHIVE": {_ARC},
    },
    "start": {"FENCED": _ALL, "ORDER_AT_WORK": _ALL, "AGENT_SILENT": _ALL, "PATRONI_PAUSED": {_DB}},
    "maintenance-on": {
        **_AT_WORK, "AGENT_SILENT": _ALL, "OTHER_IN_MAINTENANCE": _ALL, "ALREADY_STOPPED": _ALL,
        "PRIMARY_UNKNOWN": {_DB}, "IS_PRIMARY": {_DB}, "ETCD_QUORUM": _VOTERS, "NO_OTHER_ARCHIVE": {_ARC},
        "ALREADY_DRAINED": {_ARC},
    },
    "maintenance-off": {"NO_MAINTENANCE": _ALL},
    "rejoin": {**_JOIN, "STREAMS": _ALL},
    "reinit": {**_JOIN, "LAST_COPY": _ALL, "NEWER_TIMELINE": _ALL, "UNKNOWN": _ALL},
    "fence": dict.fromkeys((
        "INCIDENT_OPEN", "NO_PRIMARY", "ALREADY_FENCED", "OTHER_FENCED", "OTHER_STOPPED", "NO_FENCE_AGENT",
        "NOT_PROVABLE", "IS_PRIMARY", "NOBODY_TAKES_OVER",
    ), _ALL),
    "unfence": {"NOT_FENCED": _ALL, "CONTROLLERS_FENCE": _ALL, "STILL_LEADS": _ALL},
    "switchover": {**_SWITCH, "TRANSACTIONS_UNKNOWN": _ALL, "LONG_TRANSACTION": _ALL},
    "drain": _DRAIN,
    "drill": {**_SWITCH, **dict.fromkeys((
        "LAB_ONLY", "NOBODY_TO_STRIKE", "NO_FENCE_AGENT", "NO_WINDOW", "ZONE_UNKNOWN", "OUTSIDE_WINDOW",
        "WINDOW_ENDS", "NOT_REDUNDANT", "ORDER_AT_WORK", "SCHEDULED", "TOO_MANY_FAILOVERS", "NODE_SILENT",
        "FAULT_UNDER_WAY", "NODE_REFUSES",
    ), _ALL)},
    "config": {"NOT_DEPLOYED": _ALL, "VALUE_REFUSED": _ALL, "NOT_HEALTHY": _ALL},
    "etcd mend": {"ETCD_DEGRADED": _VOTERS, "ETCD_NO_LEADER": _VOTERS},
    "deploy": {"NOT_HEALTHY": _ALL, "NODE_SILENT": _ALL},
    # Of restart: by the kinds of its steps (decide/restart.py).
    "RestartPostgres": {
        **_AT_WORK, "PRIMARY_UNKNOWN": _ALL, "JOINING": _ALL, "PATRONI_SILENT": _ALL, "NOT_RUNNING": _ALL,
        "IS_PRIMARY": _ALL, "NOT_PRIMARY": _ALL, "NO_PENDING_RESTART": _ALL,
    },
    "SwitchOver": {**_SWITCH, "NOT_PRIMARY": _ALL, "ORDER_AT_WORK": _ALL},
    "RestartArchive": {**_DRAIN, **_AT_WORK},
    "RestartEtcd": {**_UNIT, "ETCD_QUORUM": _ALL},
    "RestartUnit": _UNIT,
    "restart-all": {"IN_MAINTENANCE": _ALL, "NO_PENDING_RESTART": _ALL},
    "restart-etcd": {"NO_ETCD": _ALL},
    "restart-pending": {"NO_PENDING_RESTART": _ALL},
}  # fmt: skip


def asked(
    actions: Iterable[str],
    node: str,
    roles: Collection[Role],
    vetoes: Iterable[Veto],
    idle: Mapping[str, str] | None = None,
) -> tuple[Asked, ...]:
    """What `actions` are asked about a node with these roles (none: of all), and what was answered.

    `idle`: code -> the option that makes its question idle.
    """
    codes = dict.fromkeys(("ETCD_UNKNOWN", *(c for action in actions for c in _of(action, roles))))
    found: dict[str, str] = {}
    for veto in vetoes:
        found[veto.code] = "; ".join(filter(None, (found.get(veto.code), _words(veto))))
    known = (_answer(code, node, found, idle or {}) for code in codes)
    others = (Asked(code, "", Said.VETO, why) for code, why in found.items() if code not in codes)
    return (*known, *others)


def _of(action: str, roles: Collection[Role]) -> Iterator[str]:
    yield from (code for code, of in ASKED.get(action, {}).items() if not roles or of & set(roles))


def _answer(code: str, node: str, found: Mapping[str, str], idle: Mapping[str, str]) -> Asked:
    question = QUESTIONS[code].text.replace("{node}", node)
    if code in found:
        return Asked(code, question, Said.VETO, found[code])
    if code in idle:
        return Asked(code, question, Said.NOT_ASKED, idle[code])
    before = next((c for c in ("ETCD_UNKNOWN", *QUESTIONS[code].after) if c in found), "")
    if before and code != before:
        return Asked(code, question, Said.NOT_ASKED, f"because of {before}")
    return Asked(code, question, Said.NO_VETO)


def _words(veto: Veto) -> str:
    return f"{veto.why}{f' [{veto.evidence}]' if veto.evidence else ''}"
