"""What every setting should be, what Patroni has, and what each server runs with: where they disagree."""

from __future__ import annotations

import enum
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field

from hactl.decide.config_rules import Clamp, clamps, parameters
from hactl.decide.config_values import same, written
from hactl.view.config_version import ConfigVersion, digest_of
from hactl.view.setting import Running, Setting

PREFIX = "postgresql.parameters."
_OWN_WORDS = frozenset({"pause"})  # Patroni's, set by its own command and a finding of its own
RESTART = "hactl node restart --all --pending"
HIDDEN = "(not shown)"
_SECRET = ("conninfo", "passphrase")


class Origin(enum.StrEnum):
    """Who says what a setting should be: the spec, hactl's defaults, or hactl's file on each node."""

    SPEC = "spec"
    HACTL = "hactl"
    PINNED = "pinned"
    NOBODY = ""


class Kind(enum.StrEnum):
    """What kind of disagreement it is.

    `spec`: the file is not what was deployed last, or that was not completed. `dcs`: Patroni's configuration
    is not as rendered. `running`: a server's value is not. `pending`: it waits for a restart. `clamped`:
    Patroni goes by another value than is written.
    """

    SPEC = "spec"
    DCS = "dcs"
    RUNNING = "running"
    PENDING = "pending"
    CLAMPED = "clamped"


@dataclass(frozen=True)
class Wanted:
    """`dynamic`: rendered for Patroni; `own`: parameters that the spec names; `pinned`: in nodes' files."""

    dynamic: Mapping[str, object]
    own: frozenset[str] = frozenset()
    pinned: Mapping[str, object] = field(default_factory=dict)


@dataclass(frozen=True)
class Row:
    """One setting everywhere; `wanted`, `dcs`: "" where nobody sets it; `effective`: if it is not `dcs`."""

    name: str
    parameter: bool
    origin: Origin
    wanted: str
    dcs: str
    effective: str = ""
    running: Mapping[str, Setting] = field(default_factory=dict)
    pending: frozenset[str] = frozenset()


@dataclass(frozen=True)
class Deviation:
    """`where`: a node, or "" for Patroni's configuration in etcd. `fix`: the command that ends it."""

    kind: Kind
    name: str
    where: str
    wanted: str
    found: str
    detail: str = ""
    fix: str = ""


def of_versions(newest: ConfigVersion | None, text: str) -> tuple[Deviation, ...]:
    """The spec's file against the newest version in etcd. Before the first deployment there is none."""
    if newest is None:
        return ()
    about = f"version {newest.number} ({newest.how}, {newest.author}, {newest.at[:19]})"
    if newest.digest == digest_of(text):
        if newest.applied:
            return ()
        detail = f"{about} was begun and not completed"
        return (Deviation(Kind.SPEC, "spec", "", "deployed", "begun", detail, "hactl deploy"),)
    if newest.applied:
        detail = f"the file was changed after {about} was deployed"
        return (Deviation(Kind.SPEC, "spec", "", "deployed", "changed", detail, "hactl deploy"),)
    detail = f"{about} was begun, not completed, and the file does not have it"
    fix = f"hactl config rollback {newest.number} completes it; hactl deploy keeps the file"
    return (Deviation(Kind.SPEC, "spec", "", "deployed", "begun", detail, fix),)


def flat(config: Mapping[str, object], prefix: str = "") -> Iterator[tuple[str, object]]:
    """The settings with dotted names: postgresql.parameters.max_connections."""
    for key, value in config.items():
        if isinstance(value, Mapping):
            yield from flat(value, f"{prefix}{key}.")
        else:
            yield f"{prefix}{key}", value


def rows(
    wanted: Wanted, dcs: Mapping[str, object] | None, running: Mapping[str, Running], *, whole: bool = False
) -> tuple[Row, ...]:
    """Patroni's settings, then PostgreSQL's. `dcs` None: not known. `whole`: all that is not the default."""
    used = {c.name: c for c in clamps(dcs)} if dcs is not None else {}
    should, has = dict(flat(wanted.dynamic)), dict(flat(dcs or {}))
    own = [n for n in dict.fromkeys([*should, *has]) if not n.startswith(PREFIX)]
    names = {*parameters(wanted.dynamic), *parameters(dcs or {}), *wanted.pinned}
    if whole:
        names |= {n for r in running.values() for n, s in r.settings.items() if _set_somewhere(s)}
    patroni = [
        Row(n, False, Origin.HACTL if n in should else Origin.NOBODY, written(should.get(n)),
            written(has.get(n)), _effective(used.get(n)))
        for n in own
    ]  # fmt: skip
    return (*patroni, *(_row(n, wanted, dcs or {}, running, used) for n in sorted(names)))


