"""`hactl node list · show`: nodes in a table; all that is known of one on one screen."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING, Any

import click

from hactl.cli import operator as by_hand
from hactl.cli.context import Context, open_context
from hactl.cli.output import emit
from hactl.errors import HactlError, UsageError

if TYPE_CHECKING:
    from hactl.view.model import NodeFacts, Unknown

_YES_NO = {True: "yes", False: "no", None: "unknown"}


@click.command("list")
@click.pass_context
def list_nodes(ctx: click.Context) -> None:
    """All nodes: whether they are reachable, what they do now, which virtual IPs they have.

    Example: hactl node list -o json
    """
    from hactl.cli.node_data import row

    context = open_context(ctx)
    view = by_hand.look(context)
    rows = [row(context.spec, view, node) for node in context.spec.nodes]
    if context.output != "table":
        emit({"version": 1, "cluster": context.spec.cluster, "nodes": rows}, context.output)
        return
    head = ("NAME", "ADDRESS", "ROLES", "REACHABLE", "AGENT", "DOES", "VIPS")
    print_columns([head, *(_cells(r) for r in rows)])


def _cells(found: Mapping[str, Any]) -> tuple[str, ...]:
    marks = ["fenced"] if found["fenced"] else []
    agent = _YES_NO[found["agent"]]
    does = ", ".join([*found["doing"], *(m.upper() for m in marks)]) or "-"
    return (
        found["name"], found["address"], ", ".join(found["roles"]), _YES_NO[found["reachable"]], agent, does,
        ", ".join(found["vips"]) or "-",
    )  # fmt: skip


def print_columns(rows: list[tuple[str, ...]]) -> None:
    """Left-justified, two blanks apart; the first row is the head."""
    widths = [max(len(row[i]) for row in rows) for i in range(len(rows[0]))]
    for number, row in enumerate(rows):
        line = "  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip()
        click.echo(click.style(line, dim=True) if number == 0 else line)


@click.command()
@click.argument("node")
@click.pass_context
def show(ctx: click.Context, node: str) -> None:
    """All that is known of NODE: what it does, what is found, what its agent and its machine say.

    Example: hactl node show db1
    """
    from hactl.cli.node_data import whole

    context = open_context(ctx)
    if node not in context.spec.nodes:
        raise UsageError(f"the spec has no node {node}", hint="hactl node list")
    view = by_hand.look(context, node)
    data = whole(context.spec, view, _machine(context, node), node)
    if context.output != "table":
        emit({"version": 1, "cluster": context.spec.cluster, **data}, context.output)
        return
    for line in screen(data):
        click.echo(line)


def _machine(context: Context, node: str) -> NodeFacts | Unknown:
    """Its dispatcher's word; a node has no key for that."""
    from hactl.view.model import Unknown

    try:
        from hactl.wiring import dispatchers

        return dispatchers(context.spec, context.site)[node].facts()
    except HactlError as error:
        return Unknown(error.message)


def screen(data: Mapping[str, Any]) -> Iterator[str]:
    """The whole in lines of at most about 100 characters."""
    doing = ", ".join(data["doing"]) or "nothing that is known"
    yield click.style(f"{data['name']}: {doing}", bold=True)
    reachable = f"{_YES_NO[data['reachable']]}{_because(data['why'])}"
    yield _line("node", f"{', '.join(data['roles'])}; {data['address']}; reachable: {reachable}")
    yield from _stands(data)
    for found in data["findings"]:
        colour = {"error": "red", "warning": "yellow"}.get(found["severity"], "cyan")
        detail = found["detail"] or found["summary"]
        yield _line("finding", click.style(f"{found['code']}: {detail}", fg=colour))
        yield _line("", f"next: {found['fix']}")
    for found in data["muted"]:
        yield _line("muted", f"{found['code']}: {found['detail'] or found['summary']}")
    yield from _service(data)
    yield from _reports(data["reports"])
    yield from _said(data["machine"], data["reports"])


def _line(name: str, text: str) -> str:
    return f"  {name:<12}{text}"


def _because(why: str) -> str:
    return f" ({why})" if why else ""


def _stands(data: Mapping[str, Any]) -> Iterator[str]:
    if data["vips"]:
        yield _line("virtual IPs", ", ".join(data["vips"]))
    if fence := data["fence"]:
        yield _line("FENCED", f"incident {fence['incident']}, by {fence['by']}: {fence['reason']}")
    if drain := data["drain"]:
        yield _line("DRAINED", f"by {drain['by']} since {drain['since'][:19]}{_because(drain['why'])}")
    if order := data["order"]:
        state = {None: "under way", True: "done", False: "failed"}[order["ok"]]
        yield _line("order", f"{order['verb']} {order['unit']}: {state}{_because(order['said'])}")
    if data["budget"]:
        used = ", ".join(f"{rung} {count}" for rung, count in data["budget"].items())
        yield _line("recovery", f"within the last hour: {used}")


