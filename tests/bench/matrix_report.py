"""What came of the matrix's trials, as a table. Pure."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

NOT_HEALTHY = 7  # hactl's exit code: a promise was broken
STEP_FAILED = 5  # a trial could not be judged
HEAD = (
    "seed", "trial", "node", "outcome", "outage, s", "silence, s", "images, s", "lost rows", "two writers",
    "moves", "findings",
)  # fmt: skip


def outcome(record: Mapping[str, Any]) -> str:
    if "error" in record:
        return "NOT JUDGED"
    return "kept" if record["clean"] else "BROKEN"


def line(record: Mapping[str, Any]) -> str:
    if "error" in record:
        return (
            f"{record['trial']}: NOT JUDGED: {record['error']} {'; '.join(record.get('vetoes', ()))}".strip()
        )
    more = "".join(f"\n    {finding}" for finding in (*record["findings"], *record["undone"]))
    outage = _seconds(record["rto_seconds"])
    said = f"{record['trial']} on {record['node']}: {outcome(record)}, outage {outage}"
    return f"{said}, {record['seconds']:g} s in all{more}"


def table(records: Sequence[Mapping[str, Any]]) -> str:
    """One row a trial, the newest of those that were run more than once."""
    newest = {(r["kind"], r["seed"], r["trial"]): r for r in records}
    lines = ["| " + " | ".join(HEAD) + " |", "|" + "---|" * len(HEAD)]
    for (_, seed, _), r in sorted(newest.items(), key=lambda item: str(item[1]["trial"])):
        lines.append("| " + " | ".join([str(seed), *_cells(r)]) + " |")
    judged = [r for r in newest.values() if "error" not in r]
    kept = sum(r["clean"] for r in judged)
    lost = sum(r["rpo"]["lost_rows"] for r in judged)
    acked = sum(r["counts"].get("ok", 0) for r in judged)
    total = f"{kept} of {len(newest)} kept every promise, {len(newest) - len(judged)} not judged; "
    dual = sum(r["dual"] for r in judged)
    total += f"{acked} commits acknowledged, {lost} of them lost, {dual} times two writers."
    lines += ["", total]
    return "\n".join(lines) + "\n"


def _cells(r: Mapping[str, Any]) -> list[str]:
    if "error" in r:
        return [r["trial"], "", outcome(r), *[""] * 6, _cell(r["error"])]
    said = "; ".join([*(f.splitlines()[0] for f in r["findings"]), *r["undone"]])
    return [
        r["trial"], r["node"], outcome(r), *(_seconds(r[k]) for k in ("rto_seconds", "silence_seconds",
        "archive_seconds")), str(r["rpo"]["lost_rows"]), str(r["dual"]), str(len(r["moves"])), _cell(said),
    ]  # fmt: skip


def _cell(text: str) -> str:
    return text.replace("|", "/").replace("\n", " ")


def _seconds(value: float | None) -> str:
    return "-" if value is None else f"{value:.2f}"


def code(records: Sequence[Mapping[str, Any]]) -> int:
    """Exit code of a series: of the newest run of each trial."""
    newest = {r["trial"]: r for r in records}.values()
    if any("error" not in r and not r["clean"] for r in newest):
        return NOT_HEALTHY
    return STEP_FAILED if any("error" in r for r in newest) else 0
