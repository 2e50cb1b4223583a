"""The program that looks at a node for the doctor: what it asks, and that its answer is understood."""

from __future__ import annotations

import contextlib
import json
import socket
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from hactl import layout
from hactl.render import base
from hactl.render.reach import targets
from hactl.spec.model import ClusterSpec
from hactl.view.model import Unknown
from hactl.view.parse.preflight import parse_preflight, parse_server
from hactl.view.preflight import Reach, Reached, Upgrades
from tests.support.rendered import sample
from tests.unit.test_render_dispatch import program

MINE, OTHER = "02:00:00:00:00:01", "02:00:00:00:00:02"


def link(name: str, *addresses: str, mac: str = MINE) -> dict[str, Any]:
    known = [{"family": "inet", "local": a, "prefixlen": 24} for a in addresses]
    return {"ifname": name, "link_type": "ether", "address": mac, "addr_info": known}


class Machine:
    """Answers the program's calls by the program's name and first word."""

    def __init__(self, **answers: tuple[int, str]) -> None:
        self.answers = answers
        self.given: dict[str, str] = {}

    def __call__(self, argv: list[str], within: float, stdin: str = "") -> tuple[int, str]:
        assert within > 0
        name = argv[0].rsplit("/", 1)[-1].replace("-", "_")
        self.given[name] = stdin
        return self.answers.get(
            f"{name}_{argv[2]}" if name == "ip" else name, (-1, f"{argv[0]} is not installed")
        )


def look(node: str = "db1", links: list[dict[str, Any]] | None = None, **changes: Any) -> dict[str, Any]:
    """The program's names, on a machine without a network."""
    names = program("preflight", node)
    answers = {"ip_address": (0, json.dumps(links or [])), "nft": (0, ""), "apt_config": (0, "")}
    names["call"] = Machine(**{**answers, **changes.pop("answers", {})})
    names["connect"] = lambda target, _: (
        {k: target[k] for k in ("to", "port", "what", "vip")} | {"found": "ok"}
    )
    names["probe"] = lambda *_: [OTHER]
    names.update(changes)
    return names


def said(names: dict[str, Any], capsys: pytest.CaptureFixture[str]) -> Any:
    assert names["main"]() == 0
    return parse_preflight(capsys.readouterr().out.encode())


def test_its_answer_is_understood(capsys: pytest.CaptureFixture[str]) -> None:
    found = said(look(links=[link("host0", "192.0.2.11", "192.0.2.100")]), capsys)
    assert Reach("db2", 5432, "PostgreSQL", Reached.OK) in found.reach
    database, archive = found.arp
    assert (database.vip, database.held, database.mine, database.claimed) == (
        "database",
        True,
        MINE,
        (OTHER,),
    )
    assert (archive.vip, archive.held, archive.macs) == ("archive", False, (MINE,))
    assert set(found.kernel) == {"sets with timeouts in nftables", "control groups of version 2"}
    assert found.backup_age is None


def test_it_asks_what_the_render_says_and_nothing_of_itself() -> None:
    spec = sample()
    for node in spec.nodes:
        listed = program("preflight", node)["REACH"]
        assert [(t["to"], t["port"]) for t in listed] == [(t.to, t.port) for t in targets(spec, node)]
        assert node not in {t["to"] for t in listed}


def _sources(spec: ClusterSpec, node: str) -> list[tuple[str, int]]:
    return [(source, t.port) for source in spec.nodes for t in targets(spec, source) if t.to == node]


@pytest.mark.parametrize("node", list(sample().nodes))
def test_what_a_node_must_reach_the_packet_filter_lets_through(node: str) -> None:
    """By the very rules: a port that is asked for and dropped would be a finding for ever."""
    spec = sample()
    rules, sets = {r.port: r.allow for r in base.rules(spec, node)}, base.sets(spec, node)
    for source, port in _sources(spec, node):
        named = {word.rpartition("@")[2] for word in rules[port] if "daddr" not in word}
        assert any(str(spec.nodes[source].address) in sets[name] for name in named), (source, port)


def test_every_port_that_the_filter_opens_to_nodes_is_asked_for() -> None:
    spec = sample()
    for node in spec.nodes:
        opened = {
            r.port for r in base.rules(spec, node) if r.allow and any("@operators" not in a for a in r.allow)
        }
        asked = {port for _, port in _sources(spec, node)}
        own = {layout.PORT_METRICS} if node in spec.witnesses else set()  # it scrapes itself over loopback
        assert opened - own == asked - own


def test_a_node_outside_the_network_of_a_virtual_ip_is_not_asked_about_its_arp(
    capsys: pytest.CaptureFixture[str],
) -> None:
    assert said(look(links=[link("host0", "198.51.100.7")]), capsys).arp == ()
    # The virtual IP itself makes no interface one of its network.
    assert said(look(links=[link("host0", "198.51.100.7"), link("x", "192.0.2.100")]), capsys).arp == ()


def test_two_interfaces_in_one_network_are_told(capsys: pytest.CaptureFixture[str]) -> None:
    links = [link("host0", "192.0.2.11"), link("eth1", "192.0.2.12", "192.0.2.100", mac=OTHER)]
    found = said(look(links=links), capsys).arp[0]
    assert (found.interface, found.also, found.held, found.macs) == ("eth1", ("host0",), True, (MINE, OTHER))


def test_a_probe_that_fails_is_told_and_is_no_answer(capsys: pytest.CaptureFixture[str]) -> None:
    def refused(*_: object) -> list[str]:
        raise PermissionError(1, "Operation not permitted")

    found = said(look(links=[link("host0", "192.0.2.11")], probe=refused), capsys).arp[0]
    assert (found.claimed, found.problem) == ((), "ARP probe: Operation not permitted")


