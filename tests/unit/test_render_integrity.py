"""Units of integrity: their rights, their times, and the words that reach them."""

from __future__ import annotations

import pytest

from hactl import layout
from hactl.render import integrity
from hactl.render.targets import RenderedFile
from hactl.spec.model import ClusterSpec
from tests.support import specs
from tests.support.rendered import rendered


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
