"""One suite for the fake archive node and a real one: nginx before Orthanc before PostgreSQL, on loopback."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass

import pytest

from hactl.adapters.archive_http import ArchiveVip, OrthancHttp
from hactl.adapters.http import HttpsClient
from hactl.ports import Archive, Vip
from hactl.view.model import Probe, State
from tests.fakes.ports import FakeArchive, FakeVip
from tests.support.archive_pair import HTTPS, archive_pair
from tests.support.servers import wait_until

DOWN = Probe(State.FAILED, "down")


@dataclass
class World:
    archive: Archive
    vip: Vip
    lose_database: Callable[[], None]
    lose_orthanc: Callable[[], None]
    lose_nginx: Callable[[], None]


def fake() -> Iterator[World]:
    archive, vip = FakeArchive(), FakeVip("192.0.2.101", "arc1")

    def lose_nginx() -> None:
        archive.levels["L0"] = DOWN
        vip.node = None

    yield World(
        archive,
        vip,
        lambda: archive.levels.update(L2=DOWN),
        lambda: archive.levels.update(L0=DOWN, L1=DOWN, L2=DOWN),
        lose_nginx,
    )


def real() -> Iterator[World]:
    with archive_pair() as pair:
        http = HttpsClient(
            pair.pki("arc1", "ca.crt"), pair.pki("arc1", "ops.crt"), pair.pki("arc1", "ops.key")
        )
        place = pair.places["arc1"]
        yield World(
            OrthancHttp(http, place.address, port=HTTPS, dicom=place.dicom),
            ArchiveVip(http, pair.vip, port=HTTPS),
            pair.daemons["postgres"].kill,
            pair.daemons["orthanc-arc1"].kill,
            pair.daemons["nginx-arc1"].kill,
        )


@pytest.fixture(params=[fake, real])
def world(request: pytest.FixtureRequest) -> Iterator[World]:
    yield from request.param()


def levels(archive: Archive) -> list[State]:
    return [archive.listens().state, archive.answers().state, archive.index().state]


def test_an_archive_node_falls_level_by_level(world: World) -> None:
    """The operator's certificate is login enough; each loss shows at its own level and not below it."""
    assert levels(world.archive) == [State.OK, State.OK, State.OK]
    assert world.archive.version().startswith("1.")
    assert world.vip.holder() == "arc1"

    world.lose_database()
    wait_until("the index is lost", lambda: world.archive.index().failed, 10)
    assert levels(world.archive)[:2] == [State.OK, State.OK]

    world.lose_orthanc()
    wait_until("DICOM is lost", lambda: world.archive.listens().failed, 10)
    assert levels(world.archive) == [State.FAILED] * 3
    assert world.vip.holder() == "arc1"

    world.lose_nginx()
    assert world.archive.listens().failed
