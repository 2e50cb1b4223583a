"""`hactl gate`: who may run what, however it is typed. Nothing here reaches a cluster."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import click
import pytest
import yaml

from hactl.adapters import actor
from hactl.cli import gate, levels
from hactl.cli.app import COMMANDS, main, root
from hactl.cli.levels import LEVELS, Level
from hactl.errors import Refused
from hactl.render.people import Call, authorized_keys, between, sudoers, wrapper
from hactl.spec.document import Document
from hactl.spec.load import check
from tests.support.keys import public_key
from tests.support.specs import edited

Out = pytest.CaptureFixture[str]
PEOPLE: dict[str, Any] = {
    "vera": {"role": "view", "keys": [public_key(1)], "os_users": ["vera"]},
    "otto": {"role": "operate", "keys": [public_key(2), f"{public_key(3)} otto@home"]},
    "dora": {"role": "dangerous", "keys": [public_key(4)]},
}


def leaves(group: click.Group, path: tuple[str, ...] = ()) -> Iterator[tuple[str, click.Command]]:
    ctx = click.Context(group)
    for name in group.list_commands(ctx):
        found = group.get_command(ctx, name)
        assert found is not None
        if isinstance(found, click.Group):
            yield from leaves(found, (*path, name))
        else:
            yield " ".join((*path, name)), found


TREE = dict(leaves(root))


def test_every_command_has_its_level_and_no_level_is_left_over() -> None:
    assert set(LEVELS) == set(TREE)
    for table in (levels.RAISED, levels.FILES, levels.NODES_ONLY):
        for command, option in table:
            assert option in {p.name for p in TREE[command].params}, (command, option)
    for command, options in levels.NEEDED.items():
        assert set(options) <= {p.name for p in TREE[command].params}


def test_every_option_that_names_a_file_is_known() -> None:
    words = ("FILE", "FOLDER", "PATH")
    for command, found in TREE.items():
        if LEVELS[command] is Level.HOST:
            continue
        for p in found.params:
            named = isinstance(p.type, click.Path | click.File) or any(w in (p.metavar or "") for w in words)
            named = named or (p.name in {"file", "out", "into", "folder"})
            known = {*levels.FILES, *levels.NODES_ONLY}
            if named and not (p.name or "").startswith("common_"):
                assert (command, p.name) in known, f"{command}: {p.name} names a file"


def test_each_force_is_dangerous() -> None:
    assert levels.RAISED_ANYWHERE["force"] is Level.DANGEROUS
    for command in ("failover", "node fence", "node reinit", "archive drain"):
        assert "force" in {p.name for p in TREE[command].params}


@pytest.fixture
def spec(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    path = tmp_path / "cluster.yaml"
    path.write_text(yaml.safe_dump(edited({"access.people": PEOPLE})))
    monkeypatch.setattr(gate, "log", lambda _: None)
    monkeypatch.setattr(actor, "_gate", [])
    monkeypatch.setattr(os, "chdir", lambda _: None)
    environment = dict(os.environ)
    yield path  # type: ignore[misc]
    os.environ.clear()
    os.environ.update(environment)


@pytest.fixture
def ran(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The commands whose callbacks were reached, with none of them doing anything."""
    found: list[str] = []

    def invoke(self: click.Command, ctx: click.Context) -> None:
        if isinstance(self, click.Group) or ctx.command_path == "hactl gate":
            return REAL(self, ctx)
        found.append(ctx.command_path.removeprefix("hactl "))
        return None

    monkeypatch.setattr(click.Command, "invoke", invoke)
    return found


REAL = click.Command.invoke


def says(spec: Path, person: str, sent: str) -> int:
    os.environ["SSH_CONNECTION"] = "192.0.2.50 40000 192.0.2.2 22"
    os.environ["SSH_ORIGINAL_COMMAND"] = sent
    with pytest.raises(SystemExit) as caught:
        main(["--spec", str(spec), "gate", "--as", person])
    return int(caught.value.code or 0)


