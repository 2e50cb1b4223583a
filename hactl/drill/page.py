"""The report of a drill: one page of HTML that needs no network, to be read and printed. Pure."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from html import escape
from typing import Any, Final

from hactl.drill.chart import availability, phase_bars
from hactl.drill.record import broken

CSS: Final = """
:root { --ok: #2e7d32; --bad: #c62828; --dim: #667; --line: #d5d8de; }
* { box-sizing: border-box; }
body { font: 15px/1.5 system-ui, sans-serif; color: #1b1f24; max-width: 60rem; }
body { margin: 2rem auto; padding: 0 1rem; }
h1 { font-size: 1.5rem; margin: 0; } h2 { font-size: 1.1rem; margin: 2rem 0 .5rem; }
.verdict { font-weight: 600; } .kept { color: var(--ok); }
.broken { color: var(--bad); } .dim { color: var(--dim); }
table { border-collapse: collapse; width: 100%; } th, td { text-align: left; padding: .25rem .6rem .25rem 0; }
th { font-weight: 600; border-bottom: 1px solid var(--line); } td { border-bottom: 1px solid #eef0f3; }
td.n, th.n { text-align: right; font-variant-numeric: tabular-nums; }
svg { width: 100%; height: auto; } svg text { font: 11px system-ui, sans-serif; fill: #444; }
pre { white-space: pre-wrap; background: #f6f7f9; padding: .6rem; }
@media print {
  @page { size: A4; margin: 15mm; }
  body { font-size: 10pt; margin: 0; max-width: none; padding: 0; }
  h2 { break-after: avoid; } table, svg, pre { break-inside: avoid; }
  * { print-color-adjust: exact; -webkit-print-color-adjust: exact; }
}
"""
SAYS: Final = {
    "I1": "one writer at a time",
    "I2": "a virtual IP on at most one node that clients can reach",
    "I3": "no acknowledged row lost",
    "I4": "one history: timelines only grow",
    "I5": "a read sees what was acknowledged before it asked",
    "I6": "the outage is within its limit",
    "I7": "both nodes agree, no image lost",
    "I8": "no needless act",
    "I9": "no wall clock in decisions",
    "I10": "the journal tells everything, and nothing else",
}


def page(found: Mapping[str, Any], earlier: Sequence[Mapping[str, Any]]) -> str:
    """`found`: a drill's record; `earlier`: all records, which become the table at the end."""
    title = f"Drill {found['scenario']} on {found['node']}"
    return "\n".join([
        "<!doctype html>",
        f'<html lang="en"><head><meta charset="utf-8"><title>{escape(title)}</title>',
        '<meta name="viewport" content="width=device-width, initial-scale=1">',
        f"<style>{CSS}</style></head><body>",
        *_head(title, found),
        "<h2>Availability</h2>",
        availability(found["timeline"], found["rto_seconds"]),
        *_phases(found),
        *_promises(found),
        *_findings(found),
        *_earlier(found, earlier),
        _foot(found),
        "</body></html>\n",
    ])  # fmt: skip


def _foot(found: Mapping[str, Any]) -> str:
    about = f"hactl {found['hactl']}; spec {str(found['spec_digest'])[:16]}; history {found['run']}.jsonl"
    return f'<p class="dim">{escape(about)}. Judge it again: hactl drill judge FILE</p>'


def _head(title: str, found: Mapping[str, Any]) -> Iterator[str]:
    state, verdict = (
        ("kept", "every promise was kept") if found["clean"] else ("broken", "a promise was broken")
    )
    if found.get("why"):
        verdict = f"it was stopped early, and proves nothing: {found['why']}"
    yield f"<h1>{escape(title)}</h1>"
    yield f'<p class="dim">{escape(str(found["cluster"]))}, {escape(str(found["started"]))}, '
    yield f"by {escape(str(found['actor']))}{escape(_reason(found))}. {escape(str(found['says']))}</p>"
    yield f'<p class="verdict {state}">{escape(verdict)}</p>'
    rows = [
        ("outage of the database (RTO)", _limited(found)),
        ("longest time without an acknowledged write", seconds(found["silence_seconds"])),
        ("acknowledged rows lost (RPO)", _rows(found)),
        ("commits that only the lost node had", _ledger(found["rpo"]["lost_commits"])),
        ("stalest read", _ms(found["staleness_ms"])),
        ("longest time without an acknowledged image", seconds(found["archive_seconds"])),
    ]
    yield "<table>"
    yield from (f'<tr><td>{escape(a)}</td><td class="n">{escape(b)}</td></tr>' for a, b in rows)
    yield "</table>"


def _phases(found: Mapping[str, Any]) -> Iterator[str]:
    incident = found["incident"]
    if incident and incident["phases"]:
        yield f"<h2>Phases of incident {escape(str(incident['id']))}</h2>"
        yield phase_bars(incident["phases"])
    elif found.get("course"):
        yield "<h2>Phases as clients saw them</h2>"
        yield phase_bars(found["course"])


def _promises(found: Mapping[str, Any]) -> Iterator[str]:
    yield "<h2>Promises</h2><table><tr><th></th><th>promise</th><th>verdict</th></tr>"
    for name, state in found["invariants"].items():
        style = {"kept": "kept", "broken": "broken"}.get(state, "dim")
        yield f'<tr><td>{name}</td><td>{escape(SAYS[name])}</td><td class="{style}">{escape(state)}</td></tr>'
    yield "</table>"


def _findings(found: Mapping[str, Any]) -> Iterator[str]:
    for title, lines in (("Findings", found["findings"]), ("Remarks", found["remarks"])):
        if lines:
            yield f"<h2>{title}</h2>"
            yield from (f"<pre>{escape(line)}</pre>" for line in lines)


def _earlier(found: Mapping[str, Any], earlier: Sequence[Mapping[str, Any]]) -> Iterator[str]:
    yield "<h2>All drills</h2><table><tr><th>started</th><th>scenario</th><th>node</th>"
    yield '<th class="n">outage</th><th class="n">rows lost</th><th>verdict</th></tr>'
    for one in reversed(earlier):
        style = "kept" if one["clean"] else "broken"
        word = "kept" if one["clean"] else ", ".join(["aborted"] * bool(one.get("why")) + broken(one))
        here = " (this)" if one.get("run") == found.get("run") else ""
        yield (
            f"<tr><td>{escape(str(one['started'])[:19])}</td><td>{escape(str(one['scenario']))}{here}</td>"
            f'<td>{escape(str(one["node"]))}</td><td class="n">{seconds(one["rto_seconds"])}</td>'
            f'<td class="n">{_rows(one)}</td><td class="{style}">{escape(word)}</td></tr>'
        )
    yield "</table>"


def _rows(found: Mapping[str, Any]) -> str:
    lost = found["rpo"]["lost_rows"]
    return "not counted" if lost is None else str(lost)


def seconds(value: float | None) -> str:
    return "-" if value is None else f"{value:.2f} s"


def _limited(found: Mapping[str, Any]) -> str:
    return f"{seconds(found['rto_seconds'])} (limit {found['rto_limit_seconds']:g} s)"


def _ms(value: int | None) -> str:
    return "-" if value is None else f"{value} ms behind"


def _reason(found: Mapping[str, Any]) -> str:
    return f", {found['reason']}" if found.get("reason") else ""


def _ledger(ledger: Mapping[str, Any] | None) -> str:
    if ledger is None:
        return "-"
    count = ledger.get("commits")
    return "not counted" if count is None else str(count)
