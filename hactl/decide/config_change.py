"""A change of PostgreSQL's parameters, judged before anything is written."""

from __future__ import annotations

import difflib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field

from hactl.decide import config_rules
from hactl.decide.config_values import canonical, same, written
from hactl.view.setting import Running, Setting


@dataclass(frozen=True)
class Altered:
    """`before` and `after` as written, "" where nothing is; `restarts`: a server has to start anew for it."""

    name: str
    before: str
    after: str
    restarts: bool


@dataclass(frozen=True)
class Judged:
    """`problems`: it is refused, all reasons. `warnings`: it may be done, and this is what it costs."""

    changes: tuple[Altered, ...] = ()
    problems: tuple[str, ...] = ()
    warnings: tuple[str, ...] = field(default_factory=tuple)


def judge_change(
    before: Mapping[str, object], after: Mapping[str, object], running: Mapping[str, Running]
) -> Judged:
    """`before` and `after`: whole dynamic configurations, as rendered from the spec before and after.

    `running`: the servers that answered, the primary first; without any, nothing can be judged.
    """
    old, new = config_rules.parameters(before), config_rules.parameters(after)
    names = sorted(n for n in {*old, *new} if old.get(n) != new.get(n))
    servers = list(running.values())
    settings = servers[0].settings
    changes = tuple(
        Altered(n, written(old.get(n)), written(new.get(n)), _restarts(n, new.get(n), servers)) for n in names
    )
    changed = [c for c in changes if not (c.name in settings and c.after and c.before)
               or not same(settings[c.name], c.before, c.after)]  # fmt: skip
    problems = [*(p for n in names if n in new for p in _parameter(n, new[n], servers))]
    problems += [f"{c.name} = {c.written}: {c.why}" for c in config_rules.clamps(after)]
    problems += config_rules.together(settings, new)
    return Judged(changes, tuple(dict.fromkeys(problems)), tuple(_warnings(changed, settings)))


def _restarts(name: str, value: object, servers: list[Running]) -> bool:
    """Whether a server has to start anew for it: not where it still runs with this very value."""
    settings = [server.settings[name] for server in servers if name in server.settings]
    return any(s.restarts and (value is None or not same(s, value, s.value)) for s in settings)


def _parameter(name: str, value: object, servers: list[Running]) -> Iterator[str]:
    if why := config_rules.managed(name):
        yield f"{name} cannot be set here: it {why}"
        return
    for server in servers:
        setting = server.settings.get(name)
        if setting is None:
            near = difflib.get_close_matches(name, list(server.settings), n=1, cutoff=0.7)
            yield f"{name}: the server knows no such parameter" + (
                f"; did you mean {near[0]}?" if near else ""
            )
        elif setting.context == "internal":
            yield f"{name}: PostgreSQL was built or initialised with it, it cannot be changed"
        else:
            try:
                canonical(setting, value)
            except ValueError as error:
                yield f"{name} = {written(value)}: {name} {error}"


def _warnings(changed: list[Altered], settings: Mapping[str, Setting]) -> Iterator[str]:
    lowered = [c.name for c in changed if c.name in config_rules.NO_LESS_ON_STANDBY and _lower(c, settings)]
    if lowered:
        yield (
            f"{', '.join(lowered)} would be lowered: no standby may have less than its primary, so the "
            "primary restarts first and in its place: an outage of seconds"
        )
    if any(c.restarts for c in changed):
        names = ", ".join(c.name for c in changed if c.restarts)
        yield f"{names} is taken over by a restart only: hactl node restart --all --pending, afterwards"
    for name in ("shared_buffers", "huge_pages"):
        if any(c.name == name for c in changed):
            yield f"{name}: whether the machines have the memory is not checked; PostgreSQL needs it to start"


def _lower(change: Altered, settings: Mapping[str, Setting]) -> bool:
    setting = settings.get(change.name)
    if setting is None:
        return False
    try:
        unset = config_rules.FLOORS.get(change.name, (0, setting.default))[1]
        return int(canonical(setting, change.after or unset)) < int(setting.value)
    except ValueError:
        return False


# Settings that sessions cannot change, and one that they can whose values go through the same check.
_LIKE: Mapping[str, str] = {"log_timezone": "timezone", "lc_messages": "lc_monetary"}


def to_try(judged: Judged, settings: Mapping[str, Setting]) -> Mapping[str, str]:
    """What a server can be asked beforehand whether it takes it: name of a session's setting -> value.

    PostgreSQL has checks that pg_settings does not tell: it does not start with a time zone that is none.
    """
    asked = {}
    for change in judged.changes:
        name = _LIKE.get(change.name, change.name)
        if change.after and name in settings and settings[name].context == "user":
            asked[name] = change.after
    return asked


def not_taken(judged: Judged, refused: Mapping[str, str]) -> tuple[str, ...]:
    """What the server said to `to_try`, of the parameters that were meant."""
    names = {c.name: _LIKE.get(c.name, c.name) for c in judged.changes}
    return tuple(f"{name}: {refused[asked]}" for name, asked in names.items() if asked in refused)
