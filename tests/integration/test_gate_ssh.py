"""People's SSH keys over a real sshd, with the authorized_keys that `hactl access install` writes."""

from __future__ import annotations

import os
import pwd
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
import yaml

from hactl.pki import sshkey
from tests.support.leftovers import scratch
from tests.support.ports import free_port
from tests.support.servers import Daemon, program, wait_until
from tests.support.specs import edited

ROOT = Path(__file__).resolve().parents[2]
USER = pwd.getpwuid(os.geteuid()).pw_name
HACTL = f"/usr/bin/env PYTHONPATH={ROOT} {sys.executable} -m hactl"
ROLES = {"vera": "view", "otto": "operate", "dora": "dangerous"}


@dataclass
class Host:
    """The operator's host: its sshd, its account, its spec."""

    folder: Path
    port: int

    @property
    def options(self) -> list[str]:
        known = f"UserKnownHostsFile={self.folder / 'known_hosts'}"
        each = [known, "StrictHostKeyChecking=yes", "IdentitiesOnly=yes", "BatchMode=yes", "ConnectTimeout=5"]
        return ["-F", "/dev/null", *(word for option in each for word in ("-o", option))]

    def ssh(self, person: str, *words: str, more: tuple[str, ...] = ()) -> subprocess.CompletedProcess[str]:
        argv = [program("ssh", "openssh-client"), *self.options, "-i", str(self.folder / person)]
        argv += ["-p", str(self.port), *more, f"{USER}@127.0.0.1", *words]
        return subprocess.run(
            argv, capture_output=True, text=True, timeout=60, check=False, stdin=subprocess.DEVNULL
        )

    def copy(self, tool: str, *words: str) -> subprocess.CompletedProcess[str]:
        argv = [program(tool, "openssh-client"), *self.options, "-i", str(self.folder / "dora")]
        return subprocess.run(
            [*argv, "-P", str(self.port), *words], capture_output=True, text=True, timeout=60, check=False,
            stdin=subprocess.DEVNULL,
        )  # fmt: skip


def new_key(folder: Path, name: str) -> str:
    made = sshkey.generate(name)
    (folder / name).write_bytes(made.private)
    (folder / name).chmod(0o600)
    return made.public.decode() if isinstance(made.public, bytes) else made.public


def hactl(*words: str, **options: Any) -> str:
    argv = [sys.executable, "-m", "hactl", *words]
    done = subprocess.run(argv, capture_output=True, text=True, timeout=60, check=False, cwd=ROOT, **options)
    assert done.returncode == 0, done.stderr
    return done.stdout


@pytest.fixture(scope="module")
def host() -> Iterator[Host]:
    with scratch() as folder:
        yield from _host(folder)


def _host(folder: Path) -> Iterator[Host]:
    people = {n: {"role": r, "keys": [new_key(folder, n).strip()]} for n, r in ROLES.items()}
    new_key(folder, "stranger")
    public = new_key(folder, "host")
    spec = folder / "demo.yaml"
    spec.write_text(yaml.safe_dump(edited({"access.people": people})))
    spec.chmod(0o600)
    keys, port = folder / "account" / "authorized_keys", free_port()
    installed = hactl("--spec", str(spec), "access", "install", "--file", str(keys), "--program", HACTL)
    assert "3 keys of 3 people" in installed
    config = folder / "sshd_config"
    # As careless as an sshd can be: what holds must hold by the key's own line.
    config.write_text(
        f"ListenAddress 127.0.0.1:{port}\nHostKey {folder / 'host'}\nAuthorizedKeysFile {keys}\n"
        "AuthenticationMethods publickey\nPermitRootLogin yes\nStrictModes no\nUsePAM no\nPidFile none\n"
        "AllowTcpForwarding yes\nAllowAgentForwarding yes\nGatewayPorts yes\nPermitTunnel yes\n"
        "AcceptEnv *\nSubsystem sftp internal-sftp\n"
    )
    if os.geteuid() == 0:
        Path("/run/sshd").mkdir(mode=0o755, exist_ok=True)  # Debian's sshd will not start without it
    argv = [program("/usr/sbin/sshd", "openssh-server"), "-D", "-e", "-f", str(config)]
    daemon = Daemon("sshd", argv, folder / "log")
    daemon.start()
    try:
        wait_until("sshd listens", lambda: "Server listening" in daemon.tail(), 10)
        (folder / "known_hosts").write_text(f"[127.0.0.1]:{port} {' '.join(public.split()[:2])}\n")
        yield Host(folder, port)
    finally:
        daemon.kill()


def test_who_may_only_look_looks(host: Host) -> None:
    told = host.ssh("vera", "hactl", "access", "list")
    assert told.returncode == 0, told.stderr
    assert "dora             dangerous" in told.stdout
    assert host.ssh("vera", "status", "--help").returncode == 0