def _effective(clamp: Clamp | None) -> str:
    return clamp.effective if clamp else ""


def _set_somewhere(setting: Setting) -> bool:
    return setting.source not in {"default", "override", "environment variable"} and not setting.of_session


def _row(
    name: str,
    wanted: Wanted,
    dcs: Mapping[str, object],
    running: Mapping[str, Running],
    used: Mapping[str, Clamp],
) -> Row:
    should, has = parameters(wanted.dynamic), parameters(dcs)
    found = {node: r.settings[name] for node, r in running.items() if name in r.settings}
    pinned = name in wanted.pinned
    origin = Origin.NOBODY
    if name in should:
        origin = Origin.SPEC if name in wanted.own else Origin.HACTL
    waits = {n for n, r in running.items() if name in r.waiting or (n in found and found[n].pending)}
    return Row(
        name, True, Origin.PINNED if pinned else origin,
        written(wanted.pinned[name] if pinned else should.get(name)), written(has.get(name)),
        _effective(used.get(name)), found, frozenset(waits),
    )  # fmt: skip


def secret(name: str) -> bool:
    """Whether a value is not for showing."""
    return any(word in name for word in _SECRET)


def deviations(
    wanted: Wanted, dcs: Mapping[str, object] | None, running: Mapping[str, Running]
) -> tuple[Deviation, ...]:
    """Everything that is not as the spec has it. `dcs` None: not known, so the servers go by the spec."""
    found = [] if dcs is None else list(_in_dcs(wanted, dcs, running))
    for row in rows(wanted, dcs, running, whole=True):
        if row.parameter:
            found += _on_nodes(row, known=dcs is not None)
    return tuple(found)


def _in_dcs(wanted: Wanted, dcs: Mapping[str, object], running: Mapping[str, Running]) -> Iterator[Deviation]:
    should, has, used = dict(flat(wanted.dynamic)), dict(flat(dcs)), {c.name: c for c in clamps(dcs)}
    settings: dict[str, Setting] = {}
    for server in running.values():
        settings.update(server.settings)
    for name in sorted({*should, *has} - _OWN_WORDS):
        short, parameter = name.removeprefix(PREFIX), name.startswith(PREFIX)
        clamp = used.get(short)
        kind = Kind.CLAMPED if clamp else Kind.DCS
        what, fix = f"Patroni goes by {clamp.effective}: {clamp.why}" if clamp else "", "hactl deploy"
        if name not in should:
            if not parameter:
                fix = f"patronictl edit-config -s {name}=null, on a database node"
            detail = f"the spec does not have it{f'; {what}' if what else ''}"
            yield Deviation(kind, short, "", "", written(has[name]), detail, fix)
        elif clamp or not _equal(settings.get(short) if parameter else None, should[name], has.get(name)):
            detail = what if name in has else "it is missing there"
            yield Deviation(kind, short, "", written(should[name]), written(has.get(name)), detail, fix)


def _equal(setting: Setting | None, one: object, other: object) -> bool:
    if one is None or other is None:
        return one is other
    if setting is not None:
        return same(setting, one, other)
    return written(one).lower() == written(other).lower()


def _on_nodes(row: Row, *, known: bool) -> Iterator[Deviation]:
    """Against what Patroni has: what it should have and has not is said once, of Patroni."""
    pinned = row.origin is Origin.PINNED  # also where nothing shall stand
    should = row.effective or (row.wanted if pinned or not known else row.dcs)
    for node, setting in row.running.items():
        if setting.of_session:
            continue
        agrees = not (should or pinned) or same(setting, should, _plain(setting.value))
        value = HIDDEN if secret(row.name) else setting.shown
        if setting.by_alter_system:
            detail = "set by ALTER SYSTEM" + (", to the same value" if should and agrees else "")
            yield Deviation(Kind.RUNNING, row.name, node, should, value, detail, _reset(row.name, node))
        elif node in row.pending or (setting.restarts and not agrees):
            yield Deviation(Kind.PENDING, row.name, node, should, value, "waits for a restart", RESTART)
        elif not agrees:
            detail = f"from {setting.source}{f' {setting.file}' if setting.file else ''}"
            yield Deviation(Kind.RUNNING, row.name, node, should, value, detail, _reload(node))


def _plain(value: str) -> str:
    return "" if value == "(disabled)" else value  # archive_command's word for nothing


def _reset(name: str, node: str) -> str:
    return f"ALTER SYSTEM RESET {name}; SELECT pg_reload_conf(); as postgres on {node}"


def _reload(node: str) -> str:
    return f"hactl node logs {node} --unit patroni"