def test_whom_it_would_send_to_comes_from_the_kernel(capsys: pytest.CaptureFixture[str]) -> None:
    answers = {"ip_neighbour": (0, json.dumps([{"dst": "192.0.2.100", "lladdr": OTHER.upper()}]))}
    found = said(look("wit1", [link("host0", "192.0.2.13")], answers=answers), capsys)
    assert found.arp[0].cached == OTHER


def test_nft_is_asked_for_what_the_lease_is_made_of(capsys: pytest.CaptureFixture[str]) -> None:
    names = look(answers={"nft": (1, "Error: Could not process rule: Operation not supported\n^^^\n")})
    found = said(names, capsys)
    assert found.kernel["sets with timeouts in nftables"].endswith("Operation not supported")
    assert "flags timeout" in names["call"].given["nft"]


APT = """APT::Periodic::Unattended-Upgrade "1";
Unattended-Upgrade::Package-Blacklist "";
Unattended-Upgrade::Package-Blacklist:: "etcd-";
Unattended-Upgrade::Automatic-Reboot "true";
"""
PERL = """# $nrconf{restart} = 'a';
$nrconf{restart} = 'a';
$nrconf{override_rc} = {
    qr(^dbus) => 0,
};
$nrconf{override_rc}{qr(^etcd)} = 0;
"""


def test_upgrades_are_read_as_apt_and_needrestart_read_them(monkeypatch: pytest.MonkeyPatch) -> None:
    names = look(answers={"apt_config": (0, APT), "systemctl": (0, "enabled\n")}, needrestart=lambda: PERL)
    monkeypatch.setattr(names["os"].path, "exists", lambda _: True)
    told = parse_preflight(json.dumps({"upgrades": names["upgrades"]()}).encode()).upgrades
    assert told == Upgrades(
        unattended=True, kept=("etcd-",), reboots=True, restarts=True, spared=("^dbus", "^etcd")
    )


@pytest.mark.parametrize(
    ("apt", "timer"),
    [(APT, "masked"), (APT.replace('Upgrade "1"', 'Upgrade "0"'), "enabled"), ("", "enabled")],
)
def test_upgrades_that_do_not_run_are_none(monkeypatch: pytest.MonkeyPatch, apt: str, timer: str) -> None:
    answers = {"apt_config": (0, apt), "systemctl": (1 if timer == "masked" else 0, f"{timer}\n")}
    names = look(answers=answers, needrestart=lambda: "# $nrconf{restart} = 'a';\n")
    monkeypatch.setattr(names["os"].path, "exists", lambda _: True)
    found = names["upgrades"]()
    assert (found["unattended"], found["reboots"]) == (False, False)


def test_an_apt_that_does_not_tell_is_unknown(capsys: pytest.CaptureFixture[str]) -> None:
    assert isinstance(said(look(answers={"apt_config": (-1, "x")}), capsys).upgrades, Unknown)


def test_comments_of_needrestart_count_for_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    names = look()
    (tmp_path / "x.conf").write_text("  # $nrconf{restart} = 'a';\n$nrconf{restart} = 'l';\n")
    monkeypatch.setattr(names["glob"], "glob", lambda _: [str(tmp_path / "x.conf")])
    assert names["needrestart"]() == "$nrconf{restart} = 'l';\n"


def test_the_backup_s_stamp(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    stamp = tmp_path / "stamp"
    missing = said(look(STAMP=str(stamp)), capsys).backup_age
    assert missing == Unknown("No such file or directory")
    stamp.touch()
    young = said(look(STAMP=str(stamp)), capsys).backup_age
    assert isinstance(young, float)
    assert young < 60


@contextlib.contextmanager
def listening(*, backlog: int = 5) -> Iterator[int]:
    with socket.socket() as server:
        server.bind(("127.0.0.1", 0))
        server.listen(backlog)
        yield int(server.getsockname()[1])


def test_connects_say_ok_refused_or_nothing() -> None:
    connect, end = program("preflight")["connect"], time.monotonic() + 5
    with listening() as port:
        target = {"to": "db2", "address": "127.0.0.1", "port": port, "what": "etcd", "vip": False}
        assert connect(target, end)["found"] == "ok"
    assert connect(target, end)["found"] == "refused"
    assert connect(target, end - 60)["found"] == "unknown"


def server(**more: object) -> bytes:
    row = {"name": "wal_log_hints", "value": "on", "shown": "on"}
    return json.dumps({"settings": [row], **more}).encode()


def test_what_a_server_tells() -> None:
    slots = [{"name": "db2", "active": False, "retained": 5, "status": "reserved"}]
    found = parse_server(server(rewind={"login": True, "lacks": []}, wal=16777216, slots=slots))
    assert (found.rewind, found.wal, found.slots[0].retained) == ("", 16777216, 5)
    assert parse_server(server(rewind=None)).rewind == "there is no role rewind"
    assert parse_server(server(rewind={"login": False})).rewind == "the role rewind may not log in"
    lacks = ["pg_catalog.pg_ls_dir(text, boolean, boolean)"]
    assert "may not call pg_ls_dir" in str(
        parse_server(server(rewind={"login": True, "lacks": lacks})).rewind
    )
    assert isinstance(parse_server(server()).rewind, Unknown)


@pytest.mark.parametrize("body", [b"", b"[]", b'{"reach": [{}]}', b'{"arp": {}}', b'{"upgrades": []}'])
def test_anything_else_is_refused(body: bytes) -> None:
    with pytest.raises(ValueError, match="preflight"):
        parse_preflight(body)