@pytest.mark.parametrize(
    ("person", "words", "needed"),
    [
        ("vera", "pause --reason x --yes", "operate"),
        ("vera", "switchover --yes", "operate"),
        ("vera", "failover --to db2 --force --reason x --yes", "dangerous"),
        ("otto", "node fence db1 --force --yes", "dangerous"),
        ("otto", "node reinit db2 --yes", "dangerous"),
    ],
)
def test_who_may_not_is_told_so_in_a_sentence(host: Host, person: str, words: str, needed: str) -> None:
    told = host.ssh(person, words)
    assert told.returncode == 3
    assert f"needs the role {needed}; {person} has {ROLES[person]}" in told.stderr
    assert told.stdout == ""


def test_who_may_do_more_gets_further(host: Host) -> None:
    assert host.ssh("otto", "pause", "--help").returncode == 0
    assert host.ssh("dora", "node", "fence", "--help").returncode == 0


def test_there_is_no_shell_and_nothing_but_hactl(host: Host) -> None:
    mark = host.folder / "mark"
    tries = ["bash", "sh -c id", f"status; touch {mark}", f"$(touch {mark})", f"status\ntouch {mark}"]
    for words in [*tries, f"'`touch {mark}`'", f"version && touch {mark}", "internal-sftp", "lab shell"]:
        told = host.ssh("dora", words)
        assert told.returncode in {2, 3}, (words, told.stdout, told.stderr)
    told = host.ssh("dora", more=("-tt",))
    assert told.returncode == 3
    assert "there is no shell here" in told.stdout
    assert not mark.exists()


def test_no_files_come_or_go(host: Host) -> None:
    source = host.folder / "x"
    source.write_text("x")
    target = host.folder / "y"
    assert host.copy("scp", "-O", str(source), f"{USER}@127.0.0.1:{target}").returncode != 0
    assert host.copy("scp", "-s", str(source), f"{USER}@127.0.0.1:{target}").returncode != 0
    assert host.copy("sftp", "-b", "/dev/null", f"{USER}@127.0.0.1").returncode != 0
    assert not target.exists()


def test_nothing_is_forwarded(host: Host) -> None:
    through = host.ssh("dora", more=("-W", f"127.0.0.1:{host.port}"))
    assert through.returncode != 0
    assert "SSH-2.0" not in through.stdout
    assert "prohibited" in through.stderr
    back = f"{free_port()}:127.0.0.1:{host.port}"
    told = host.ssh("dora", "version", more=("-o", "ExitOnForwardFailure=yes", "-R", back))
    assert told.returncode == 255
    assert "forwarding failed" in told.stderr


def test_a_client_chooses_no_spec_and_no_state(host: Host) -> None:
    other = host.folder / "other.yaml"
    other.write_text("cluster: other\n")
    for name in ("HACTL_SPEC", "HACTL_STATE"):
        told = host.ssh("vera", "access", "list", "-o", "json", more=("-o", f"SetEnv={name}={other}"))
        assert told.returncode == 0, told.stderr
        assert '"cluster": "demo"' in told.stdout
    for words in ("hactl --spec /etc/passwd status", f"access list --spec {other}"):
        assert host.ssh("vera", words).returncode == 3


def test_a_stranger_is_not_let_in(host: Host) -> None:
    told = host.ssh("stranger", "version")
    assert told.returncode == 255
    assert "Permission denied" in told.stderr


def test_who_is_removed_from_the_spec_is_out_at_once(host: Host) -> None:
    spec = host.folder / "demo.yaml"
    before = spec.read_text()
    try:
        found = yaml.safe_load(before)
        del found["access"]["people"]["otto"]
        spec.write_text(yaml.safe_dump(found))
        told = host.ssh("otto", "version")
        assert told.returncode == 3
        assert "nobody called otto any more" in told.stderr
    finally:
        spec.write_text(before)


def test_the_sudo_rule_is_one(host: Host) -> None:
    spec = host.folder / "sudo.yaml"
    people = {"vera": {"role": "view", "os_users": ["vera"]}}
    spec.write_text(yaml.safe_dump(edited({"access.people": people})))
    spec.chmod(0o600)
    text = hactl("--spec", str(spec), "access", "sudo", "--program", HACTL, "--account", "nobody")
    rule, wrapper = host.folder / "rule", host.folder / "wrapper"
    first, second = text.split("\n\n# /etc/sudoers.d/", 1)
    rule.write_text(second.split("\n", 1)[1])
    wrapper.write_text(first.split("\n", 1)[1] + "\n")
    wrapper.chmod(0o755)
    subprocess.run([program("/usr/sbin/visudo", "sudo"), "-cf", str(rule)], check=True, timeout=20)
    for words, code in ((["version"], 0), (["pause"], 3), (["--state", "/x", "version"], 2)):
        done = subprocess.run([str(wrapper), *words], env={"SUDO_USER": "vera", "PATH": os.environ["PATH"]},
                              capture_output=True, text=True, timeout=60, check=False)  # fmt: skip
        assert done.returncode == code, done.stderr
