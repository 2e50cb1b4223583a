"""The dispatcher: what the SSH key of operations may make a node do, and nothing else."""

from __future__ import annotations

import base64
import hashlib
import io
import json
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.support.rendered import content

Argv = list[str]


def program(path: str, node: str = "db1") -> dict[str, Any]:
    """The rendered script as a module's names."""
    names: dict[str, Any] = {"__name__": "script"}
    exec(compile(content(node, f"/usr/local/lib/hactl/{path}"), path, "exec"), names)  # noqa: S102
    return names


class Node:
    """Answers the dispatcher's calls from a table, by program name; notes what was called."""

    def __init__(self, answers: dict[str, tuple[int, str]]) -> None:
        self.answers = answers
        self.called: list[Argv] = []

    def __call__(self, argv: Argv, within: float) -> tuple[int, str]:
        assert within > 0
        self.called.append(argv)
        return self.answers.get(argv[0].rsplit("/", 1)[-1], (-1, f"{argv[0]} is not installed\n"))


@pytest.fixture
def dispatch() -> Callable[[str], int]:
    return program("dispatch")["main"]  # type: ignore[no-any-return]


def with_answers(**answers: tuple[int, str]) -> tuple[Node, Callable[[str], int]]:
    names = program("dispatch")
    names["call"] = node = Node({name.replace("_", "-"): answer for name, answer in answers.items()})
    return node, names["main"]


@pytest.mark.parametrize(
    "asked",
    [
        "",
        "sh",
        "facts now",
        "FACTS",
        "facts;id",
        "facts\nid",
        "logs",
        "logs patroni.service",
        "logs ssh.service 10",
        "logs patroni.service 0",
        "logs patroni.service -1",
        "logs patroni.service 10 20",
        "logs patroni.service 99999",
        "logs patroni.service 5001",
        "logs ../etc/shadow 10",
        "logs --since 10",
        "follow patroni.service",
        "follow ssh.service 10",
        "follow patroni.service 0",
        "follow patroni.service 10 --root=/",
        "restart",
        "restart ssh.service",
        "restart hactl-rules.service",
        "restart orthanc.service",
        "restart patroni.service etcd.service",
        "restart patroni",
        "restart -M x",
        "files /etc/shadow",
        "preflight db2 22",
        "facts " + "x" * 300,
        "restart  patroni.service",
        "restart 'patroni.service'",
    ],
)
def test_what_is_not_in_the_vocabulary_runs_nothing(asked: str, capsys: pytest.CaptureFixture[str]) -> None:
    node, main = with_answers()
    assert main(asked) == 2
    assert node.called == []
    assert capsys.readouterr().err.startswith("hactl: ")


@given(st.text())
def test_no_text_makes_it_fail_or_run_anything_else(asked: str) -> None:
    node, main = with_answers(systemctl=(0, ""), sudo=(0, ""), journalctl=(0, ""))
    assert main(asked) in {0, 2}
    assert all(argv[0].startswith("/usr/") for argv in node.called)


def test_restart_goes_through_sudo_as_the_sudoers_file_spells_it(capsys: pytest.CaptureFixture[str]) -> None:
    node, main = with_answers(sudo=(0, ""))
    assert main("restart patroni.service") == 0
    assert node.called == [["/usr/bin/sudo", "-n", "/usr/bin/systemctl", "restart", "patroni.service"]]
    sudoers = content("db1", "/etc/sudoers.d/hactl")
    assert f"NOPASSWD: {' '.join(node.called[0][2:])}\n" in sudoers
    assert capsys.readouterr().out == ""


def test_files_go_through_sudo_as_the_sudoers_file_spells_it() -> None:
    node, main = with_answers(sudo=(0, "{}"))
    assert main("files") == 0
    assert node.called == [["/usr/bin/sudo", "-n", "/usr/local/lib/hactl/read-files"]]
    assert 'NOPASSWD: /usr/local/lib/hactl/read-files ""\n' in content("db1", "/etc/sudoers.d/hactl")


def test_the_preflight_goes_through_sudo_as_the_sudoers_file_spells_it() -> None:
    node, main = with_answers(sudo=(0, "{}"))
    assert main("preflight") == 0
    assert node.called == [["/usr/bin/sudo", "-n", "/usr/local/lib/hactl/preflight"]]
    assert '(root) NOPASSWD: /usr/local/lib/hactl/preflight ""\n' in content("db1", "/etc/sudoers.d/hactl")
    assert main("preflight now") == 2


def test_settings_are_read_as_hactl_on_database_nodes_only() -> None:
    node, main = with_answers(sudo=(0, "{}"))
    assert main("settings") == 0
    assert node.called == [["/usr/bin/sudo", "-n", "-u", "hactl", "/usr/local/lib/hactl/read-settings"]]
    assert '(hactl) NOPASSWD: /usr/local/lib/hactl/read-settings ""\n' in content(
        "db1", "/etc/sudoers.d/hactl"
    )
    assert main("settings work_mem") == 2
    assert "read-settings" not in content("arc1", "/etc/sudoers.d/hactl")
    assert "settings" not in program("dispatch", "arc1")["VERBS"]


def test_a_failed_program_is_a_failed_answer(capsys: pytest.CaptureFixture[str]) -> None:
    _, main = with_answers(sudo=(1, "Job for etcd.service failed.\n"))
    assert main("restart etcd.service") == 5
    assert "failed" in capsys.readouterr().err


