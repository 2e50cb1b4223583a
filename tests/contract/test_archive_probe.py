"""The end-to-end check against a real Orthanc: nothing of it stays, whatever happens in between."""

from __future__ import annotations

import dataclasses
import gc
import ssl
import time
from collections.abc import Iterator

import pytest

from hactl.drill import dicom_net, dicomweb, endtoend, images, probe_place
from hactl.drill.dicom_net import Archive, tls_context
from hactl.drill.dicomweb import Account
from hactl.drill.endtoend import Place
from hactl.errors import StepFailed
from hactl.view.archive import STEPS
from tests.support.loopback_orthanc import PASSWORD, USER, Orthanc, orthanc

PATIENT = "HACTL-PROBE-test"
# pynetdicom leaves the socket of a failed association to the garbage collector.
pytestmark = pytest.mark.filterwarnings("ignore:unclosed <:ResourceWarning")


@pytest.fixture(autouse=True)
def collected() -> Iterator[None]:
    """Before the next test, which may not expect such a warning."""
    yield
    gc.collect()


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Orthanc]:
    with orthanc(tmp_path_factory.mktemp("orthanc")) as found:
        yield found


@pytest.fixture
def place(server: Orthanc) -> Place:
    tls = tls_context(server.ca.crt, server.cert, server.key, ssl.Purpose.SERVER_AUTH)
    account = Account(USER, PASSWORD)
    admin = dicomweb.connect(f"http://127.0.0.1:{server.http}", account, ca=None)
    return Place(
        Archive("127.0.0.1", server.dicom, "PACS", tls, "HACTL", 5.0),
        dicomweb.connect(server.base, account, ca=None),
        PATIENT,
        lambda: probe_place.forget(admin, PATIENT),
    )


def instances(server: Orthanc) -> list[str]:
    admin = dicomweb.connect(f"http://127.0.0.1:{server.http}", Account(USER, PASSWORD), ca=None)
    found: list[str] = admin.pool.request("GET", f"{admin.base}/instances", headers=admin.headers).json()
    return found


def test_an_image_goes_in_comes_back_and_is_gone(server: Orthanc, place: Place) -> None:
    before = instances(server)
    result = endtoend.check(place, time.monotonic)
    assert result.ok, result.why
    assert tuple(result.took) == STEPS
    assert sum(result.took.values()) < endtoend.WITHIN
    assert instances(server) == before


def test_what_an_interrupted_check_left_is_removed_by_the_next(server: Orthanc, place: Place) -> None:
    before = instances(server)
    stubborn = dataclasses.replace(place, forget=lambda: 0)
    result = endtoend.check(stubborn, time.monotonic)
    assert result.why == "delete: what was deleted is still found"
    assert len(instances(server)) == len(before) + 1
    result = endtoend.check(place, time.monotonic)
    assert (result.ok, result.leftovers) == (True, 1)
    assert instances(server) == before


def test_nobody_else_s_images_are_touched(server: Orthanc, place: Place) -> None:
    (image,) = images.make("not-a-probe", 1)
    dicom_net.store(place.archive, image)
    assert endtoend.check(place, time.monotonic).ok
    assert len(instances(server)) == 1
    assert images.digest_of(dicomweb.wado(place.web, image)) == image.digest


def test_an_archive_that_refuses_is_a_failed_check_and_no_error(place: Place) -> None:
    stranger = dataclasses.replace(place, archive=dataclasses.replace(place.archive, calling="NOBODY"))
    result = endtoend.check(stranger, time.monotonic)
    assert not result.ok
    assert result.why.startswith("store: ")


def test_other_pixels_are_noticed(place: Place, monkeypatch: pytest.MonkeyPatch) -> None:
    real = dicomweb.wado

    def changed(web: dicomweb.Web, image: images.Image) -> bytes:
        return real(web, image).replace(image.pixels[:32], bytes(32))

    monkeypatch.setattr(dicomweb, "wado", changed)
    assert endtoend.check(place, time.monotonic).why == "wado: WADO-RS brings other pixels than were stored"


def test_an_archive_that_takes_and_loses_is_noticed(place: Place, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(endtoend, "_get", lambda *_: {})
    assert endtoend.check(place, time.monotonic).why == "retrieve: C-GET does not bring what was stored"


def test_a_removal_that_fails_is_told(place: Place) -> None:
    def refused() -> int:
        raise StepFailed("cannot be deleted")

    result = endtoend.check(dataclasses.replace(place, forget=refused), time.monotonic)
    assert result.why == "leftovers: cannot be deleted"
