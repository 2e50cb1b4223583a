from __future__ import annotations

import base64
import json
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest

from tests.support import ansible_modules

MODULE = ansible_modules.load("hactl_patroni")


def member(name: str, role: str, state: str, timeline: int = 3) -> dict[str, Any]:
    return {"name": name, "role": role, "state": state, "timeline": timeline}


PRIMARY = member("db1", "leader", "running")
CONFIG = """\
restapi:
  listen: 0.0.0.0:8008
  allowlist:
  - 192.0.2.11/32
  authentication:
    username: hactl
    password: 'it''s: one'
ctl:
  cacert: /etc/hactl/pki/ca.crt
postgresql:
  authentication:
    replication:
      username: replicator
      password: another
"""
LOGIN = "Basic " + base64.b64encode(b"hactl:it's: one").decode()


@pytest.mark.parametrize(
    ("members", "primary", "synced", "whole"),
    [
        pytest.param([PRIMARY, member("db2", "sync_standby", "streaming")], "db1", ["db2"], True, id="whole"),
        pytest.param(
            [PRIMARY, member("db2", "replica", "streaming")], "db1", [], False, id="not in sync yet"
        ),
        pytest.param(
            [PRIMARY, member("db2", "sync_standby", "running")], "db1", [], False, id="not streaming"
        ),
        pytest.param(
            [PRIMARY, member("db2", "sync_standby", "streaming", 2)], "db1", [], False, id="old timeline"
        ),
        pytest.param([member("db1", "leader", "starting")], None, [], False, id="the primary still starts"),
        pytest.param([], None, [], False, id="nobody"),
    ],
)
def test_when_a_pair_is_whole(
    members: list[dict[str, Any]],
    primary: str | None,
    synced: list[str],
    whole: bool,  # noqa: FBT001
) -> None:
    found = MODULE.standing({"members": members})
    assert found[:2] == (primary, synced)
    assert (not found[2]) is whole


@pytest.mark.parametrize(
    ("current", "wanted", "patch"),
    [
        pytest.param({"ttl": 20}, {"ttl": 20}, {}, id="equal"),
        pytest.param({"ttl": 30}, {"ttl": 20}, {"ttl": 20}, id="other value"),
        pytest.param({}, {"ttl": 20}, {"ttl": 20}, id="missing"),
        pytest.param({"pause": True, "ttl": 20}, {"ttl": 20}, {}, id="what hactl does not name stays"),
        pytest.param({"on": "on"}, {"on": True}, {"on": True}, id="a switch is no text"),
        pytest.param({"n": "200"}, {"n": 200}, {}, id="a number as text is equal"),
        pytest.param(
            {"postgresql": {"parameters": {"a": 1, "b": 2}, "use_slots": True}},
            {"postgresql": {"parameters": {"a": 1}}},
            {"postgresql": {"parameters": {"b": None}}},
            id="a parameter that left the spec goes",
        ),
    ],
)
def test_the_patch(current: dict[str, Any], wanted: dict[str, Any], patch: dict[str, Any]) -> None:
    assert MODULE.difference(current, wanted) == patch


class FakePatroni(BaseHTTPRequestHandler):
    """One member's REST interface; the server's `state` is what it answers and what was sent to it."""

    def do_GET(self) -> None:
        state = self.server.state  # type: ignore[attr-defined]
        if state["hangs_up"] > 0:
            state["hangs_up"] -= 1
            self.close_connection = True
            return
        self._answer(200, state[self.path])

    def do_POST(self) -> None:
        self._take()

    def do_PATCH(self) -> None:
        self._take()

    def _take(self) -> None:
        body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        state = self.server.state  # type: ignore[attr-defined]
        state["refused"] += (refused := self.headers["Authorization"] != state["login"])
        if refused:
            state["login"] = state["next_login"]
            self._answer(401, {})
            return
        state["sent"].append((self.command, self.path, body))
        if self.path == "/switchover":
            state["/patroni"]["role"] = "replica"
            state["/cluster"]["members"] = [
                member("db1", "sync_standby", "streaming", 4),
                member("db2", "leader", "running", 4),
            ]
        if self.path == "/restart" and "stays" not in state:
            state["/patroni"]["pending_restart"] = False
        self._answer(state.get("code", 200), {})

    def _answer(self, code: int, document: dict[str, Any]) -> None:
        text = json.dumps(document).encode()
        self.send_response(code)
        self.end_headers()
        self.wfile.write(text)

    def log_message(self, *_: Any) -> None:  # type: ignore[override]
        pass


@pytest.fixture(autouse=True)
def clock(monkeypatch: pytest.MonkeyPatch) -> ansible_modules.Clock:
    """Nobody waits in these tests."""
    found = ansible_modules.Clock()
    monkeypatch.setattr(MODULE, "time", found)
    return found


@pytest.fixture
def patroni(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[tuple[str, dict[str, Any]]]:
    (tmp_path / "hactl.yml").write_text(CONFIG)
    monkeypatch.setattr(MODULE, "CONFIG", str(tmp_path / "hactl.yml"))
    server = ThreadingHTTPServer(("127.0.0.1", 0), FakePatroni)
    server.state = {  # type: ignore[attr-defined]
        "/patroni": {"role": "primary", "state": "running"},
        "/cluster": {"members": [PRIMARY, member("db2", "sync_standby", "streaming")]},
        "/config": {"ttl": 30, "loop_wait": 10},
        "sent": [],
        "login": LOGIN,
        "refused": 0,
        "hangs_up": 0,
    }
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_port}", server.state  # type: ignore[attr-defined]
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


