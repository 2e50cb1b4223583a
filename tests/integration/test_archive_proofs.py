"""The end-to-end check and the storage's proof on an archive pair: nginx, TLS, PostgreSQL, one storage."""

from __future__ import annotations

import gc
import ssl
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import urllib3

from hactl import layout
from hactl.adapters.archive_known import KnownImage
from hactl.adapters.http import HttpsClient
from hactl.drill import endtoend
from hactl.drill.dicom_net import Archive, tls_context
from hactl.drill.dicomweb import Web
from hactl.drill.endtoend import Place
from hactl.errors import StepFailed, Unreachable
from hactl.render import archive_guard, lease
from hactl.render.orthanc import PROBE_AET
from tests.support import archive_pair
from tests.support.archive_pair import HTTPS, ArchivePair
from tests.support.dcmtk import Client, image, tls_options
from tests.support.servers import wait_until

pytestmark = pytest.mark.filterwarnings("ignore:unclosed <:ResourceWarning")


@pytest.fixture(autouse=True)
def collected() -> Iterator[None]:
    """pynetdicom leaves the socket of a failed association to the garbage collector."""
    yield
    gc.collect()


@pytest.fixture(scope="module")
def pair() -> Iterator[ArchivePair]:
    with archive_pair.archive_pair() as found:
        yield found


def act(pair: ArchivePair) -> dict[str, Any]:
    """Root's script of arc1, with the moved configuration."""
    spec = archive_pair.sample()
    files = lease.render(spec, archive_pair.SECRETS)
    text = next(f.content for f in files if (f.node, f.path) == ("arc1", str(layout.ACT)))
    names: dict[str, Any] = {"__name__": "act"}
    exec(compile(text, "act", "exec"), names)  # noqa: S102 - the subject
    names["ORTHANC_CONFIG"] = str(pair.places["arc1"].folder / "orthanc" / "orthanc.json")
    return names


@pytest.fixture
def place(pair: ArchivePair) -> Place:
    """As the node's agent has it checked, over loopback."""
    here, purpose = pair.places["arc1"], ssl.Purpose.SERVER_AUTH

    def pki(name: str) -> Path:
        return pair.pki("arc1", name)

    dicom = tls_context(pki("dicom-ca.crt"), pki("dicom.crt"), pki("dicom.key"), purpose)
    https = tls_context(pki("ca.crt"), pki("hactl.crt"), pki("hactl.key"), purpose)
    pool = urllib3.PoolManager(ssl_context=https, retries=False, timeout=urllib3.Timeout(total=6))
    root = act(pair)
    return Place(
        Archive("127.0.0.1", here.dicom, "PACS", dicom, PROBE_AET, 6.0),
        Web(f"https://{here.address}:{HTTPS}/dicom-web", pool, {}),
        archive_guard.probe_patient("arc1"),
        lambda: int(root["forget_probe"]().split()[0]),
    )


def count(pair: ArchivePair) -> str:
    return archive_pair.sql(pair, "SELECT count(*) FROM resources", "orthanc")


def test_a_node_checks_itself_and_leaves_nothing(pair: ArchivePair, place: Place) -> None:
    before = count(pair)
    result = endtoend.check(place, time.monotonic)
    assert result.ok, result.why
    assert count(pair) == before


def known(pair: ArchivePair) -> KnownImage:
    pki = [pair.pki("arc1", name) for name in ("ca.crt", "hactl.crt", "hactl.key")]
    return KnownImage(HttpsClient(*pki), address=pair.places["arc1"].address, port=HTTPS)


def test_the_images_that_the_index_knows_prove_the_storage(pair: ArchivePair, tmp_path: Path) -> None:
    picture = image(tmp_path)
    pki = pair.places["arc1"].folder / "pki"
    sender = Client("127.0.0.1", pair.places["arc1"].dicom, tls_options(pki, "modality"))
    assert sender.call("storescu", str(picture.path)).returncode == 0
    assert "was read" in known(pair).prove()
    images, aside = pair.folder / "images", pair.folder / "aside"
    files = [p for p in images.rglob("*-*") if p.is_file() and len(p.name) == 36]
    assert files
    aside.mkdir()
    for file in files:
        file.rename(aside / file.name)
    restarted(pair)  # what it has in memory would prove anything
    try:
        with pytest.raises(StepFailed, match="not the storage"):
            known(pair).prove()
        for file in files:
            file.write_bytes(b"another image")
        with pytest.raises(StepFailed, match="not the storage"):
            known(pair).prove()
    finally:
        for file in files:
            (aside / file.name).replace(file)
    restarted(pair)
    assert "was read" in known(pair).prove()


def restarted(pair: ArchivePair) -> None:
    daemon = pair.daemons["orthanc-arc1"]
    daemon.stop()
    daemon.start()
    here = pair.places["arc1"]
    wait_until("Orthanc listens", lambda: archive_pair.listens("127.0.0.1", here.http), 30)


def test_without_its_index_nothing_is_proved_or_disproved(pair: ArchivePair) -> None:
    pair.daemons["orthanc-arc1"].stop()
    try:
        with pytest.raises(Unreachable):
            known(pair).prove()
    finally:
        restarted(pair)
