"""An installation from memory for `hactl config`: a spec's file, Patroni, two servers, etcd, a deployment."""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

from hactl.act import config_versions
from hactl.act.config_versions import Draft
from hactl.act.maintenance import Operator
from hactl.cli import config_apply
from hactl.cli import operator as by_hand
from hactl.deploy import run
from hactl.deploy.recorded import recorded
from hactl.errors import HactlError, Unreachable
from hactl.observe.config import Server
from hactl.render.patroni import dynamic, pinned_parameters
from hactl.spec.load import load
from hactl.view.config_version import ConfigVersion
from hactl.view.journal import Kind, Record, parse_record, sealed, text_of
from hactl.view.keys import Keys
from hactl.view.model import DbRole, PatroniSelf
from hactl.view.setting import Setting
from tests.fakes.etcd import FakeClock, FakeEtcd
from tests.support import settings
from tests.support.rendered import sample, secrets
from tests.support.specs import SAMPLE
from tests.support.views import after, agent, keys

KEYS = Keys("demo")


@dataclass
class World:
    """`dcs`: Patroni's configuration; `nodes`: what servers run with; `refuses`, `fails`: what goes wrong."""

    source: Path
    etcd: FakeEtcd
    who: Operator
    dcs: dict[str, Any] = field(default_factory=dict)
    nodes: dict[str, dict[str, Setting]] = field(default_factory=dict)
    refuses: dict[str, str] = field(default_factory=dict)
    fails: HactlError | KeyboardInterrupt | None = None
    requests: list[run.Request] = field(default_factory=list)
    silent: set[str] = field(default_factory=set)
    view: dict[str, Any] = field(default_factory=dict)

    def deployed(self) -> ConfigVersion:
        """The file as it is now, as if `hactl deploy` had brought it."""
        text = self.source.read_text()
        version = config_versions.begin(self.who, Draft(text, "deploy"))
        config_versions.applied(self.who, version)
        self.take_over(text)
        return version

    def take_over(self, text: str) -> None:
        """Patroni has what the spec says; servers take what needs no restart."""
        self.dcs = dynamic(load(text, "x"))
        told = {**pinned_parameters(), **self.dcs["postgresql"]["parameters"]}
        for node in ("db1", "db2"):
            known = self.nodes.setdefault(node, dict(settings.running().settings))
            for name, value in told.items():
                if name in known and not known[name].restarts:
                    known[name] = dataclasses.replace(known[name], value=str(value), shown=str(value))

    def deploy(self, request: run.Request, _: Any) -> run.Result:
        assert request.record is not None
        assert request.holding is not None
        self.requests.append(request)
        with recorded(request.holding, request.record, fresh=False, whole=True, say=lambda _: None):
            if self.fails:
                raise self.fails
            self.take_over(request.record.text)
        return run.Result(first=False, check=False, changes=(), tasks=1, seconds=1.0)

    def servers(self, *_: object) -> dict[str, Server]:
        return {node: self._server(node) for node in ("db1", "db2")}

    def _server(self, node: str) -> Server:
        role = DbRole.PRIMARY if node == "db1" else DbRole.STANDBY

        def answered(value: Any) -> Any:
            if node in self.silent:
                raise Unreachable(f"{node} is off")
            return value

        return Server(
            settings=lambda: answered(dict(self.nodes[node])),
            waiting=lambda: answered({}),
            itself=lambda: answered(PatroniSelf(node, role, "running")),
            config=lambda: answered(self.dcs),
        )

    @property
    def versions(self) -> list[tuple[int, str, bool]]:
        return [(v.number, v.how, bool(v.applied)) for v in config_versions.every(self.who)]

    def journal(self) -> list[Record]:
        found = (self.etcd.value(KEYS.journal(n)) for n in range(2, 20))
        return [parse_record(text) for text in found if text is not None]


def world(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> World:
    """Deployed as version 1, healthy."""
    source = tmp_path / "cluster.yaml"
    source.write_text(SAMPLE.read_text())
    source.chmod(0o644)
    clock = FakeClock()
    etcd = FakeEtcd(clock)
    head = sealed(Record(1, "2026-01-01T00:00:00.000+00:00", 1, "b", "wit1", "c", Kind.EVENT, "began"))
    etcd.put(KEYS.journal(1), text_of(head))
    who = Operator(etcd.client(), KEYS, clock, "operator anna", "desk")
    found = World(source, etcd, who, view={"facts": {n: agent(n) for n in ("db1", "db2", "wit1")}})
    monkeypatch.setenv("HACTL_STATE", str(tmp_path / "state"))
    monkeypatch.setattr("hactl.deploy.desired.render_secrets", lambda _: secrets(sample()))
    monkeypatch.setattr("hactl.wiring.config_servers", found.servers)
    monkeypatch.setattr("hactl.adapters.postgres_settings.tried", lambda *_: found.refuses)
    monkeypatch.setattr(by_hand, "operator", lambda _: who)
    monkeypatch.setattr(by_hand, "look", lambda *_: after(keys(**found.view)))
    monkeypatch.setattr(config_apply, "_wheels", lambda: None)
    monkeypatch.setattr(config_apply, "TAKEN_WITHIN", 0.1)
    monkeypatch.setattr(run, "deploy", found.deploy)
    found.deployed()
    return found
