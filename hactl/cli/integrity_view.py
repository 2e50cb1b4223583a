"""How scrub, reconcile and manifest look on a screen."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING, Any, Final

from hactl.units import Bytes

if TYPE_CHECKING:
    from rich.table import Table

OVER: Final = frozenset({"done", "stopped", "failed"})
_GRAVE: Final = ("content", "size", "missing", "unreadable", "tampered", "index")


def scrub_table(states: dict[str, dict[str, Any]]) -> Table:
    from rich.table import Table

    table = Table("node", "run", "state", "read", "MB/s", "damaged", "orphans", "foreign", "mended")
    for node, state in states.items():
        table.add_row(node, *_scrub_row(state))
    return table


def _scrub_row(state: dict[str, Any]) -> tuple[str, ...]:
    if "unknown" in state:
        return ("-", f"unknown: {state['unknown']}", "", "", "", "", "", "")
    found = state.get("scrub")
    if not found:
        return ("-", "never", "", "", "", "", "", "")
    marks = found.get("marks") or {}
    bad = sum(int(marks.get(kind, 0)) for kind in _GRAVE)
    what = str(found.get("state", "?"))
    if found.get("why"):
        what = f"{what}: {found['why']}"
    return (
        str(found.get("run", "?")), what, _share(found), _speed(found), str(bad), str(marks.get("orphan", 0)),
        str(marks.get("foreign", 0)), str(found.get("mended", 0)),
    )  # fmt: skip


def damaged(state: dict[str, Any]) -> bool:
    """Images are marked as damaged, or the manifest was changed."""
    found = state.get("scrub") or {}
    marks = found.get("marks") or {}
    return bool(found.get("manifest")) or any(int(marks.get(kind, 0)) for kind in _GRAVE)


def _share(found: dict[str, Any]) -> str:
    done, whole = int(found.get("done", 0)), int(found.get("objects", 0))
    return f"{done} of {whole} ({Bytes(int(found.get('done_bytes', 0)))})"


def _speed(found: dict[str, Any]) -> str:
    active = float(found.get("active_s", 0.0))
    return f"{int(found.get('done_bytes', 0)) / active / 1e6:.1f}" if active > 0 else ""


def scrub_lines(report: dict[str, Any] | None) -> Iterator[str]:
    """The last whole scrub, object by object."""
    if not report:
        yield "no scrub has ended here yet"
        return
    run = report["run"]
    yield f"scrub {run['run']} to {run['ended']}: {_share(run)}, {run['known']} known to the manifest"
    for problem in run.get("manifest") or ():
        yield f"MANIFEST: {problem}"
    for mark in report["marks"]:
        what = "mended" if mark["mended"] else mark["kind"]
        said = f" ({mark['said']})" if mark["said"] else ""
        yield f"{what:10} {mark['path']}: {mark['why']}{said}"
    if not report["marks"]:
        yield "nothing found"


def reconcile_lines(report: dict[str, Any] | None) -> Iterator[str]:
    if not report:
        yield "no reconcile has ended here yet"
        return
    kind = "dry run" if report["dry"] else "run"
    head = f"{kind} {report['run']}, timeline {report['timeline']}: {report['rows']} rows"
    yield f"{head}, {report['files']} files"
    yield f"{report['restored']} images stored again, {report['missing']} rows without file"
    for item in report["items"]:
        did = f" -> {item['did']}" if item["did"] else ""
        yield f"{item['what']:10} {item['path']}: {item['why']}{did}"
    if not report["items"]:
        yield "storage and index are one"


def manifest_lines(states: dict[str, dict[str, Any]]) -> Iterator[str]:
    for node, state in states.items():
        found = state.get("manifest")
        if not found:
            yield f"{node}: {state.get('unknown') or 'no manifest yet'}"
            continue
        why = f"; it cannot follow: {found['why']}" if found.get("why") else ""
        age = max(0.0, time.time() - float(found.get("at", 0)))
        yield (
            f"{node}: {found['objects']} objects in {found['segment']} segments, {found['behind']} behind, "
            f"{age:.0f} s ago{why}; chain {str(found['chain'])[:16]}"
        )


def watch_scrub(look: Callable[[], dict[str, dict[str, Any]]], *, every: float = 2.0) -> dict[str, Any]:
    """A bar for each node until none reads any more; the last word of each."""
    from rich.progress import BarColumn, DownloadColumn, Progress, TextColumn, TimeRemainingColumn
    from rich.progress import TransferSpeedColumn as Speed

    columns = (
        TextColumn("{task.description}"),
        BarColumn(),
        DownloadColumn(),
        Speed(),
        TimeRemainingColumn(),
    )
    with Progress(*columns) as bars:
        rows: dict[str, Any] = {}
        while True:
            states = look()
            for node, state in states.items():
                found = state.get("scrub") or {}
                text = f"{node} {found.get('state', state.get('unknown', 'not begun'))}"
                if node not in rows:
                    rows[node] = bars.add_task(text, total=None)
                total = int(found.get("bytes", 0)) or None
                bars.update(rows[node], description=text, total=total, completed=found.get("done_bytes", 0))
            if not any(scrubbing(state) for state in states.values()):
                return states
            time.sleep(every)


def scrubbing(state: dict[str, Any]) -> bool:
    """It runs, as systemd says where it can be asked, else as it says itself."""
    unit = (state.get("units") or {}).get("hactl-scrub.service")
    if unit is not None:
        return unit in {"active", "activating"}
    return bool(state.get("scrub")) and state["scrub"].get("state") not in OVER
