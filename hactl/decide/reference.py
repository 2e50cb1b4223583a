"""docs/health.md and docs/codes/, made from the table of codes and the advice on them: `./bootstrap docs`."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from pathlib import PurePosixPath
from typing import Final

from hactl.decide import advice_archive, advice_control, advice_database, advice_preflight
from hactl.decide.advice import Advice
from hactl.decide.codes import CODES, Code, Severity

# A code that is not among them has none: its page is made of the code alone.
ADVICE: Final = {
    **advice_database.ADVICE, **advice_control.ADVICE, **advice_archive.ADVICE, **advice_preflight.ADVICE,
}  # fmt: skip
_MADE = "<!-- Made by `./bootstrap docs`; a test compares. Do not edit. -->"

_HEAD = f"""\
# Health codes

{_MADE}

`hactl status` and `hactl doctor` name everything they find by one of these codes. A code is stable: scripts,
alerts and mutes may rely on it. Each has a page: why it matters, what hactl does about it by itself, and what
to do.

| severity | means | verdict | exit code of `status --check` |
|---|---|---|---|
| error | the service is down, or data is in danger | failed | 7 |
| warning | it runs, with less than it should have | degraded | 7 |
| info | worth knowing, nothing to do at once | healthy | 0 |

`hactl doctor` exits with 7 when it finds a warning or an error.

"Could not look" is never taken for "no": what did not answer in time is unknown, and is a finding of its
own (`SOURCE_UNKNOWN`) unless a lost host explains it.
"""
_MEANS = {Severity.ERROR: "failed", Severity.WARNING: "degraded", Severity.INFO: "healthy"}
_PROGRAMS = frozenset(
    {"hactl", "ssh", "systemctl", "ip", "ping", "df", "dmesg", "timedatectl", "etcdctl", "sudo"}
    | {"journalctl", "patronictl", "lsof", "nft", "sysctl", "uname", "modprobe", "ls"}
)


def pages(alerts: Mapping[str, str]) -> dict[str, str]:
    """Path below docs/ -> text. `alerts`: of each code that is an alert, how long it must last (`15s`)."""
    found = {"health.md": "\n".join([_HEAD, *_index()])}
    for code in CODES.values():
        found[_path(code.name)] = "\n".join(
            _page(code, ADVICE.get(code.name, Advice()), alerts.get(code.name))
        )
    return found


def _path(name: str) -> str:
    return f"codes/{name}.md"


def _index() -> Iterator[str]:
    yield "| code | severity | in one line |"
    yield "|---|---|---|"
    for severity in (Severity.ERROR, Severity.WARNING, Severity.INFO):
        for code in CODES.values():
            if code.severity is severity:
                yield f"| [{code.name}]({_path(code.name)}) | {severity.value} | {code.summary} |"
    yield ""


def _page(code: Code, known: Advice, lasts: str | None) -> Iterator[str]:
    alert = f"`{code.name}`, when it has lasted for {lasts}" if lasts else "none"
    yield from (f"# {code.name}", "", _MADE, "", f"*{code.severity.value}*: {code.summary}.", "")
    yield from (code.why, "", "| | |", "|---|---|")
    yield f"| severity | {code.severity.value}: the verdict is *{_MEANS[code.severity]}* |"
    yield f"| alert | {alert} |"
    yield f'| metric | `hactl_health{{code="{code.name}"}}` |'
    yield from ("", "## What to do", "", f"Next: {_named(commands(code.fix))}", "")
    look = "`hactl doctor`: what exactly was seen, and where."
    steps = known.steps or ((look,) if code.fix == "hactl doctor" else (look, f"{commands(code.fix)}."))
    last = "`hactl status --check` ends with exit code 0 when nothing is left."
    yield from (f"{n}. {_named(step)}" for n, step in enumerate((*steps, last), 1))
    if known.itself:
        yield from ("", "## What hactl does by itself", "", known.itself)
    if links := [*_related(known), *(f"* [{_title(page)}](../{page})" for page in known.see)]:
        yield from ("", "## Related", "", *links)
    yield from ("", "[All health codes](../health.md)", "")


def _named(text: str) -> str:
    return text.replace("{node}", "NODE")


def _related(known: Advice) -> Iterator[str]:
    for name in known.related:
        yield f"* [{name}]({name}.md): {CODES[name].summary}"


def _title(page: str) -> str:
    path = PurePosixPath(page)
    words = path.stem.replace("-", " ")
    return f"Runbook: {words}" if path.parent.name == "runbooks" else words


def commands(fix: str) -> str:
    """Markdown of a next command, which may be several (`;`), and words that are none (`, on NODE`)."""
    return "; ".join(_command(part.strip()) for part in fix.split(";"))


def _command(part: str) -> str:
    lead, _, rest = part.partition("then ") if part.startswith("then ") else ("", "", part)
    words, comma, where = rest.partition(", ")
    said = "then " if part.startswith("then ") else lead
    if re.split(r"\s", words, maxsplit=1)[0] not in _PROGRAMS:
        return f"{said}{rest}"
    return f"{said}`{words}`{comma}{where}"
