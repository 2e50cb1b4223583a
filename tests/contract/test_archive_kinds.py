"""One suite for every kind of archive, each against a real one: what the port promises, whoever answers."""

from __future__ import annotations

import os
import signal
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from ipaddress import IPv4Address
from pathlib import Path

import pytest

from hactl.adapters.kinds.means import Files
from hactl.adapters.kinds.orthanc import OrthancKind
from hactl.layout import DICOM_CA
from hactl.ports import ArchiveKind
from hactl.view.model import Probe, State
from tests.support.archive_pair import HTTPS, ArchivePair, archive_pair, sample
from tests.support.dcmqrscp import dcmqrscp
from tests.support.foreign import kind, means, on_loopback
from tests.support.servers import wait_until


@dataclass
class World:
    """`stop`: nobody answers for the archive any more; `freeze` and `thaw`: it is there and does nothing."""

    kind: ArchiveKind
    name: str
    freeze: Callable[[], None]
    thaw: Callable[[], None]
    stop: Callable[[], None]
    start: Callable[[], None]


def files(pair: ArchivePair) -> tuple[Files, Files]:
    pki = pair.places["arc1"].folder / "pki"
    dicom = pki / DICOM_CA.name, pki / "dicom.crt", pki / "dicom.key"
    return (pki / "ca.crt", pki / "ops.crt", pki / "ops.key"), dicom


def signal_to(pair: ArchivePair, number: signal.Signals) -> None:
    process = pair.daemons["orthanc-arc1"].process
    assert process is not None
    os.kill(process.pid, number)


def of_pair(pair: ArchivePair, found: ArchiveKind, name: str) -> World:
    def stop() -> None:
        for daemon in ("orthanc-arc1", "nginx-arc1"):
            pair.daemons[daemon].kill()

    def start() -> None:
        for daemon in ("orthanc-arc1", "nginx-arc1"):
            pair.daemons[daemon].start()

    freeze, thaw = (lambda s=s: signal_to(pair, s) for s in (signal.SIGSTOP, signal.SIGCONT))
    return World(found, name, freeze, thaw, stop, start)


def orthanc(_: Path) -> Iterator[World]:
    """As hactl runs it: behind nginx, on the index in PostgreSQL."""
    with archive_pair() as pair:
        place, spec, (https, dicom) = pair.places["arc1"], sample(), files(pair)
        moved = spec.nodes["arc1"].model_copy(update={"address": IPv4Address(place.address)})
        here = spec.model_copy(update={"nodes": {**spec.nodes, "arc1": moved}})
        found = OrthancKind(here, means("HACTL", https, dicom), https=HTTPS, dicom=place.dicom)
        yield of_pair(pair, found, "arc1")


def dicom_and_dicomweb(_: Path) -> Iterator[World]:
    """The same one as a stranger sees it: DICOM over mutual TLS, and DICOMweb by HTTPS."""
    with archive_pair() as pair:
        place, (https, dicom) = pair.places["arc1"], files(pair)
        web = f"https://{place.address}:{HTTPS}/dicom-web"
        spec = on_loopback(place.dicom, place.address, tls=True, dicomweb=web)
        yield of_pair(pair, kind(spec, "HACTL", https, dicom), "pacs1")


def plain_dicom(folder: Path) -> Iterator[World]:
    """DCMTK's."""
    with dcmqrscp(folder) as server:
        found = kind(on_loopback(server.port))
        freeze, thaw = (lambda s=s: server.signal(s) for s in (signal.SIGSTOP, signal.SIGCONT))
        yield World(found, "pacs1", freeze, thaw, server.stop, server.start)


@pytest.fixture(params=[orthanc, dicom_and_dicomweb, plain_dicom])
def world(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[World]:
    yield from request.param(tmp_path)


def once(world: World) -> list[Probe]:
    found = world.kind.once(world.name)
    return [found.listens(), found.answers(), found.index()]


def states(world: World) -> list[State]:
    return [probe.state for probe in once(world)]


def again(world: World) -> dict[str, State]:
    """The worst of each level, asked as the controller asks."""
    lines = world.kind.again(world.name)
    try:
        asked = [(q.route.level, q.ask(q.within).probe.state) for line in lines.lines for q in line]
    finally:
        lines.close()
    order = (State.FAILED, State.UNKNOWN, State.OK)
    return {level: min((s for lv, s in asked if lv == level), key=order.index) for level, _ in asked}


WELL = [State.OK] * 3
DOWN = [State.FAILED] * 3


def test_levels_fall_and_come_back(world: World) -> None:
    wait_until(f"it serves: {once(world)}", lambda: states(world) == WELL, 30)
    assert again(world) == dict.fromkeys(("L0", "L1", "L2"), State.OK)

    world.freeze()
    wait_until("it hangs", lambda: states(world) == [State.OK, State.FAILED, State.FAILED], 15)
    assert again(world) == {"L0": State.OK, "L1": State.FAILED, "L2": State.FAILED}
    world.thaw()
    wait_until("it goes on", lambda: states(world) == WELL, 30)

    world.stop()
    wait_until("it is gone", lambda: states(world) == DOWN, 15)
    assert again(world) == dict.fromkeys(("L0", "L1", "L2"), State.FAILED)
    world.start()
    wait_until("it is back", lambda: states(world) == WELL, 60)


def test_what_a_kind_cannot_tell_it_says(world: World) -> None:
    can, reach = world.kind.abilities, world.kind.reach(world.name)
    assert (reach.host, reach.aet) == (reach.host, "PACS")
    assert all(can.unseen.values())
    if world.kind.program is None:
        assert world.kind.storage() is None
        assert can.why_not
        assert not can.mended
    else:
        assert world.kind.storage() is not None
        assert can.does