MAY = {
    "vera": ["status", "hactl status", "status -o json", "'status'", "node show db1", "failover --explain",
             "config show", "approve", "access list", "journal tail -n 3", "status --check"],
    "otto": ["status", "switchover --dry-run", "node restart db2 --reason 'new RAM; rm -rf /'",
             "pause --for 1h --reason x", "archive drain arc1", "archive lint arc1", "mute STANDBY_LOST"],
    "dora": ["status", "failover --to db2 --force --reason x", "node fence db1 --force", "node reinit db2",
             "deploy --check", "archive drain arc1 --force", "approve 3fa91c",
             "config edit --set work_mem=8MB --reason x"],
}  # fmt: skip
MAY_NOT = {
    "vera": ["switchover", "failover --to db2", "failover --explain --to=db2", "failover --to db2 --dry-run",
             "node restart db2", "node fence db1", "pause --reason x", "deploy", "approve 3fa91c",
             "status --spec /etc/hactl/cluster.yaml", "--spec x status", "--spec=/etc/passwd status",
             "journal tail --file /etc/shadow", "journal tail --fil=/etc/shadow", "history --file=x",
             "man --into /tmp", "man --into=/tmp", "spec show", "node logs db1", "config diff"],
    "otto": ["failover --to db2", "node fence db1", "node reinit db2", "deploy", "archive drain arc1 --force",
             "archive restart --force arc1", "switchover --end-transactions", "archive lint /etc/passwd",
             "archive lint arc1 ../x", "archive lint --openssl-conf /etc/shadow arc1", "node unfence db1"],
    "dora": ["config edit --reason x", "config rollback 1", "config render --out /tmp/x", "pki init",
             "pki modality ct1 --out /tmp", "spec init /root/.ssh/authorized_keys", "drill report --out /x",
             "drill judge /etc/shadow", "lab shell", "lab exec db1 -- id", "agent run", "controller run",
             "gate --as anna", "access keys", "access install", "access sudo --install", "demo",
             "spec check /etc/shadow", "lab up", "archive signatures export x y"],
}  # fmt: skip
NEVER = [
    "", " ", "bash", "/bin/sh", "sh -c id", "scp -t /tmp", "scp -f /etc/shadow", "internal-sftp",
    "/usr/lib/openssh/sftp-server", "rsync --server . /", "status\nid", "status\rid", "status\tx\x07",
    "'status", 'status "', "status\x1b[2J", "git-upload-pack x", "hactl", "hactl hactl status",
    "-- status x", "x" * 5000, "statu", "stat", "nod fence db1", "status; id", "status && id", "$(id)",
    "`id`", "status | sh",
]  # fmt: skip


@pytest.mark.parametrize(("person", "sent"), [(p, s) for p, all_ in MAY.items() for s in all_])
def test_what_they_may(spec: Path, ran: list[str], person: str, sent: str, capsys: Out) -> None:
    assert says(spec, person, sent) == 0, capsys.readouterr().err
    assert len(ran) == 1
    assert actor.account() == person


@pytest.mark.parametrize(("person", "sent"), [(p, s) for p, all_ in MAY_NOT.items() for s in all_])
def test_what_they_may_not(spec: Path, ran: list[str], person: str, sent: str, capsys: Out) -> None:
    code = says(spec, person, sent)
    said = capsys.readouterr().err
    assert (code, ran) in [(3, []), (2, [])], said
    if code == 2:
        assert "No such option" in said, "click takes no shortened options"


@pytest.mark.parametrize("sent", NEVER)
@pytest.mark.parametrize("person", list(PEOPLE))
def test_nothing_else_is_run_for_anybody(spec: Path, ran: list[str], person: str, sent: str) -> None:
    assert says(spec, person, sent) in {2, 3}
    assert ran == []


def test_what_a_role_may_the_next_one_may_too(spec: Path, ran: list[str]) -> None:
    for sent in [*MAY["vera"], *MAY["otto"]]:
        assert says(spec, "dora", sent) == 0, sent
    for sent in MAY["vera"]:
        assert says(spec, "otto", sent) == 0, sent
    assert len(ran) == 2 * len(MAY["vera"]) + len(MAY["otto"])


def test_the_refusal_is_one_sentence_with_both_roles(spec: Path, capsys: Out) -> None:
    assert says(spec, "vera", "node fence db1") == 3
    said = capsys.readouterr().err
    assert said == "hactl: `hactl node fence` needs the role dangerous; vera has view\n"


def test_who_was_removed_is_out(spec: Path, capsys: Out) -> None:
    assert says(spec, "emil", "status") == 3
    assert "nobody called emil any more" in capsys.readouterr().err


def test_without_the_gate_nothing_changes(spec: Path, ran: list[str]) -> None:
    with pytest.raises(SystemExit) as caught:
        main(["--spec", str(spec), "node", "fence", "db1"])
    assert (caught.value.code, ran) == (0, ["node fence"])


