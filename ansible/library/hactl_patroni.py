#!/usr/bin/python3
"""Speak with this node's Patroni: who is primary, dynamic configuration, switchover, restart, in sync or not.

Standard library only: it runs with the node's own Python, before anything of hactl is needed there.
"""

from __future__ import annotations

import base64
import functools
import json
import re
import ssl
import time
import urllib.error
import urllib.request
from pathlib import Path
from typing import Any

from ansible.module_utils.basic import AnsibleModule

PKI = "/etc/hactl/pki"
CONFIG = "/etc/patroni/hactl.yml"
POLL = 0.5  # seconds
SETTLE = 4  # seconds in which Patroni sees after a restart that nothing waits any more
ANSWER_WITHIN = 5  # seconds for one request; /switchover and /restart take longer and have their own
TAKEN_OVER = 15  # seconds for a Patroni that was told of a new password; it looks once a cycle
REOPENED = 5.0  # seconds; Patroni reloads in its next cycle and reopens its port at once
JSON = dict[str, Any]
_LOGIN = re.compile(
    r"^restapi:\n(?: .*\n)*?  authentication:\n    username: (.+)\n    password: (.+)\n", re.MULTILINE
)


class NoAnswer(Exception):
    """Patroni did not answer, or not as expected; the text says what came."""


def login(config: str) -> str | None:
    """`name:password` of the REST interface, from Patroni's own file as hactl renders it; None without one.

    A node's Python may have no YAML. Rendered are printable words on one line, plain or quoted.
    """
    found = _LOGIN.search(config)
    return ":".join(_scalar(word) for word in found.groups()) if found else None


def _scalar(word: str) -> str:
    if word.startswith("'"):
        return word[1:-1].replace("''", "'")
    return str(json.loads(word)) if word.startswith('"') else word


class Rest:
    """Patroni's REST interface on one node, with the node's own certificate."""

    def __init__(self, url: str, config: str = CONFIG, pki: str = PKI) -> None:
        self.url, self.config, self.pki = url, config, pki

    @functools.cached_property
    def opener(self) -> urllib.request.OpenerDirector:
        # Never through a proxy.
        handlers: list[urllib.request.BaseHandler] = [urllib.request.ProxyHandler({})]
        if self.url.startswith("https"):
            tls = ssl.create_default_context(cafile=f"{self.pki}/ca.crt")
            tls.load_cert_chain(f"{self.pki}/patroni.crt", f"{self.pki}/patroni.key")
            handlers.append(urllib.request.HTTPSHandler(context=tls))
        return urllib.request.build_opener(*handlers)

    def ask(
        self, method: str, path: str, body: JSON | None = None, within: float = ANSWER_WITHIN
    ) -> tuple[int, str]:
        """Status and text. Raises NoAnswer when nothing came back.

        Patroni closes its port for a moment when it takes over new certificates after a reload. What may be
        sent twice is therefore sent again; a POST may not, since the first one may have been heard.
        """
        end = time.monotonic() + REOPENED
        while True:
            try:
                return self._ask(method, path, body, within)
            except NoAnswer:
                if method == "POST" or not Path(self.config).exists() or time.monotonic() >= end:
                    raise
            time.sleep(POLL)

    def _ask(self, method: str, path: str, body: JSON | None, within: float) -> tuple[int, str]:
        data = None if body is None else json.dumps(body).encode()
        request = urllib.request.Request(f"{self.url}{path}", data=data, method=method)  # noqa: S310 - our own URL
        if method != "GET" and (found := login(Path(self.config).read_text())):
            request.add_header("Authorization", f"Basic {base64.b64encode(found.encode()).decode()}")
        try:
            with self.opener.open(request, timeout=within) as answer:
                return int(answer.status), answer.read().decode()
        except urllib.error.HTTPError as error:
            return error.code, error.read().decode(errors="replace")
        except OSError as error:
            raise NoAnswer(f"Patroni at {self.url}: {error}") from error

    def document(self, path: str) -> JSON:
        status, text = self.ask("GET", path)
        try:
            found = json.loads(text)
        except ValueError as error:
            raise NoAnswer(f"{path} answered {status}: {text[:200]}") from error
        if not isinstance(found, dict):
            raise NoAnswer(f"{path} answered {status}: {text[:200]}")
        return found


def difference(current: JSON, wanted: JSON, *, whole: bool = False) -> JSON:
    """The PATCH that turns `current` into `wanted`: values that differ, None for what must go.

    PostgreSQL's parameters are wholly the spec's (`whole`); elsewhere keys that hactl does not name stay.
    """
    patch: JSON = {}
    for key, value in wanted.items():
        if isinstance(value, dict):
            old = current.get(key)
            inner = difference(old if isinstance(old, dict) else {}, value, whole=key == "parameters")
            if inner:
                patch[key] = inner
        elif not same(current.get(key), value):
            patch[key] = value
    if whole:
        patch.update({key: None for key in current if key not in wanted})
    return patch


def same(current: Any, wanted: Any) -> bool:
    """Equal, also when one side wrote a number or a switch as text."""
    return current == wanted or (current is not None and str(current).lower() == str(wanted).lower())


def standing(cluster: JSON) -> tuple[str | None, list[str], list[str]]:
    """The primary, the standbys that are in sync, and what keeps the pair from being whole. Pure."""
    members = cluster.get("members", [])
    primary = next(
        (m["name"] for m in members if m.get("role") == "leader" and m.get("state") == "running"), None
    )
    timeline = next((m.get("timeline") for m in members if m["name"] == primary), None)
    synced, wrong = [], [] if primary else ["there is no primary"]
    for member in members:
        if member["name"] == primary:
            continue
        state, role = member.get("state"), member.get("role")
        if role == "sync_standby" and state == "streaming" and member.get("timeline") == timeline:
            synced.append(member["name"])
        else:
            wrong.append(f"{member['name']} is {role}, {state}, timeline {member.get('timeline')}")
    return primary, synced, wrong


