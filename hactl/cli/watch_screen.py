"""One frame of `status --watch`, line by line, for terminals from 80x24 on. Pure. Imports rich."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Final, Literal

from rich.text import Text

from hactl.cli import status_many
from hactl.cli.watch_around import Around

REASONS: Final = 4  # lines for findings; the verdict counts all of them
EVENTS: Final = 3  # lines that events have at least
LEVELS: Final = ("L0", "L1", "L2", "L3", "L4")
_COLOURS: Final = {
    "healthy": "bold green", "degraded": "bold yellow", "failed": "bold red",
    "error": "bold red", "warning": "yellow", "info": "cyan",
    "ok": "green", "unknown": "dim", "draining": "cyan", "drained": "cyan", "starting": "cyan",
}  # fmt: skip
Data = dict[str, Any]


@dataclass(frozen=True)
class Signs:
    """What a terminal can draw. No two signs differ by colour alone."""

    bars: str = "▁▂▃▄▅▆▇█"
    ok: str = "●"
    failed: str = "✕"
    unknown: str = "·"
    degraded: str = "◐"
    out: str = "○"
    gap: str = "✕"
    rule: str = "─"
    overflow: Literal["ellipsis", "crop"] = "ellipsis"

    def level(self, word: str) -> str:
        return {"ok": self.ok, "failed": self.failed}.get(word, self.unknown)

    def state(self, word: str) -> str:
        known = {"healthy": self.ok, "failed": self.failed, "degraded": self.degraded}
        return known.get(word, self.unknown if word == "unknown" else self.out)


PLAIN: Final = Signs(".:-=+*%@", "o", "x", ".", "~", "-", "x", "-", "crop")


@dataclass(frozen=True)
class Size:
    width: int
    height: int


def frame(data: Data, around: Around, size: Size, signs: Signs) -> list[Text]:
    """At most `size.height` lines, none wider than `size.width`."""
    top = [_head(data), *_reasons(data, size)]
    database = [_rule(_vip("database", data["database"]["vip"]), size, signs), *_members(data, signs)]
    commits = _commits(around, size, signs)
    foot = _cluster(data)
    room = size.height - len(top) - len(database) - 1 - len(foot) - (EVENTS + 1)
    archive = _archive(data, size, signs, max(1, room))
    lines = [*top, *database, commits, *archive, *foot]
    lines += _events(around, size, signs, size.height - len(lines))
    for line in lines:
        line.no_wrap = True
        line.truncate(size.width, overflow=signs.overflow)
    return lines[: size.height]


def _head(data: Data) -> Text:
    line = Text(f"{data['cluster']}  ", "bold")
    line.append(data["verdict"].upper(), _COLOURS[data["verdict"]])
    count = len(data["reasons"])
    said = f", {count} finding{'s' if count > 1 else ''}" if count else ""
    return line.append(f"{said}   {data['at'][11:19]}Z, looked for {data['took_seconds']:.2f} s", "dim")


def _reasons(data: Data, size: Size) -> list[Text]:
    found, room = data["reasons"], REASONS + max(0, (size.height - 24) // 4)
    lines = []
    for reason in found[: room if len(found) <= room else room - 1]:
        line = Text(f"  {reason['severity']:<8}", _COLOURS[reason["severity"]])
        line.append(f"{reason['code']} {reason['subject']}".rstrip(), "bold")
        lines.append(line.append(f": {reason['detail'] or reason['summary']}"))
    if len(found) > room:
        lines.append(Text(f"  and {len(found) - room + 1} more: hactl status", "dim"))
    fix = next((r["fix"] for r in found if r["severity"] in {"error", "warning"}), "")
    return [*lines, *([Text(f"  next: {fix}")] if fix else [])]


def _rule(title: str, size: Size, signs: Signs) -> Text:
    line = Text(f"{signs.rule} ", "dim")
    line.append(title, "bold")
    return line.append(f" {signs.rule * (size.width - len(title) - 3)}", "dim")


def _vip(what: str, vip: Data) -> str:
    return f"{what}: {vip['address']} on {vip['holder'] or 'no known node'}" if vip["address"] else what


def _members(data: Data, signs: Signs) -> list[Text]:
    return [_member(member, signs) for member in data["database"]["members"]] or [Text("  no member", "dim")]


def _member(member: Data, signs: Signs) -> Text:
    from hactl.units import Bytes

    primary = member["role"] == "primary"
    line = Text(f"  {signs.ok if primary else signs.out} {member['name']:<8} ", "bold" if primary else "")
    line.append(f"{member['role']:<8}", "bold green" if primary else "")
    line.append(f" {member['state']:<10} timeline {member['timeline'] or '-'}")
    if member["lag_bytes"] is not None:
        line.append(f"  lag {Bytes(member['lag_bytes'])}")
    if member["sync"] is not None:
        line.append(
            "  synchronous" if member["sync"] else "  not synchronous", "" if member["sync"] else "yellow"
        )
    lease = member["lease"]
    if lease["seconds_left"] is not None:
        line.append(f"  lease {lease['seconds_left']:.1f} s")
    elif lease["mode"] == "open":
        line.append("  no lease: open", "yellow")
    return line


def sparkline(values: Sequence[float | None], signs: Signs) -> str:
    """Each value as a bar, the highest one as the full one; a gap where nothing was committed."""
    highest = max((v for v in values if v is not None), default=0.0) or 1.0
    steps = len(signs.bars) - 1
    return "".join(signs.gap if v is None else signs.bars[round(v / highest * steps)] for v in values)


def _commits(around: Around, size: Size, signs: Signs) -> Text:
    line = Text("  commit ")
    known = [v for v in around.latencies if v is not None]
    if not known:
        return line.append(f"unknown: {around.no_latency or 'no commit was seen yet'}", "dim")
    said = f" {known[-1] * 1000:.0f} ms, worst {max(known) * 1000:.0f}"
    shown = around.latencies[-(size.width - len(line) - len(said) - 1) :]
    if around.latencies[-1] is None:
        said = " none now"
    line.append(sparkline(shown, signs), "green" if around.latencies[-1] is not None else "bold red")
    return line.append(said)


def _archive(data: Data, size: Size, signs: Signs, room: int) -> list[Text]:
    """A line for each node while there is room; else a sign for each, the worst first, and their counts."""
    nodes, head = data["archive"]["nodes"], _rule(_vip("archive", data["archive"]["vip"]), size, signs)
    if len(nodes) < room:
        return [head, *(_archive_node(node, signs) for node in nodes)]
    order = [*status_many.worst(nodes, len(nodes)), *(n for n in nodes if n["state"] == "healthy")]
    wide = size.width - 2
    rows = [order[at : at + wide] for at in range(0, len(order), wide)][: max(1, room - 2)]
    grid = [_row(row, signs) for row in rows]
    return [head, *grid, Text(f"  {len(nodes)} nodes: {status_many.counts(nodes)}")]


def _row(nodes: Sequence[Data], signs: Signs) -> Text:
    line = Text("  ")
    for node in nodes:
        line.append(signs.state(node["state"]), _COLOURS.get(node["state"], ""))
    return line


def _archive_node(node: Data, signs: Signs) -> Text:
    line = Text(f"  {signs.state(node['state'])} {node['name']:<8} ", _COLOURS.get(node["state"], ""))
    line.append(f"{node['state']:<9}", _COLOURS.get(node["state"], ""))
    for level in LEVELS:
        word = node["levels"][level]
        line.append(f" {level} ", "dim")
        line.append(signs.level(word), "bold red" if word == "failed" else _COLOURS.get(word, ""))
    return line.append(f"  {node['because']}" if node["because"] else "")


def _cluster(data: Data) -> list[Text]:
    etcd, controller = data["etcd"], data["controller"]
    up, members = sum(bool(m["healthy"]) for m in etcd["members"]), len(etcd["members"])
    line = Text(
        f"  etcd {up} of {members}, leader {etcd['leader'] or 'unknown'}", "" if up == members else "yellow"
    )
    active = controller["active"] or ("unknown" if controller["why"] else "none")
    line.append(f"   controller {active}", "" if controller["active"] else "bold yellow")
    line.append(f" (+{len(controller['standing_by'])})", "dim")
    silent = [n["name"] for n in data["nodes"] if n["reachable"] is False or n["agent"] is False]
    if silent:
        line.append(f"   silent: {', '.join(silent)}", "yellow")
    lines = [line]
    if incident := data["incident"]:
        said = f"  incident {incident['id'] or '?'}: {incident['phase'] or incident['why']}"
        lines.append(Text(said, "bold yellow"))
    paused = [name for name, on in (("Patroni", data["paused"]), ("hactl", controller["paused"])) if on]
    fences = [f"{fence['node']} is fenced" for fence in data["fences"]]
    said = ", ".join([*fences, *([f"{' and '.join(paused)} paused"] if paused else [])])
    return [*lines, *([Text(f"  {said}", "bold yellow")] if said else [])]


def _events(around: Around, size: Size, signs: Signs, room: int) -> list[Text]:
    if room < 2:  # its rule and one event
        return []
    head = _rule("events", size, signs)
    if not around.events:
        return [head, Text(f"  {around.no_events or 'none'}", "dim")]
    return [head, *(_event(row) for row in around.events[-(room - 1) :])]


def _event(row: Data) -> Text:
    open_ = row.get("open")
    style = "bold yellow" if open_ else "red" if row.get("ok") is False else ""
    line = Text(f"  {str(row['at'])[11:19]} ", "dim")
    line.append(f"{row['what']} ", style or "bold")
    return line.append(f"{row['subject']}: {row['result']}" if row["subject"] else str(row["result"]), style)
