"""The machine's own Debian package sources: the image comes from where the machine came from. Pure."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping

_ONE_LINE = re.compile(r"^deb\s+(?:\[[^\]]*\]\s+)?\S+\s+(?P<suite>\S+)\s+(?P<components>.+)$")
# Not Proxy-Auto-Detect: that names a program of this machine.
_FETCHING = re.compile(
    r"^Acquire::(?!https?::Proxy-?Auto-?Detect)(http|https|Retries|ForceIPv[46])\b", re.IGNORECASE
)


def debian_stanzas(text: str, codename: str) -> list[str]:
    """The stanzas of a deb822 file that are Debian's own for this release: its suites, no third party's."""
    stanzas = re.split(r"\n[ \t]*\n", _without_comments(text))
    return [stanza.strip() for stanza in stanzas if _is_debian(_fields(stanza), codename)]


def debian_lines(text: str, codename: str) -> list[str]:
    """The lines of a one-line-style file that are Debian's own for this release."""
    found = []
    for line in text.splitlines():
        match = _ONE_LINE.match(line.strip())
        if match and match["suite"] in _suites(codename) and "main" in match["components"].split():
            found.append(line.strip())
    return found


def release_fields(os_release: str) -> dict[str, str]:
    """/etc/os-release as a mapping."""
    pairs = (
        line.split("=", 1) for line in os_release.splitlines() if "=" in line and not line.startswith("#")
    )
    return {key.strip(): value.strip().strip("\"'") for key, value in pairs}


def acquire_options(dump: str, environ: Mapping[str, str]) -> str:
    """Of `apt-config dump`, what says how to fetch (proxies, certificates); proxies of the environment."""
    lines = [
        line for line in dump.splitlines() if _FETCHING.match(line) and not line.rstrip().endswith('"";')
    ]
    for scheme in ("http", "https"):
        proxy = environ.get(f"{scheme}_proxy", "")
        if (
            proxy
            and '"' not in proxy
            and not any(line.startswith(f"Acquire::{scheme}::Proxy ") for line in lines)
        ):
            lines.append(f'Acquire::{scheme}::Proxy "{proxy}";')
    return "".join(f"{line}\n" for line in lines)


def _suites(codename: str) -> set[str]:
    return {codename, f"{codename}-updates", f"{codename}-security"}


def _is_debian(fields: dict[str, list[str]], codename: str) -> bool:
    enabled = fields.get("enabled", ["yes"])[0].lower() not in {"no", "false", "0"}
    suites = set(fields.get("suites", []))
    return (
        enabled
        and "deb" in fields.get("types", [])
        and bool(suites)
        and suites <= _suites(codename)
        and "main" in fields.get("components", [])
    )


def _fields(stanza: str) -> dict[str, list[str]]:
    found: dict[str, list[str]] = {}
    key = ""
    for line in stanza.splitlines():
        if line[:1] in {" ", "\t"}:
            found.setdefault(key, []).extend(line.split())
        elif ":" in line:
            key, value = line.split(":", 1)
            key = key.strip().lower()
            found[key] = value.split()
    return found


def _without_comments(text: str) -> str:
    return "\n".join(line for line in _lines(text) if not line.startswith("#"))


def _lines(text: str) -> Iterable[str]:
    return text.replace("\r\n", "\n").split("\n")
