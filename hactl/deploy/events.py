"""Ansible's events as progress lines and a result. No Ansible here: plain dictionaries in, data out."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

from hactl.errors import HactlError, StepFailed, Unreachable

_MESSAGE_LIMIT = 1500  # characters of a module's message; journals can be long
Kind = Literal["play", "task", "changed", "failed", "unreachable"]


@dataclass(frozen=True)
class Progress:
    """One thing to tell the user. `node` is empty for plays and tasks; `detail` may have several lines."""

    kind: Kind
    text: str
    node: str = ""
    detail: str = ""


@dataclass(frozen=True)
class Change:
    """A task that changed a node (or would, with --check); `diff` is empty when there is nothing to show.

    `unit`: what was done to it is the first word of `what`.
    """

    node: str
    task: str
    what: tuple[str, ...] = ()
    diff: str = ""
    unit: str = ""


@dataclass
class Journal:
    """Collects what happened. `last_done` is the last task that succeeded anywhere."""

    changes: list[Change] = field(default_factory=list)
    failures: list[Progress] = field(default_factory=list)
    last_done: str = ""
    tasks: int = 0

    def take(self, event: Mapping[str, Any]) -> Progress | None:
        """Note one event; returns what the user should see of it, if anything."""
        kind, data = event.get("event", ""), event.get("event_data") or {}
        if kind == "playbook_on_play_start":
            return Progress("play", str(data.get("name") or data.get("play") or ""))
        if kind == "playbook_on_task_start":
            self.tasks += 1
            return Progress("task", _task(data))
        if kind in {"runner_on_ok", "runner_item_on_ok"}:
            return self._ok(kind, data)
        if kind in {"runner_on_failed", "runner_on_unreachable"} and not data.get("ignore_errors"):
            return self._failed(kind, data)
        return None

    def _ok(self, kind: str, data: Mapping[str, Any]) -> Progress | None:
        node, result = str(data.get("host", "")), data.get("res") or {}
        if kind == "runner_on_ok":
            self.last_done = f"{node}: {_task(data)}"
        # A loop reports its items one by one, and then once more as a whole.
        if not result.get("changed") or "results" in result:
            return None
        change = Change(node, _task(data), _what(result), diff_text(result.get("diff")), _unit(result))
        self.changes.append(change)
        return Progress("changed", change.task, node, ", ".join(change.what))

    def _failed(self, kind: str, data: Mapping[str, Any]) -> Progress:
        node, result = str(data.get("host", "")), data.get("res") or {}
        what: Kind = "unreachable" if kind == "runner_on_unreachable" else "failed"
        failure = Progress(what, _task(data), node, _message(result))
        self.failures.append(failure)
        return failure

    def error(self, code: int, tail: str = "") -> HactlError | None:
        """What the run's end means: None when it went well. `tail`: Ansible's own last words."""
        lost = [f for f in self.failures if f.kind == "unreachable"]
        if lost:
            nodes = ", ".join(dict.fromkeys(f.node for f in lost))
            return Unreachable(
                f"{nodes} cannot be reached ({lost[0].detail}); last step done: {self.last_done or 'none'}",
                hint="see that it is up and that its host key is pinned, then run hactl deploy again",
            )
        if self.failures:
            first = self.failures[0]
            return StepFailed(
                f"{first.node}: {first.text}: {first.detail}",
                last_done=self.last_done or "none",
                hint="mend the cause, then run hactl deploy again: it goes on where it stopped",
            )
        if code != 0:
            return StepFailed(
                f"Ansible ended with code {code}: {tail.strip()[-_MESSAGE_LIMIT:]}",
                last_done=self.last_done or "none",
            )
        return None


def _task(data: Mapping[str, Any]) -> str:
    """A task's name without its role: what is done is said by the name alone."""
    name = str(data.get("task") or data.get("name") or "?")
    role = str(data.get("role") or "")
    return name.removeprefix(f"{role} : ") if role else name


def _message(result: Mapping[str, Any]) -> str:
    if result.get("censored"):
        return "the output is hidden, because it may hold secrets"
    words = [str(result.get(key) or "") for key in ("msg", "stderr", "module_stderr")]
    items = [_message(r) for r in result.get("results", ()) if isinstance(r, Mapping) and r.get("failed")]
    said = [w.strip() for w in (*words, *items) if w.strip()]
    return " / ".join(dict.fromkeys(said))[:_MESSAGE_LIMIT] or "no message"


def _what(result: Mapping[str, Any]) -> tuple[str, ...]:
    """What a task changed, in its own words: files written, or what was done to a unit."""
    listed = [*result.get("written", ()), *result.get("removed", ()), *result.get("folders", ())]
    if listed:
        return tuple(str(x) for x in listed)
    if result.get("action"):
        return (str(result["action"]),)
    if result.get("stamp"):  # an environment
        return (str(result.get("path", "")),)
    return ()


def _unit(result: Mapping[str, Any]) -> str:
    return str(result.get("unit", "")) if result.get("action") else ""


def diff_text(diff: object) -> str:
    """Ansible's before and after as a unified diff."""
    import difflib  # noqa: PLC0415 - only needed when something differs

    parts: list[str] = []
    for one in diff if isinstance(diff, list) else [diff]:
        if not isinstance(one, Mapping) or "after" not in one:
            continue
        before, after = str(one.get("before") or "").splitlines(), str(one.get("after") or "").splitlines()
        names = str(one.get("before_header") or "before"), str(one.get("after_header") or "after")
        parts += difflib.unified_diff(before, after, *names, lineterm="", n=2)
    return "\n".join(parts)