def act(url: str, name: str, *, check: bool = False, **more: Any) -> dict[str, Any]:
    return ansible_modules.run(MODULE, {"act": name, "url": url, "within": 2, **more}, check=check)


def test_the_configuration_is_patched_only_where_it_differs(
    patroni: tuple[str, dict[str, Any]], tmp_path: Path, clock: ansible_modules.Clock
) -> None:
    url, state = patroni
    (tmp_path / "dcs.json").write_text('{"ttl": 20, "loop_wait": 10}')
    result = act(url, "config", file=str(tmp_path / "dcs.json"))
    assert result["changed"]
    assert state["sent"] == [("PATCH", "/config", {"ttl": 20})]
    assert clock.now > 2 * 10  # a member looks once in loop_wait


def test_a_patroni_that_reopens_its_port_is_asked_again(
    patroni: tuple[str, dict[str, Any]], tmp_path: Path
) -> None:
    url, state = patroni
    (tmp_path / "dcs.json").write_text('{"ttl": 20}')
    state["hangs_up"] = 2
    assert act(url, "config", file=str(tmp_path / "dcs.json"), config=str(tmp_path / "hactl.yml"))["changed"]
    assert state["sent"] == [("PATCH", "/config", {"ttl": 20})]


def test_check_mode_shows_the_patch_and_sends_nothing(
    patroni: tuple[str, dict[str, Any]], tmp_path: Path
) -> None:
    url, state = patroni
    (tmp_path / "dcs.json").write_text('{"ttl": 20}')
    result = act(url, "config", check=True, file=str(tmp_path / "dcs.json"))
    assert '"ttl": 20' in result["diff"]["after"]
    assert state["sent"] == []


def test_a_primary_hands_over_to_the_standby_in_sync(patroni: tuple[str, dict[str, Any]]) -> None:
    url, state = patroni
    result = act(url, "switchover")
    assert state["sent"] == [("POST", "/switchover", {"leader": "db1", "candidate": "db2"})]
    assert (result["changed"], result["primary"]) == (True, "db2")


def test_a_standby_has_nothing_to_hand_over(patroni: tuple[str, dict[str, Any]]) -> None:
    url, state = patroni
    state["/patroni"]["role"] = "replica"
    assert not act(url, "switchover")["changed"]
    assert state["sent"] == []


def test_no_switchover_to_a_standby_that_is_not_in_sync(
    patroni: tuple[str, dict[str, Any]], clock: ansible_modules.Clock
) -> None:
    url, state = patroni
    state["/cluster"]["members"][1]["role"] = "replica"
    result = act(url, "switchover", within=60)
    assert result["failed"]
    assert clock.now >= 60
    assert "db2 is replica" in result["msg"]
    assert state["sent"] == []


def test_a_patroni_with_the_password_before_this_one_is_told_to_look(
    patroni: tuple[str, dict[str, Any]], monkeypatch: pytest.MonkeyPatch
) -> None:
    url, state = patroni
    ran: list[list[str]] = []
    monkeypatch.setattr(MODULE.AnsibleModule, "run_command", lambda _self, argv: ran.append(argv))
    state.update(login="Basic old", next_login=LOGIN)
    assert act(url, "switchover")["changed"]
    assert ran == [["systemctl", "reload", "patroni.service"]]
    assert (state["refused"], len(state["sent"])) == (1, 1)


def test_another_password_is_refused_in_the_end(
    patroni: tuple[str, dict[str, Any]], monkeypatch: pytest.MonkeyPatch, clock: ansible_modules.Clock
) -> None:
    url, state = patroni
    monkeypatch.setattr(MODULE.AnsibleModule, "run_command", lambda _self, _argv: None)
    state.update(login="Basic other", next_login="Basic other")
    result = act(url, "switchover")
    assert "401" in result["msg"]
    assert clock.now >= MODULE.TAKEN_OVER
    assert "one" not in result["msg"]


@pytest.mark.parametrize(
    ("config", "found"),
    [
        pytest.param(CONFIG, "hactl:it's: one", id="quoted"),
        pytest.param(CONFIG.replace("'it''s: one'", "plain"), "hactl:plain", id="plain"),
        pytest.param(CONFIG.replace("'it''s: one'", r'"a\"b"'), 'hactl:a"b', id="double"),
        pytest.param(CONFIG[CONFIG.index("ctl:") :], None, id="another section's"),
    ],
)
def test_where_the_password_comes_from(config: str, found: str | None) -> None:
    assert MODULE.login(config) == found


def test_a_refusal_is_told(patroni: tuple[str, dict[str, Any]]) -> None:
    url, state = patroni
    state["code"] = 412
    result = act(url, "switchover")
    assert result["failed"]
    assert "412" in result["msg"]


def test_only_a_pending_restart_restarts(patroni: tuple[str, dict[str, Any]]) -> None:
    url, state = patroni
    assert not act(url, "restart")["changed"]
    state["/patroni"]["pending_restart"] = True
    result = act(url, "restart")
    assert (result["changed"], result["still"]) == (True, False)
    assert [path for _, path, _ in state["sent"]] == ["/restart"]


def test_a_standby_that_still_waits_after_its_restart_is_told(
    patroni: tuple[str, dict[str, Any]], clock: ansible_modules.Clock
) -> None:
    url, state = patroni
    state["/patroni"]["pending_restart"] = state["stays"] = True
    assert act(url, "restart")["still"]
    assert clock.now >= MODULE.SETTLE


def test_an_absent_patroni_is_an_answer() -> None:
    result = act("http://127.0.0.1:9", "state")
    assert (result["role"], "failed" in result) == ("absent", False)
