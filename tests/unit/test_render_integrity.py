"""Units of integrity: their rights, their times, and the words that reach them."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from hactl import layout
from hactl.deploy import packages
from hactl.render import integrity
from hactl.render.targets import RenderedFile
from hactl.spec.model import ClusterSpec
from tests.support import specs
from tests.support.rendered import rendered, secrets
from tests.support.rendered import sample as rendered_sample


def changed(**scrub: object) -> ClusterSpec:
    spec = specs.sample()
    archive = spec.archive.model_copy(update={"scrub": spec.archive.scrub.model_copy(update=scrub)})
    return spec.model_copy(update={"archive": archive})


def found(name: str, node: str = "arc1") -> RenderedFile:
    return next(f for f in rendered() if f.node == node and f.path.endswith(f"/{name}"))


def test_the_nodes_take_turns() -> None:
    spec = specs.sample()
    assert integrity.calendar(spec, "arc1") == "Sat *-*-* 20:00"
    assert integrity.calendar(spec, "arc2") == "Tue *-*-* 22:00"


@pytest.mark.parametrize(
    ("every", "arc1", "arc2"),
    [
        ("day", "*-*-* 20:00", "*-*-* 22:00"),
        ("month", "*-*-01 20:00", "*-*-15 22:00"),
        ("never", "2200-01-01 00:00", "2200-01-01 00:00"),
    ],
)
def test_as_often_as_the_spec_says(every: str, arc1: str, arc2: str) -> None:
    spec = changed(every=every)
    assert [integrity.calendar(spec, node) for node in ("arc1", "arc2")] == [arc1, arc2]


def test_who_reads_the_images_cannot_write_them() -> None:
    for unit in ("hactl-manifest.service", "hactl-scrub.service", "hactl-reconcile.service"):
        lines = found(unit).content.splitlines()
        assert "User=hactl" in lines
        assert "SupplementaryGroups=orthanc" in lines
        assert "ProtectSystem=strict" in lines
        assert "CapabilityBoundingSet=" in lines
        assert not any(line.startswith("ReadWritePaths") for line in lines)


def test_the_hand_is_orthancs_and_only_hactl_may_ask_it() -> None:
    socket = found("hactl-hand.socket").content.splitlines()
    assert {"SocketUser=hactl", "SocketMode=0600", "Accept=yes"} <= set(socket)
    service = found("hactl-hand@.service").content.splitlines()
    assert {"User=orthanc", "PrivateNetwork=yes", "NoNewPrivileges=yes"} <= set(service)


def test_only_archive_nodes_know_the_words() -> None:
    assert "scrub-start" in found("dispatch").content
    assert "scrub-start" not in found("dispatch", "db1").content
    assert "/usr/bin/systemctl start hactl-scrub.service" in found("sudoers.d/hactl").content
    assert f"{layout.ACT} reconcile" in found("sudoers.d/hactl").content
    assert "hactl-scrub" not in found("sudoers.d/hactl", "wit1").content


def test_the_dispatcher_starts_and_tells(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    names: dict[str, Any] = {"__name__": "script"}
    exec(compile(found("dispatch").content, "dispatch", "exec"), names)  # noqa: S102
    called: list[list[str]] = []

    def call(argv: list[str], within: float) -> tuple[int, str]:
        assert within > 0
        called.append(argv)
        return 0, ""

    names["call"], names["INTEGRITY"] = call, str(tmp_path)
    (tmp_path / "scrub.json").write_text('{"state": "done"}')
    for asked in ("scrub-start", "scrub-stop", "reconcile-start", "reconcile-dry"):
        assert names["main"](asked) == 0
        assert names["main"](f"{asked} now") == 2
    systemctl = ["/usr/bin/sudo", "-n", "/usr/bin/systemctl"]
    assert called == [
        [*systemctl, "start", "hactl-scrub.service"],
        [*systemctl, "stop", "hactl-scrub.service"],
        [*systemctl, "start", "hactl-reconcile.service"],
        [*systemctl, "start", "hactl-reconcile-dry.service"],
    ]
    capsys.readouterr()
    assert names["main"]("integrity") == 0
    told = json.loads(capsys.readouterr().out)
    assert (told["scrub"], told["reconcile"]) == ({"state": "done"}, None)
    assert set(told["units"]) >= {"hactl-manifest.service", "hactl-scrub.service"}
    assert names["main"]("scrub-report") == 0
    assert json.loads(capsys.readouterr().out) is None


def test_nothing_is_signed_unless_the_spec_says_so() -> None:
    spec = rendered_sample()
    assert not any("hactl-sign" in f.path for f in rendered())
    assert "hactl-sign" not in found("dispatch").content
    assert "dcmtk" not in packages.of(spec, "arc1")
    keys = {name: f"/etc/site/{name}.pem" for name in ("certificate", "key", "trusted")}
    signing = ClusterSpec.model_validate({**specs.edited({}), "archive": {"signing": keys}})
    files = {f.path: f for f in integrity.render(signing, secrets(signing)) if f.node == "arc1"}
    unit = files["/etc/systemd/system/hactl-sign.service"]
    assert "archive signatures follow" in unit.content
    assert "SupplementaryGroups=orthanc" in unit.content
    assert unit.unit == "hactl-sign.service"
    assert "hactl-sign.service" in integrity.units(signing, "arc1")
    assert "dcmtk" in packages.of(signing, "arc1")
    assert "dcmtk" not in packages.of(signing, "db1")