def test_logs(capsys: pytest.CaptureFixture[str]) -> None:
    node, main = with_answers(journalctl=(0, "line\n"))
    assert main("logs hactl-rules.service 20") == 0
    assert node.called[0][-2:] == ["--unit=hactl-rules.service", "--lines=20"]
    assert capsys.readouterr().out == "line\n"


def test_following_goes_straight_to_whoever_reads(tmp_path: Path) -> None:
    names = program("dispatch")
    streamed: list[list[str]] = []
    names["stream"] = lambda argv: streamed.append(argv) or 0
    assert names["main"]("follow patroni.service 20") == 0
    assert streamed[0][-3:] == ["--unit=patroni.service", "--lines=20", "--follow"]
    names = program("dispatch")
    names["FOLLOW_LIMIT"] = 0.2
    assert names["stream"](["/usr/bin/sleep", "20"]) == 0
    assert names["stream"]([str(tmp_path / "journalctl")]) == 2


SHOWN = """Id=etcd.service
LoadState=loaded
ActiveState=active
SubState=running
UnitFileState=enabled
NRestarts=0
ActiveEnterTimestamp=Sun 2026-11-22 05:36:50 UTC

Id=orthanc.service
LoadState=not-found
ActiveState=inactive
"""


def test_facts_are_read_by_the_doctor(capsys: pytest.CaptureFixture[str]) -> None:
    from hactl.view.parse.facts import parse_facts

    addresses = [
        {"ifname": "host0", "addr_info": [{"family": "inet", "local": "192.0.2.11", "prefixlen": 24}]}
    ]
    _, main = with_answers(
        ip=(0, json.dumps(addresses)),
        systemctl=(0, SHOWN),
        timedatectl=(0, "yes\n"),
        dpkg_query=(1, "etcd-server 3.4.23-4 installed\nnginx  unknown\n"),
    )
    assert main("facts") == 0
    said = capsys.readouterr().out
    facts = parse_facts(said.encode(), now=json.loads(said)["clock"]["wall_s"])
    assert facts.addresses == ("192.0.2.11",)
    assert facts.units == {"etcd.service": "active", "orthanc.service": "not-found"}
    assert facts.versions["etcd-server"] == "3.4.23-4"
    assert facts.clock_offset == 0
    assert "/" in {disk.path for disk in facts.disks}


def test_facts_are_given_as_far_as_they_can_be_had(capsys: pytest.CaptureFixture[str]) -> None:
    _, main = with_answers()
    assert main("facts") == 0
    said = json.loads(capsys.readouterr().out)
    assert (said["addresses"], said["units"], said["clock"]["synchronized"]) == ([], {}, None)


@pytest.fixture
def tree(tmp_path: Path) -> Path:
    (tmp_path / "plain").write_text("content\n")
    (tmp_path / "link").symlink_to(tmp_path / "plain")
    (tmp_path / "folder").mkdir()
    (tmp_path / "server.key").write_text("PRIVATE")
    names = ("plain", "link", "folder", "absent", "server.key")
    files = [{"path": str(tmp_path / name), "secret": False} for name in names]
    files.append({"path": "/etc/hactl/pki/../pki/x", "secret": False})
    (tmp_path / "manifest.json").write_text(json.dumps({"files": files}))
    return tmp_path


def read_files(manifest: Path, monkeypatch: pytest.MonkeyPatch) -> dict[str, Any]:
    out = io.StringIO()
    monkeypatch.setattr(sys, "stdout", out)
    assert program("read-files")["main"](str(manifest)) == 0
    said: dict[str, Any] = json.loads(out.getvalue())
    return said


def test_files_of_the_manifest_are_read_but_no_links_and_never_keys(
    tree: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    said = read_files(tree / "manifest.json", monkeypatch)
    assert {Path(path).name for path in said} == {"plain", "link", "folder", "absent"}
    plain = said[str(tree / "plain")]
    assert base64.b64decode(plain["content"]) == b"content\n"
    assert plain["sha256"] == hashlib.sha256(b"content\n").hexdigest()
    assert {name for name, entry in said.items() if entry is None} == {
        str(tree / name) for name in ("link", "folder", "absent")
    }


@pytest.mark.parametrize("mark", [{"secret": True}, {}])
def test_of_a_file_with_secrets_only_the_digest_is_told(
    tree: Path, monkeypatch: pytest.MonkeyPatch, mark: dict[str, bool]
) -> None:
    place = tree / "plain"
    (tree / "manifest.json").write_text(json.dumps({"files": [{"path": str(place), **mark}]}))
    said = read_files(tree / "manifest.json", monkeypatch)[str(place)]
    assert said["content"] is None
    assert said["sha256"] == hashlib.sha256(b"content\n").hexdigest()


def test_a_node_without_a_manifest_has_no_files(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert read_files(tmp_path / "manifest.json", monkeypatch) == {}


def test_the_key_is_bound_to_the_dispatcher_twice() -> None:
    assert (
        content("db1", "/etc/hactl/authorized_keys")
        .splitlines()[-1]
        .startswith('restrict,command="/usr/local/lib/hactl/dispatch" ssh-ed25519 ')
    )
    sshd = content("db1", "/etc/ssh/sshd_config.d/hactl.conf")
    assert "Match User hactl\n" in sshd
    assert "ForceCommand /usr/local/lib/hactl/dispatch\n" in sshd
