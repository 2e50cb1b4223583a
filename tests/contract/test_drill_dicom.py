"""The drill's DICOM and DICOMweb clients against a real Orthanc."""

from __future__ import annotations

import gc
import socket
import ssl
import threading
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from hactl.drill import dicom_net, dicomweb, images
from hactl.drill.dicom_net import Archive
from hactl.drill.dicomweb import Account, Web
from hactl.errors import Refused, StepFailed, Unreachable
from tests.support.loopback_orthanc import PASSWORD, USER, Orthanc, orthanc
from tests.support.ports import free_port
from tests.support.tls import TestCa

# pynetdicom leaves the socket of a failed association to the garbage collector.
pytestmark = pytest.mark.filterwarnings("ignore:unclosed <:ResourceWarning")


@pytest.fixture(autouse=True)
def collected() -> Iterator[None]:
    """Before the next test, which may not expect such a warning."""
    yield
    gc.collect()


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Orthanc]:
    with orthanc(tmp_path_factory.mktemp("orthanc")) as running:
        yield running


def context(ca: TestCa, trusted: Path, purpose: ssl.Purpose = ssl.Purpose.SERVER_AUTH) -> ssl.SSLContext:
    ops = ca.issue("ops")
    return dicom_net.tls_context(trusted, ops.cert, ops.key, purpose)


@pytest.fixture
def archive(server: Orthanc) -> Archive:
    return Archive("127.0.0.1", server.dicom, "PACS", context(server.ca, server.ca.crt), within=5)


@pytest.fixture
def web(server: Orthanc) -> Web:
    return dicomweb.connect(server.base, Account(USER, PASSWORD), ca=None, within=5)


def test_stored_images_come_back_by_every_way(archive: Archive, web: Web, server: Orthanc) -> None:
    made = images.make("all-ways", 23)
    dicom_net.echo(archive)
    dicom_net.store(archive, made[0])
    dicom_net.store_all(archive, made[1:])
    uids = {i.uid for i in made}
    assert dicom_net.find(archive, made[0].study) == uids
    assert dicomweb.qido(web, made[0].study) == uids
    assert all(images.digest_of(dicomweb.wado(web, i)) == i.digest for i in made)
    tls = context(server.ca, server.ca.crt, ssl.Purpose.CLIENT_AUTH)
    with dicom_net.receiving("127.0.0.1", server.receiver, tls) as received:
        assert dicom_net.move(archive, made[0].study, "HACTL") == len(made)
    assert received == {i.uid: i.digest for i in made}


def test_stow(web: Web, archive: Archive) -> None:
    made = images.make("stow", 3)
    dicomweb.stow(web, made)
    assert dicom_net.find(archive, made[0].study) == {i.uid for i in made}


def test_an_image_that_is_not_there(web: Web, archive: Archive) -> None:
    absent = images.Image("absent", 1)
    with pytest.raises(StepFailed, match="404"):
        dicomweb.wado(web, absent)
    assert dicom_net.find(archive, absent.study) == frozenset()
    assert dicomweb.qido(web, absent.study) == frozenset()


def test_an_unknown_ae_title_may_not_store(archive: Archive) -> None:
    with pytest.raises((Refused, StepFailed, Unreachable)):
        dicom_net.store(replace(archive, calling="STRANGER"), images.Image("stranger", 1))


def test_a_wrong_called_ae_title_is_refused(archive: Archive) -> None:
    with pytest.raises(Refused, match="NOBODY"):
        dicom_net.echo(replace(archive, aet="NOBODY"))


def test_plain_dicom_is_refused(archive: Archive) -> None:
    with pytest.raises(Unreachable):
        dicom_net.echo(replace(archive, tls=None))


def test_a_certificate_of_another_ca_is_refused(archive: Archive, server: Orthanc, tmp_path: Path) -> None:
    stranger = TestCa(tmp_path, "stranger")
    with pytest.raises(Unreachable):
        dicom_net.echo(replace(archive, tls=context(stranger, server.ca.crt)))


def test_an_archive_of_another_ca_is_refused(archive: Archive, server: Orthanc, tmp_path: Path) -> None:
    stranger = TestCa(tmp_path, "stranger")
    with pytest.raises(Unreachable):
        dicom_net.echo(replace(archive, tls=context(server.ca, stranger.crt)))


def test_nobody_listens(archive: Archive, server: Orthanc) -> None:
    with pytest.raises(Unreachable):
        dicom_net.echo(replace(archive, port=free_port()))
    dead = dicomweb.connect(f"http://127.0.0.1:{free_port()}", Account(USER, PASSWORD), ca=None, within=2)
    with pytest.raises(Unreachable):
        dicomweb.qido(dead, "1.2.3")
    wrong = dicomweb.connect(server.base, Account(USER, "wrong"), ca=None, within=2)
    with pytest.raises(StepFailed, match="401"):
        dicomweb.qido(wrong, "1.2.3")


def test_one_that_falls_silent_after_the_handshake_costs_no_more_than_a_call(
    archive: Archive, tmp_path: Path
) -> None:
    """Its session tickets can be read, and no answer follows: so a node looks that loses the virtual IP."""
    ca = TestCa(tmp_path)
    own = ca.issue("server", ["127.0.0.1"])
    tls = dicom_net.tls_context(ca.crt, own.cert, own.key, ssl.Purpose.CLIENT_AUTH)
    listener, ended = socket.create_server(("127.0.0.1", 0)), threading.Event()

    def serve() -> None:
        link, _ = listener.accept()
        with tls.wrap_socket(link, server_side=True):
            ended.wait(30)

    threading.Thread(target=serve, daemon=True).start()
    silent = replace(archive, port=listener.getsockname()[1], tls=context(ca, ca.crt), within=1)
    asking = threading.Thread(target=_unreachable, args=(silent,), daemon=True)
    asking.start()
    asking.join(10)
    ended.set()
    listener.close()
    assert not asking.is_alive(), "it waits for ever"


def _unreachable(archive: Archive) -> None:
    with pytest.raises(Unreachable):
        dicom_net.echo(archive)