def _service(data: Mapping[str, Any]) -> Iterator[str]:
    from hactl.units import Bytes

    if database := data["database"]:
        lag = "" if database["lag_bytes"] is None else f", lag {Bytes(database['lag_bytes'])}"
        sync = {None: "", True: ", synchronous", False: ", NOT synchronous"}[database["sync"]]
        lease = database["lease"]
        left = "" if lease["seconds_left"] is None else f" {lease['seconds_left']:.1f} s"
        yield _line("database", f"{database['role']}, {database['state']}, timeline {database['timeline']}"
                                f", at {database['lsn']}{lag}{sync}{_because(database['why'])}")  # fmt: skip
        yield _line("lease", f"{lease['mode'] or 'unknown'}{left}")
        if database["streams_to"]:
            yield _line("", f"streams to {', '.join(database['streams_to'])}")
    if etcd := data["etcd"]:
        if "version" in etcd:
            leads = "leads" if etcd["leader"] else "follows" if etcd["healthy"] else "knows no leader"
            text = f"{leads}, {etcd['version']}, {Bytes(etcd['db_bytes'])}"
        else:
            text = "unknown"
        yield _line("etcd", f"{text}{_because(etcd['why'])}")
    if archive := data["archive"]:
        levels = " ".join(f"{level} {state}" for level, state in archive["levels"].items())
        yield _line("archive", f"{archive['state']}{_because(archive['because'])}; {levels}")
        for level, why in archive["why"].items():
            yield _line("", f"{level}: {why}")


def _reports(facts: Mapping[str, Any] | None) -> Iterator[str]:
    from hactl.view.times import span

    if facts is None:
        yield _line("agent", "no report: it is silent, or etcd could not be asked")
        return
    asked = {name: p for name, p in facts["probes"].items() if p["why"] != "not on this node"}
    probes = [f"{name} {p['state']}{_because(p['why'])}" for name, p in asked.items()]
    yield _line("agent", f"up for {span(facts['up_seconds'])}; {', '.join(probes)}")
    postgres = facts["postgres"]
    if not postgres["why"]:
        source = f", streams from {postgres['streaming_from']}" if postgres["streaming_from"] else ""
        lost = f", LOST SLOTS {', '.join(postgres['lost_slots'])}" if postgres["lost_slots"] else ""
        bad = f", DAMAGED PAGES in {', '.join(postgres['damaged'])}" if postgres["damaged"] else ""
        yield _line("", f"PostgreSQL writable: {_YES_NO[postgres['writable']]}{source}{lost}{bad}")
    for peer, look in facts["peers"].items():
        state = "is seen" if not look["misses"] else f"missed {look['misses']} times{_because(look['why'])}"
        yield _line("", f"PostgreSQL of {peer} {state}")
    if facts["joining"]:
        yield _line("", f"joins by {facts['joining']}")


def _said(machine: Mapping[str, Any], facts: Mapping[str, Any] | None) -> Iterator[str]:
    if machine["why"]:
        yield _line("machine", f"not asked over SSH: {machine['why']}")
        if facts is not None:
            yield from _disks(facts["disks"])
            yield from _units(facts["units"])
        return
    versions = ", ".join(f"{name} {version}" for name, version in machine["versions"].items())
    offset = machine["clock_offset_seconds"]
    yield _line("machine", versions)
    yield _line("addresses", " ".join(machine["addresses"]))
    yield _line("clock", "unknown" if offset is None else f"{offset:+.3f} s against this machine")
    yield from _units(machine["units"])
    yield from _disks(machine["disks"])


def _disks(disks: list[dict[str, Any]]) -> Iterator[str]:
    from hactl.units import Bytes

    for disk in disks:
        free, total = Bytes(disk["free_bytes"]), Bytes(disk["total_bytes"])
        yield _line("disk", f"{disk['path']}: {free} free of {total}")


def _units(units: Mapping[str, str]) -> Iterator[str]:
    """By state, so that what does not run stands out."""
    states: dict[str, list[str]] = {}
    for unit, state in units.items():
        states.setdefault(state, []).append(unit.removesuffix(".service"))
    for state, names in states.items():
        yield _line("units", f"{state}: {' '.join(names)}")
