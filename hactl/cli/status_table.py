"""The status on one screen, drawn from the very data that -o json prints. Importing this imports rich."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from rich.console import Group, RenderableType
from rich.table import Table
from rich.text import Text

from hactl.cli import status_many
from hactl.view.times import span

_COLOURS = {
    "healthy": "bold green", "degraded": "bold yellow", "failed": "bold red",
    "error": "bold red", "warning": "yellow", "info": "cyan",
    "ok": "green", "unknown": "dim",
}  # fmt: skip
_YES_NO = {True: ("yes", "green"), False: ("no", "bold red"), None: ("unknown", "dim")}


def screen(data: dict[str, Any], *, every: bool = False) -> Group:
    """`every`: many archive nodes are listed, too, not counted."""
    many = not every and len(data["archive"]["nodes"]) > status_many.FEW
    return Group(
        _head(data), *_reasons(data, many=many), *_nodes(data, many=many), *_database(data),
        *_archive(data, many=many), _foot(data),
    )  # fmt: skip


def reasons(data: list[dict[str, Any]], *, many: bool = False) -> Iterator[RenderableType]:
    """Findings with what was seen and the next command; for the doctor too. `many`: like ones are counted."""
    for found, instead in status_many.reasons(data) if many else ((found, "") for found in data):
        if found is None:
            yield Text(f"          {instead}", "dim")
            continue
        subject = f" {found['subject']}" if found["subject"] else ""
        line = Text("  ")
        line.append(f"{found['severity']:<8}", _COLOURS[found["severity"]])
        line.append(f"{found['code']}{subject}", "bold")
        line.append(f": {found['summary']}")
        yield line
        if found["detail"]:
            yield Text(f"          {found['detail']}", "dim")


def _head(data: dict[str, Any]) -> Text:
    line = Text(f"{data['cluster']}: ", "bold")
    line.append(data["verdict"], _COLOURS[data["verdict"]])
    line.append(f"   {data['at'][:19]}Z, looked for {data['took_seconds']:.2f} s", "dim")
    return line


def _reasons(data: dict[str, Any], *, many: bool) -> Iterator[RenderableType]:
    yield from reasons(data["reasons"], many=many)
    fixes = dict.fromkeys(f["fix"] for f in data["reasons"] if f["severity"] in {"error", "warning"})
    if fixes:
        yield Text(f"  next: {next(iter(fixes))}")


def _table(title: str, *columns: str) -> Table:
    table = Table(title=title, title_justify="left", title_style="bold", box=None, pad_edge=False)
    for column in columns:
        table.add_column(column, header_style="dim", no_wrap=True)
    return table


def _answer(value: bool | None) -> Text:
    return Text(*_YES_NO[value])


def _coloured(word: str, bad: str = "bold red") -> Text:
    return Text(word, _COLOURS.get(word, bad if word == "failed" else ""))


def _nodes(data: dict[str, Any], *, many: bool) -> Iterator[RenderableType]:
    table = _table("\nnodes", "NAME", "ADDRESS", "ROLES", "REACHABLE", "AGENT")
    archives = [node for node in data["nodes"] if many and node["roles"] == ["archive"]]
    silent = status_many.silent(archives)
    listed = silent[: status_many.WORST]
    for node in [node for node in data["nodes"] if node not in archives] + listed if many else data["nodes"]:
        roles = ", ".join(node["roles"])
        table.add_row(
            node["name"], node["address"], roles, _answer(node["reachable"]), _answer(node["agent"])
        )
    yield table
    if many:
        well = len(archives) - len(silent)
        yield Text(f"{well} of {len(archives)} archive nodes are reachable, and their agents report", "dim")
        if len(silent) > len(listed):
            yield status_many.rest(len(silent), len(listed))


def _vip(vip: dict[str, Any]) -> str:
    return f"{vip['address']} on {vip['holder'] or 'no known node'}"


def _database(data: dict[str, Any]) -> Iterator[RenderableType]:
    database = data["database"]
    head = f"\ndatabase: primary {database['primary'] or 'none'}, virtual IP {_vip(database['vip'])}"
    table = _table(head, "NAME", "ROLE", "STATE", "TIMELINE", "LAG", "SYNC", "LEASE")
    for m in database["members"]:
        role = "bold green" if m["role"] == "primary" else ""
        sync = "" if m["sync"] is None else ("yes" if m["sync"] else "no")
        table.add_row(
            m["name"], Text(m["role"], role), m["state"], _or_dash(m["timeline"]), _lag(m["lag_bytes"]), sync,
            _lease(m["lease"]),
        )  # fmt: skip
    yield table


def _lease(lease: dict[str, Any]) -> Text:
    """How long the node may serve without renewing; a standby holds none."""
    left = lease["seconds_left"]
    if lease["mode"] == "open":
        return Text("open", "yellow")
    return Text("-" if lease["mode"] is None else "leased" if left is None else f"{left:.1f} s")


def _or_dash(value: object) -> str:
    return "-" if value is None else str(value)


def _lag(value: int | None) -> str:
    from hactl.units import Bytes

    return "-" if value is None else str(Bytes(value))


def _archive(data: dict[str, Any], *, many: bool) -> Iterator[RenderableType]:
    archive = data["archive"]
    levels = ("L0", "L1", "L2", "L3", "L4")
    # An archive that hactl only watches has no virtual IP here.
    vip = f": virtual IP {_vip(archive['vip'])}" if archive["vip"]["address"] else ""
    head, nodes = f"\narchive{vip}", archive["nodes"]
    listed = status_many.worst(nodes) if many else nodes
    table = _table(head, "NAME", "STATE", *levels)
    for node in listed:
        cells = (_coloured(node["levels"][level]) for level in levels)
        table.add_row(node["name"], _coloured(node["state"]), *cells)
    if listed:
        yield table
    else:
        yield Text(head, "bold")
    if many:
        yield Text(f"{len(nodes)} archive nodes: {status_many.counts(nodes)}; `--all` lists them", "dim")


def _foot(data: dict[str, Any]) -> Text:
    etcd, controller = data["etcd"], data["controller"]
    members = etcd["members"]
    up = sum(bool(m["healthy"]) for m in members)
    quorum = {True: "has a majority", False: "has NO majority", None: "majority unknown"}[etcd["healthy"]]
    text = Text()
    text.append(f"\netcd: {up} of {len(members)} members, {quorum}, leader {etcd['leader'] or 'unknown'}\n")
    text.append(f"controller: {_controller(controller)}\n")
    for fence in data["fences"]:
        text.append(
            f"{fence['node']} is fenced (incident {fence['incident']}): {fence['reason']}\n", "yellow"
        )
    if incident := data["incident"]:
        text.append(
            f"incident {incident['id'] or '?'} is open: {incident['phase'] or incident['why']}\n", "yellow"
        )
    if data["paused"]:
        text.append("Patroni is paused\n", "bold yellow")
    if controller["paused"]:
        text.append(f"hactl is paused{_pause(data['pause'])}\n", "bold yellow")
    if operation := data["operation"]:
        why = f": {operation['reason']}" if operation["reason"] else ""
        text.append(f"under way: {operation['what']}, by {operation['by']}{why}\n", "cyan")
    if order := data["scheduled"]:
        to, at = order["to"] or "the standby", order["at"][:16]
        text.append(f"switchover to {to} at {at}Z, by {order['by']}\n", "cyan")
    if drill := data["drill"]:
        text.append(f"last drill: {_drill(drill)}\n", "dim" if drill["verdict"] == "kept" else "yellow")
    if data["muted"]:
        text.append(f"muted: {_muted(data['muted'])}\n", "dim")
    return text


def _pause(pause: dict[str, Any] | None) -> str:
    if pause is None or pause["seconds_left"] is None:
        return ""
    return f" for another {span(pause['seconds_left'])}"


def _drill(drill: dict[str, Any]) -> str:
    outage = "" if drill["outage_seconds"] is None else f", outage {drill['outage_seconds']:.1f} s"
    return f"{drill['at'][:16]}Z {drill['scenario']}, {drill['verdict']}{outage}"


def _muted(findings: list[dict[str, Any]]) -> str:
    """Each name once, with the end of its mute."""
    ends = {f"{f['code']} {f['subject']}".rstrip(): f["muted_until"] for f in findings}
    return ", ".join(f"{name} until {until[11:16]}Z" if until else name for name, until in ends.items())


def _controller(controller: dict[str, Any]) -> str:
    if controller["why"]:
        return f"unknown: {controller['why']}"
    others = ", ".join(controller["standing_by"])
    active = controller["active"] or "none, failover is left to Patroni"
    return f"{active}{f', standing by: {others}' if others else ''}"