class Acts:
    """What the module can do; each returns what it reports."""

    def __init__(self, module: AnsibleModule) -> None:
        self.module, self.given = module, module.params
        self.rest = Rest(module.params["url"], module.params["config"])
        self.end = time.monotonic() + float(module.params["within"])

    def send(self, method: str, path: str, body: JSON, within: float = ANSWER_WITHIN) -> tuple[int, str]:
        """As `Rest.ask`. A Patroni that still has the password before this deployment's is told to look."""
        end = time.monotonic() + TAKEN_OVER
        status, text = self.rest.ask(method, path, body, within)
        if status == 401:
            self.module.run_command(["systemctl", "reload", "patroni.service"])
        while status == 401 and time.monotonic() < end:
            time.sleep(POLL)
            status, text = self.rest.ask(method, path, body, within)
        return status, text

    def until_whole(self) -> JSON:
        """Wait until there is a primary and `members` members, all standbys in sync."""
        said = "no answer yet"
        while time.monotonic() < self.end:
            try:
                cluster = self.rest.document("/cluster")
                primary, synced, wrong = standing(cluster)
                if primary and not wrong and len(synced) == self.given["members"] - 1:
                    return {"changed": False, "primary": primary, "synced": synced}
                said = "; ".join(wrong) or f"{len(synced) + 1} of {self.given['members']} members are there"
            except NoAnswer as error:
                said = str(error)
            time.sleep(POLL)
        self.module.fail_json(msg=f"the database pair is not whole within {self.given['within']:g} s: {said}")
        raise AssertionError

    def state(self) -> JSON:
        """The member's role, and whether PostgreSQL waits for a restart. Never fails: absent is an answer."""
        try:
            mine = self.rest.document("/patroni")
            primary, synced, wrong = standing(self.rest.document("/cluster"))
        except NoAnswer as error:
            return {
                "changed": False,
                "role": "absent",
                "why": str(error),
                "pending_restart": False,
                "primary": "",
            }
        return {
            "changed": False,
            "role": "primary" if mine.get("role") in {"primary", "master"} else "standby",
            "pending_restart": bool(mine.get("pending_restart")),
            "primary": primary or "",
            "synced": synced,
            "why": "; ".join(wrong),
        }

    def config(self) -> JSON:
        """Compare the dynamic configuration with the rendered one; patch what differs."""
        wanted = json.loads(Path(self.given["file"]).read_text())
        patch = difference(self.rest.document("/config"), wanted)
        result: JSON = {"changed": bool(patch)}
        if patch:
            result["diff"] = {"before": "", "after": json.dumps(patch, indent=2, sort_keys=True) + "\n"}
        if patch and not self.module.check_mode:
            status, text = self.send("PATCH", "/config", patch)
            if status != 200:
                self.module.fail_json(msg=f"Patroni refuses the configuration: {status} {text[:400]}")
            # Members take it over in their next cycle and only then know whether they need a restart.
            time.sleep(2 * float(wanted.get("loop_wait", 10)) + 0.5)
        return result

    def switchover(self) -> JSON:
        """Hand the primary's role of this node to the standby in sync; nothing when it is no primary."""
        state = self.state()
        if state["role"] != "primary":
            return {"changed": False, "primary": state["primary"]}
        whole = self.until_whole()
        if self.module.check_mode:
            return {"changed": True, "primary": whole["primary"]}
        body = {"leader": whole["primary"], "candidate": whole["synced"][0]}
        status, text = self.send("POST", "/switchover", body, within=60)
        if status != 200:
            self.module.fail_json(
                msg=f"Patroni refuses the switchover to {body['candidate']}: {status} {text[:300]}"
            )
        return {**self.until_whole(), "changed": True}

    def restart(self) -> JSON:
        """Restart PostgreSQL through Patroni when it waits for it, then wait until the pair is whole.

        `still` in the result: it waits for a restart again. A standby must not have less max_connections (and
        the like) than its primary, so a lower value reaches it only after the primary's restart.
        """
        if not self.state()["pending_restart"]:
            return {"changed": False, "still": False}
        if self.module.check_mode:
            return {"changed": True, "still": False}
        status, text = self.send("POST", "/restart", {"restart_pending": True}, within=90)
        if status not in {200, 202}:
            self.module.fail_json(msg=f"Patroni could not restart PostgreSQL: {status} {text[:300]}")
        self.until_whole()
        settled = time.monotonic() + SETTLE
        while still := bool(self.state()["pending_restart"]):
            if time.monotonic() > settled:
                break
            time.sleep(POLL)
        return {"changed": True, "still": still}


def main() -> None:
    module = AnsibleModule(
        argument_spec={
            "act": {
                "type": "str",
                "required": True,
                "choices": ["state", "wait", "config", "switchover", "restart"],
            },
            "url": {"type": "str", "default": "https://127.0.0.1:8008"},
            "file": {"type": "path", "default": "/etc/patroni/dcs.json"},
            "config": {"type": "path", "default": CONFIG},
            "members": {"type": "int", "default": 2},
            "within": {"type": "float", "default": 60},
        },
        supports_check_mode=True,
    )
    acts = Acts(module)
    table = {
        "state": acts.state,
        "wait": acts.until_whole,
        "config": acts.config,
        "switchover": acts.switchover,
        "restart": acts.restart,
    }
    try:
        result = table[module.params["act"]]()
    except (NoAnswer, OSError, ValueError) as error:
        module.fail_json(msg=str(error))
    module.exit_json(**result)


if __name__ == "__main__":
    main()
