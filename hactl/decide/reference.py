"""docs/health.md, made from the table of codes: `python -m hactl.decide.reference > docs/health.md`."""

from __future__ import annotations

import sys
from collections.abc import Iterator

from hactl.decide.codes import CODES, Code, Severity

_HEAD = """\
# Health codes

<!-- Made by `python -m hactl.decide.reference > docs/health.md`; a test compares. Do not edit. -->

`hactl status` and `hactl doctor` name everything they find by one of these codes. A code is stable: scripts,
alerts and mutes may rely on it.

| severity | means | verdict | exit code of `status --check` |
|---|---|---|---|
| error | the service is down, or data is in danger | failed | 7 |
| warning | it runs, with less than it should have | degraded | 7 |
| info | worth knowing, nothing to do at once | healthy | 0 |

`hactl doctor` exits with 7 when it finds a warning or an error.

"Could not look" is never taken for "no": what did not answer in time is unknown, and is a finding of its
own (`SOURCE_UNKNOWN`) unless a lost host explains it.
"""


def reference() -> str:
    return "\n".join([_HEAD, *_index(), *(line for code in CODES.values() for line in _section(code))])


def _index() -> Iterator[str]:
    yield "| code | severity | in one line |"
    yield "|---|---|---|"
    for severity in (Severity.ERROR, Severity.WARNING, Severity.INFO):
        for code in CODES.values():
            if code.severity is severity:
                yield f"| [{code.name}](#{code.name.lower()}) | {severity.value} | {code.summary} |"
    yield ""


def _section(code: Code) -> Iterator[str]:
    yield f"## {code.name}"
    yield ""
    yield f"*{code.severity.value}*: {code.summary}."
    yield ""
    yield code.why
    yield ""
    yield f"Next: `{code.fix.replace('{node}', 'NODE')}`"
    yield ""


if __name__ == "__main__":
    sys.stdout.write(reference())
