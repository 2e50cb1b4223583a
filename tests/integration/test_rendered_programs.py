"""Each rendered file, judged by its own program, at its real place."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest

from hactl import layout
from hactl.render import acts
from tests.support.rendered import as_node, content, files_of, install, sample
from tests.support.servers import program

pytestmark = pytest.mark.lab  # namespaces, as root

NODES = ("db1", "wit1", "arc1")
HOLDERS = ("db1", "arc1")


@pytest.fixture(scope="module")
def trees(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    base = tmp_path_factory.mktemp("nodes")
    base.chmod(0o755)
    return {node: install(node, base / node) for node in NODES}


def ok(done: subprocess.CompletedProcess[str]) -> str:
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout + done.stderr


@pytest.mark.parametrize("node", HOLDERS)
def test_keepalived(trees: dict[str, Path], node: str) -> None:
    """keepalived 2.2.7 -t kills itself when the scripts' account is not root: the checked copy says root."""
    path = program("keepalived", "keepalived")
    copy = trees[node] / "etc/keepalived/checked.conf"
    copy.write_text(
        content(node, str(layout.KEEPALIVED_CONFIG)).replace("script_user hactl", "script_user root")
    )
    assert ok(as_node(trees[node], [path, "-t", "-f", "/etc/keepalived/checked.conf"])) == ""


def test_keepalived_would_find_a_mistake(trees: dict[str, Path]) -> None:
    path = program("keepalived", "keepalived")
    copy = trees["db1"] / "etc/keepalived/wrong.conf"
    text = content("db1", str(layout.KEEPALIVED_CONFIG)).replace("script_user hactl", "script_user root")
    copy.write_text(text.replace("garp_master_delay", "garp_mistress_delay"))
    assert as_node(trees["db1"], [path, "-t", "-f", "/etc/keepalived/wrong.conf"]).returncode != 0


@pytest.mark.parametrize("node", NODES)
def test_nftables_takes_the_rules_again_and_again(trees: dict[str, Path], node: str) -> None:
    nft = program("nft", "nftables")
    rules = str(layout.NFT_RULES)
    ok(as_node(trees[node], [nft, "-c", "-f", rules]))
    listed = ok(
        as_node(trees[node], ["sh", "-c", f"{nft} -f {rules} && {nft} -f {rules} && {nft} list ruleset"])
    )
    assert listed.count("table inet hactl") == 1
    assert listed.count("chain input") == 1
    assert listed.count("chain output") == (node == "arc1")


@pytest.mark.parametrize("node", NODES)
def test_units(trees: dict[str, Path], node: str) -> None:
    analyze = program("systemd-analyze", "systemd")
    names = {
        Path(f.path.replace(".d/hactl.conf", "")).name for f in files_of(node) if "/systemd/system/" in f.path
    }
    assert ok(as_node(trees[node], [analyze, "verify", "--man=no", *sorted(names)])) == ""


@pytest.mark.parametrize("node", NODES)
def test_sudoers(trees: dict[str, Path], node: str) -> None:
    visudo = program("visudo", "sudo")
    ok(as_node(trees[node], [visudo, "-c", "-f", "/etc/sudoers.d/hactl"]))


def test_sudo_allows_the_fixed_commands_and_no_other(trees: dict[str, Path]) -> None:
    sudo = program("sudo", "sudo")
    allowed = [sudo, "-n", "-l", "-U", "hactl"]
    ok(as_node(trees["db1"], [*allowed, "/usr/bin/systemctl", "restart", "patroni.service"]))
    ok(as_node(trees["db1"], [*allowed, "/usr/local/lib/hactl/read-files"]))
    ok(as_node(trees["db1"], [*allowed, "-u", "hactl", "/usr/local/lib/hactl/read-settings"]))
    for sentence in acts.sentences(sample(), "db1"):
        ok(as_node(trees["db1"], [*allowed, str(layout.ACT), *sentence.split()]))
    assert as_node(trees["arc1"], [*allowed, str(layout.ACT), "fence"]).returncode != 0
    for argv in (
        ["/usr/bin/systemctl", "stop", "patroni.service"],
        ["/usr/bin/systemctl", "restart", "ssh.service"],
        ["/usr/bin/systemctl", "restart", "patroni.service", "ssh.service"],
        ["/usr/local/lib/hactl/read-files", "/etc/shadow"],
        ["-u", "hactl", "/usr/local/lib/hactl/read-settings", "x"],
        ["-u", "postgres", "/usr/local/lib/hactl/read-settings"],
        ["/usr/local/lib/hactl/act"],
        ["/usr/local/lib/hactl/act", "fence", "now"],
        ["/usr/local/lib/hactl/act", "restart", "ssh.service"],
        ["/usr/local/lib/hactl/act", "start", "hactl-agent.service"],
        ["/bin/sh"],
    ):
        assert as_node(trees["db1"], [*allowed, *argv]).returncode != 0, argv


@pytest.mark.parametrize("node", NODES)
def test_sshd(trees: dict[str, Path], node: str) -> None:
    sshd = program("sshd", "openssh-server")
    key = "ssh-keygen -q -t ed25519 -N '' -f /run/hactl-test-key"
    who = "user=hactl,host=x,addr=192.0.2.2"
    ask = f"{sshd} -T -h /run/hactl-test-key -C {who} -f /etc/ssh/sshd_config.d/hactl.conf"
    said = ok(as_node(trees[node], ["sh", "-c", f"mount -t tmpfs none /run; mkdir /run/sshd; {key}; {ask}"]))
    assert "forcecommand /usr/local/lib/hactl/dispatch\n" in said
    assert "disableforwarding yes\n" in said
    assert "authorizedkeysfile /etc/hactl/authorized_keys\n" in said


@pytest.mark.parametrize("node", NODES)
def test_shell_scripts(trees: dict[str, Path], node: str) -> None:
    for file in files_of(node):
        if file.content.startswith("#!/bin/sh"):
            ok(as_node(trees[node], ["/bin/sh", "-n", file.path]))


@pytest.mark.parametrize("node", NODES)
def test_the_dispatcher_answers_on_a_node(trees: dict[str, Path], node: str) -> None:
    """Without sshd and sudo around it: these two have their own tests."""
    import json

    ask = ["env", "-i", "SSH_ORIGINAL_COMMAND=facts", "/usr/local/lib/hactl/dispatch"]
    facts = json.loads(ok(as_node(trees[node], ask)))
    assert facts["node"] == node
    assert "host0" in {link["ifname"] for link in facts["addresses"]}
    assert facts["versions"]["python"].startswith("3.")
    files = json.loads(ok(as_node(trees[node], ["/usr/local/lib/hactl/read-files"])))
    assert set(files) == {f.path for f in files_of(node)}
    assert all(files.values())