def test_nobody_types_the_gate_for_another(
    spec: Path, ran: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("SSH_CONNECTION", raising=False)
    monkeypatch.setenv("SSH_ORIGINAL_COMMAND", "status")
    for words in (["--as", "dora"], ["--as", "dora", "status"], [], ["--as", "dora", "--as-os-user"]):
        with pytest.raises(SystemExit) as caught:
            main(["--spec", str(spec), "gate", *words])
        assert caught.value.code == 2
    assert ran == []


# sudo


def by_sudo(spec: Path, user: str, *words: str) -> int:
    os.environ["SUDO_USER"] = user
    with pytest.raises(SystemExit) as caught:
        main(["--spec", str(spec), "gate", "--as-os-user", "--", *words])
    return int(caught.value.code or 0)


def test_sudo_says_who(spec: Path, ran: list[str], monkeypatch: pytest.MonkeyPatch, capsys: Out) -> None:
    monkeypatch.setattr(actor, "logged_in_as", lambda: "vera")
    assert by_sudo(spec, "vera", "status") == 0
    assert actor.caller() == actor.Caller("vera", "view")
    assert by_sudo(spec, "vera", "node", "fence", "db1") == 3
    assert by_sudo(spec, "vera", "--as", "dora", "status") == 2, "behind -- it is the command's option"
    assert by_sudo(spec, "vera", "--state", "/x", "status") == 2
    assert by_sudo(spec, "otto", "status") == 3
    assert "you logged in as vera" in capsys.readouterr().err
    monkeypatch.setattr(actor, "logged_in_as", lambda: "")
    assert by_sudo(spec, "otto", "status") == 3, "otto has no account in the spec"
    for nobody in ("", "root"):
        assert by_sudo(spec, nobody, "status") == 3
    assert ran == ["status"]


# the environment


def test_no_variable_of_a_client_decides_anything() -> None:
    found = {
        "HACTL_SPEC": "/x", "HACTL_STATE": "/x", "PYTHONPATH": "/x", "LD_PRELOAD": "/x",
        "EDITOR": "vi", "PATH": "/x", "_HACTL_COMPLETE": "bash_source", "TERM": "xterm", "LANG": "C.UTF-8",
        "LC_ALL": "../../x\n", "SSH_CONNECTION": "192.0.2.50 1 192.0.2.2 22", "HTTPS_PROXY": "x",
        "HOME": "/x", "SSH_ORIGINAL_COMMAND": "status", "LESSOPEN": "|x", "IFS": "x",
    }  # fmt: skip
    gate.clean(found, "/srv/state")
    assert found.pop("HOME") != "/x"
    assert found.pop("USER") == found.pop("LOGNAME")
    assert found == {
        "TERM": "xterm", "LANG": "C.UTF-8", "SSH_CONNECTION": "192.0.2.50 1 192.0.2.2 22", "PATH": gate.PATH,
        "EDITOR": "/bin/false", "VISUAL": "/bin/false", "PAGER": "/bin/cat", "HACTL_STATE": "/srv/state",
    }  # fmt: skip


# what is rendered

CALL = Call(("/opt/hactl/bin/python", "-I", "-m", "hactl"), "/etc/hactl-ops/demo.yaml", "/srv/state")


def test_one_line_for_each_key() -> None:
    lines = authorized_keys(check(Document(edited({"access.people": PEOPLE})), "x"), CALL)
    assert len(lines) == 4
    start = (
        'restrict,pty,command="/opt/hactl/bin/python -I -m hactl --spec /etc/hactl-ops/demo.yaml gate '
        "--state /srv/state --as "
    )
    assert lines[0] == f'{start}vera" {public_key(1)} vera'
    assert lines[2] == f'{start}otto" {public_key(3)} otto', "the comment is ours"


def test_a_path_that_needs_quoting_is_refused() -> None:
    for path in ("/x y", '/x"', "/x$HOME", "/x\n", "/x;id"):
        with pytest.raises(Refused, match="other signs"):
            Call(("hactl",), path).words()


def test_words_behind_the_wrapper_are_no_options_of_the_gate() -> None:
    assert wrapper(CALL).endswith('gate --state /srv/state --as-os-user -- "$@"\n')
    text = sudoers(check(Document(edited({"access.people": PEOPLE})), "x"), "/usr/local/bin/g", "hactl-ops")
    assert "vera ALL=(hactl-ops) NOPASSWD: /usr/local/bin/g  # vera\n" in text
    assert "otto" not in text


def test_other_lines_stay() -> None:
    once = between("ssh-rsa AAAA me\n", "demo", ["a", "b"])
    assert once == "ssh-rsa AAAA me\n# hactl demo: begin\na\nb\n# hactl demo: end\n"
    assert between(once, "demo", ["c"]) == "ssh-rsa AAAA me\n# hactl demo: begin\nc\n# hactl demo: end\n"
    assert between(once, "other", []) == once
    assert between(once, "demo", []) == "ssh-rsa AAAA me\n"


def test_the_table_of_commands_is_the_apps() -> None:
    assert {command.split()[0] for command in LEVELS} == set(COMMANDS)
