"""The archive through its VIP: DICOM by DCMTK and by pynetdicom, DICOMweb, and who is refused."""

from __future__ import annotations

import ssl
import time
from dataclasses import replace
from pathlib import Path

import pytest

from hactl import layout
from hactl.drill import dicom_net, dicomweb, images
from hactl.drill.dicomweb import Account
from hactl.errors import Refused, StepFailed, Unreachable
from hactl.pki.store import Store
from tests.support.dcmtk import Client
from tests.support.labs import Site
from tests.support.tls import TestCa


def run_of(name: str) -> str:
    return f"{name}-{time.time_ns()}"


def dcmtk(site: Site, *, aet: str = "HACTL") -> Client:
    own = Store(site.lab.site.state)
    crt, key = own.cert("ops", "ops-dicom")
    tls = ("+tls", str(key), str(crt), "+cf", str(own.dicom_ca))
    archive = site.ground.archive
    return Client(archive.host, archive.port, tls, aet=aet, called=archive.aet)


def files(made: tuple[images.Image, ...], folder: Path) -> list[str]:
    for image in made:
        (folder / f"{image.number}.dcm").write_bytes(images.encoded(image))
    return [str(folder / f"{image.number}.dcm") for image in made]


def test_pynetdicom_stores_finds_and_moves(site: Site) -> None:
    archive = site.ground.archive
    made = images.make(run_of("pynetdicom"), 22)
    dicom_net.echo(archive)
    dicom_net.store(archive, made[0])
    dicom_net.store_all(archive, made[1:])
    assert dicom_net.find(archive, made[0].study) == {i.uid for i in made}
    modality = site.lab.spec.archive.modalities["ops"]
    own = dicom_net.server_tls(site.lab.site)
    with dicom_net.receiving(str(modality.address), modality.port, own, modality.aet) as received:
        assert dicom_net.move(archive, made[0].study, modality.aet) == len(made)
    assert received == {i.uid: i.digest for i in made}


def test_dcmtk_stores_and_finds(site: Site, tmp_path: Path) -> None:
    made = images.make(run_of("dcmtk"), 5)
    client = dcmtk(site)
    assert client.call("echoscu").returncode == 0
    sent = client.call("storescu", *files(made, tmp_path))
    assert sent.returncode == 0, sent.stderr
    keys = ["-k", "QueryRetrieveLevel=IMAGE", "-k", f"StudyInstanceUID={made[0].study}"]
    found = client.call(
        "findscu", "-S", *keys, "-k", f"SeriesInstanceUID={made[0].series}", "-k", "SOPInstanceUID"
    )
    answers = found.stdout + found.stderr
    assert found.returncode == 0, answers
    assert all(image.uid in answers for image in made)


def test_dicomweb_takes_lists_and_returns(site: Site) -> None:
    web = site.ground.web
    made = images.make(run_of("dicomweb"), 4)
    dicomweb.stow(web, made)
    assert dicomweb.qido(web, made[0].study) == {i.uid for i in made}
    assert all(images.digest_of(dicomweb.wado(web, i)) == i.digest for i in made)


def test_what_one_node_takes_the_other_shows(site: Site) -> None:
    one, two = (replace(site.ground.archive, host=str(n.address)) for n in site.lab.spec.archives.values())
    made = images.make(run_of("both"), 6)
    for number, image in enumerate(made):
        dicom_net.store(two if number % 2 else one, image)
    uids = {i.uid for i in made}
    assert dicom_net.find(one, made[0].study) == dicom_net.find(two, made[0].study) == uids


def test_an_unknown_ae_title_is_refused(site: Site, tmp_path: Path) -> None:
    stranger = site.ground.calling_as("STRANGER")
    image = images.Image(run_of("stranger"), 1)
    with pytest.raises((Refused, StepFailed, Unreachable)):
        dicom_net.store(stranger, image)
    assert dcmtk(site, aet="STRANGER").call("storescu", *files((image,), tmp_path)).returncode != 0
    assert dicom_net.find(site.ground.archive, image.study) == frozenset()


def test_plain_dicom_is_refused(site: Site) -> None:
    with pytest.raises(Unreachable):
        dicom_net.echo(replace(site.ground.archive, tls=None))
    assert replace(dcmtk(site), tls=()).call("echoscu").returncode != 0


@pytest.mark.parametrize("whose", ["a stranger's", "the cluster's"])
def test_a_certificate_of_another_ca_is_refused(site: Site, tmp_path: Path, whose: str) -> None:
    store = Store(site.lab.site.state)
    foreign = TestCa(tmp_path).issue("ops")
    cert, key = (foreign.cert, foreign.key) if whose == "a stranger's" else store.cert("ops", "ops")
    tls = dicom_net.tls_context(store.dicom_ca, cert, key, ssl.Purpose.SERVER_AUTH)
    with pytest.raises(Unreachable):
        dicom_net.echo(replace(site.ground.archive, tls=tls))
    options = ("+tls", str(key), str(cert), "+cf", str(store.dicom_ca))
    assert replace(dcmtk(site), tls=options).call("echoscu").returncode != 0


def test_dicomweb_needs_the_password(site: Site) -> None:
    base = f"https://{site.ground.vips['archive']}:{layout.PORT_HTTPS}/dicom-web"
    stranger = dicomweb.connect(base, Account("hactl_ops", "wrong"), ca=site.lab.site.ca)
    with pytest.raises(StepFailed, match=r"401|403"):
        dicomweb.qido(stranger, "1.2.3")
