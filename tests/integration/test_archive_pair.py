"""Two real Orthancs, nginx and PostgreSQL as hactl configures them: DICOM and HTTPS, allowed and refused."""

from __future__ import annotations

import base64
import http.client
import json
import os
import shutil
import socket
import ssl
import stat
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from pydicom import Dataset, dcmread
from pynetdicom import AE
from pynetdicom.sop_class import StudyRootQueryRetrieveInformationModelMove

from hactl import layout
from hactl.render import keepalived
from tests.support import archive_pair
from tests.support.archive_pair import HTTPS, ArchivePair
from tests.support.dcmtk import Client, image, tls_options
from tests.support.frozen import frozen
from tests.support.leftovers import scratch
from tests.support.servers import Daemon, program, wait_until

ADMIN, OPERATOR = ("hactl_admin", "admin-pw"), ("hactl_ops", "ops-pw")


@pytest.fixture(scope="module")
def pair() -> Iterator[ArchivePair]:
    with archive_pair.archive_pair() as running:
        yield running


def dicom(pair: ArchivePair, node: str = "arc1", **changed: object) -> Client:
    options = {"tls": tls_options(pair.places["arc1"].folder / "pki", "ops-dicom"), **changed}
    return Client("127.0.0.1", pair.places[node].dicom, **options)  # type: ignore[arg-type]


def ask(  # noqa: PLR0913 - a request has that many parts
    pair: ArchivePair,
    path: str,
    *,
    user: tuple[str, str] | None = None,
    cert: str = "",
    method: str = "GET",
    body: bytes | None = None,
    headers: dict[str, str] | None = None,
) -> tuple[int, bytes]:
    """One request to nginx at the archive VIP."""
    context = ssl.create_default_context(cafile=str(pair.pki("arc1", "ca.crt")))
    if cert:
        context.load_cert_chain(pair.pki("arc1", f"{cert}.crt"), pair.pki("arc1", f"{cert}.key"))
    sent = dict(headers or {})
    if user:
        sent["Authorization"] = "Basic " + base64.b64encode(":".join(user).encode()).decode()
    connection = http.client.HTTPSConnection(pair.vip, HTTPS, timeout=60, context=context)
    try:
        connection.request(method, path, body=body, headers=sent)
        answer = connection.getresponse()
        return answer.status, answer.read()
    finally:
        connection.close()


def stored(pair: ArchivePair, tmp_path: Path, side: int = 64) -> archive_pair.Any:
    picture = image(tmp_path, side=side)
    done = dicom(pair).call("storescu", str(picture.path))
    assert done.returncode == 0, done.stderr
    return picture


def keys(study: str) -> tuple[str, ...]:
    return ("-k", "QueryRetrieveLevel=STUDY", "-k", f"StudyInstanceUID={study}")


def move(pair: ArchivePair, node: str, study: str) -> int:
    """C-MOVE of a study to ourselves; the last status. By pynetdicom: Debian's movescu has no TLS."""
    context = ssl.create_default_context(cafile=str(pair.pki("arc1", "dicom-ca.crt")))
    context.load_cert_chain(pair.pki("arc1", "ops-dicom.crt"), pair.pki("arc1", "ops-dicom.key"))
    model = StudyRootQueryRetrieveInformationModelMove
    asked = Dataset()
    asked.QueryRetrieveLevel, asked.StudyInstanceUID = "STUDY", study
    ae = AE(ae_title="HACTL")
    ae.add_requested_context(model)
    to = pair.places[node]
    association = ae.associate("127.0.0.1", to.dicom, ae_title="PACS", tls_args=(context, "127.0.0.1"))
    assert association.is_established
    try:
        return int([status.Status for status, _ in association.send_c_move(asked, "HACTL", model)][-1])
    finally:
        association.release()


def test_stored_on_one_found_on_the_other(pair: ArchivePair, tmp_path: Path) -> None:
    picture = stored(pair, tmp_path)
    found = dicom(pair, "arc2").call("findscu", "-S", *keys(picture.study), "-k", "PatientID")
    assert "HACTL-TEST" in found.stdout + found.stderr


def test_qido_and_wado_through_the_vip(pair: ArchivePair, tmp_path: Path) -> None:
    picture = stored(pair, tmp_path)
    query = f"/dicom-web/studies?StudyInstanceUID={picture.study}"
    status, body = ask(pair, query, user=OPERATOR, headers={"Accept": "application/dicom+json"})
    assert status == 200
    [study] = json.loads(body)
    # Links in answers lead back to where the client asked, over HTTPS.
    assert study["00081190"]["Value"] == [f"https://{pair.vip}/dicom-web/studies/{picture.study}"]
    path = f"/dicom-web/studies/{picture.study}/series/{picture.series}/instances/{picture.instance}"
    wanted = {"Accept": "multipart/related; type=application/dicom"}
    status, body = ask(pair, path, user=OPERATOR, headers=wanted)
    assert status == 200
    assert picture.pixels in body


def test_move_calls_the_modality_back_over_tls(pair: ArchivePair, tmp_path: Path) -> None:
    picture = stored(pair, tmp_path)
    inbox = tmp_path / "inbox"
    inbox.mkdir()
    tls = tls_options(pair.places["arc1"].folder / "pki", "modality")
    receiver = Daemon(
        "storescp", [program("/usr/bin/storescp", "dcmtk"), *tls, "-od", str(inbox), str(pair.destination)],
        tmp_path / "storescp.log",
    )  # fmt: skip
    receiver.start()
    try:
        wait_until("storescp listens", lambda: archive_pair.listens("127.0.0.1", pair.destination), 10)
        assert move(pair, "arc2", picture.study) == 0x0000, receiver.tail()
        [got] = inbox.iterdir()
        assert dcmread(got).PixelData == picture.pixels
    finally:
        receiver.stop()


@pytest.mark.parametrize(
    ("changed", "why"),
    [
        pytest.param({"aet": "NOBODY"}, "Calling AE Title Not Recognized", id="not on the list"),
        pytest.param({"called": "OTHER"}, "Called AE Title Not Recognized", id="another archive's title"),
        pytest.param({"tls": ("+tla", "-ic")}, "", id="no client certificate"),
        pytest.param({"tls": ()}, "", id="plain DICOM"),
    ],
)
def test_refused_associations(pair: ArchivePair, changed: dict[str, object], why: str) -> None:
    done = dicom(pair, **changed).call("echoscu")
    assert done.returncode != 0
    assert why in done.stderr + done.stdout


def test_a_modality_stores_with_its_own_certificate(pair: ArchivePair, tmp_path: Path) -> None:
    picture = image(tmp_path)
    tls = tls_options(pair.places["arc1"].folder / "pki", "modality")
    done = dicom(pair, tls=tls).call("storescu", str(picture.path))
    assert done.returncode == 0, done.stderr
    assert ask(pair, f"/dicom-web/studies/{picture.study}/metadata", user=OPERATOR)[0] == 200


@pytest.mark.parametrize("use", ["ops", "hactl", "prometheus", "nginx"])
def test_certificates_of_the_clusters_ca_are_refused_on_the_dicom_port(pair: ArchivePair, use: str) -> None:
    done = dicom(pair, tls=tls_options(pair.places["arc1"].folder / "pki", use)).call("echoscu")
    assert done.returncode != 0
    assert "Association Request Failed" in done.stderr  # closed in the handshake, before a word of DICOM


@pytest.mark.parametrize("use", ["modality", "ops-dicom", "orthanc"])
def test_certificates_of_the_dicom_ca_open_nothing_at_nginx(pair: ArchivePair, use: str) -> None:
    """`ops-dicom` is named ops as well: not the name opens the door, but who signed it."""
    assert ask(pair, "/system", cert=use)[0] == 400


@pytest.mark.parametrize("version", ["tls1", "tls1_1", "tls1_2", "tls1_3"])
@pytest.mark.parametrize("port", ["dicom", "https"])
def test_tls_versions(pair: ArchivePair, port: str, version: str) -> None:
    accepted = version in {"tls1_2", "tls1_3"}
    place, pki = pair.places["arc1"], pair.places["arc1"].folder / "pki"
    target = f"127.0.0.1:{place.dicom}" if port == "dicom" else f"{place.address}:{HTTPS}"
    use, trusted = ("modality", "dicom-ca.crt") if port == "dicom" else ("ops", "ca.crt")
    argv = [
        "openssl", "s_client", "-connect", target, f"-{version}", "-cipher", "ALL:@SECLEVEL=0",
        "-cert", str(pki / f"{use}.crt"), "-key", str(pki / f"{use}.key"), "-CAfile", str(pki / trusted),
    ]  # fmt: skip
    done = subprocess.run(argv, input="", capture_output=True, text=True, timeout=20, check=False)
    assert ("Cipher is (NONE)" not in done.stdout) == accepted, done.stdout[-500:]


def test_who_holds_the_vip_needs_no_password(pair: ArchivePair) -> None:
    assert ask(pair, "/hactl/node") == (200, b'{"node": "arc1"}\n')


@pytest.mark.parametrize(
    ("method", "path", "who", "status"),
    [
        pytest.param("GET", "/system", {}, 401, id="nobody"),
        pytest.param("GET", "/system", {"user": ("hactl_ops", "wrong")}, 401, id="wrong password"),
        pytest.param("GET", "/system", {"user": OPERATOR}, 200, id="operator"),
        pytest.param("GET", "/changes?last", {"cert": "ops"}, 200, id="the workstation's certificate"),
        pytest.param("GET", "/changes?last", {"cert": "hactl"}, 200, id="a node's hactl certificate"),
        pytest.param("GET", "/tools/metrics-prometheus", {"cert": "prometheus"}, 200, id="prometheus"),
        pytest.param("GET", "/system", {"cert": "replicator"}, 401, id="another certificate opens nothing"),
        pytest.param("DELETE", "/patients/x", {"user": OPERATOR}, 403, id="operators delete nothing"),
        pytest.param("DELETE", "/patients/x", {"cert": "ops"}, 403, id="certificates delete nothing"),
        pytest.param("DELETE", "/patients/x", {"user": ADMIN}, 404, id="an administrator may; there is none"),
        pytest.param("DELETE", "/patients/x", {"user": ("hactl_admin", "ops-pw")}, 401, id="only claimed"),
        pytest.param("POST", "/tools/shutdown", {"user": ADMIN}, 404, id="nobody stops it from outside"),
        pytest.param("POST", "/instances?_method=DELETE", {"user": OPERATOR}, 403, id="method in disguise"),
        pytest.param("GET", "/app/explorer.html", {"user": ADMIN}, 404, id="no explorer"),
        pytest.param("GET", "/dicom-web/../tools/reset", {"user": ADMIN}, 404, id="no way around"),
    ],
)
def test_what_passes_nginx(
    pair: ArchivePair, method: str, path: str, who: dict[str, archive_pair.Any], status: int
) -> None:
    assert ask(pair, path, method=method, **who)[0] == status


def test_large_objects_stream_through_both_ways(pair: ArchivePair, tmp_path: Path) -> None:
    picture = image(tmp_path, side=4000)  # 32 MB
    content = picture.path.read_bytes()
    status, body = ask(pair, "/instances", user=OPERATOR, method="POST", body=content)
    assert status == 200
    status, back = ask(pair, f"/instances/{json.loads(body)['ID']}/file", user=OPERATOR)
    assert (status, back == content) == (200, True)


def test_images_and_passwords_are_not_for_everybody(pair: ArchivePair, tmp_path: Path) -> None:
    stored(pair, tmp_path)
    images = [p for p in (pair.folder / "images").rglob("*-*") if p.is_file() and p.stem != ".hactl-storage"]
    home = pair.places["arc1"].folder
    private = ("orthanc/orthanc.json", "orthanc/pgpass", "nginx.conf")
    for path in (*images, *(home / name for name in private)):
        assert not stat.S_IMODE(path.stat().st_mode) & 0o007, path
    logs = "".join(p.read_text(errors="replace") for p in pair.folder.rglob("*.log"))
    for secret in ("admin-pw", "ops-pw", archive_pair.SECRETS.app, "Test^Archive"):
        assert secret not in logs


def test_no_query_in_the_access_log(pair: ArchivePair) -> None:
    ask(pair, "/dicom-web/studies?PatientName=Secret*", user=OPERATOR)
    log = (pair.places["arc1"].folder / "hactl-access.log").read_text()
    assert '"GET /dicom-web/studies" 200' in log
    assert "Secret" not in log


def test_the_storage_check_sees_a_foreign_or_missing_storage(pair: ArchivePair) -> None:
    marker = pair.folder / "images" / layout.STORAGE_MARKER
    assert pair.check("arc1", "check-archive").returncode == 0
    try:
        marker.write_text("elsewhere\n")
        assert "another installation" in pair.check("arc1", "check-archive").stderr
        marker.unlink()
        assert "not mounted" in pair.check("arc1", "check-archive").stderr
    finally:
        marker.write_text("demo\n")


def test_a_database_outage_is_waited_out(pair: ArchivePair, tmp_path: Path) -> None:
    """No check moves the VIP, as no node does better; both Orthancs come back alone."""
    picture = image(tmp_path)
    pair.daemons["postgres"].kill()
    try:
        assert not reaches_its_index(pair, "arc1")
        began = time.monotonic()
        assert pair.check("arc1", "check-archive-index").returncode == 0
        assert time.monotonic() - began < keepalived.INDEX.timeout
        assert pair.check("arc1", "check-archive").returncode == 0
        assert pair.check("arc1", "check-archive-hung").returncode == 0
    finally:
        archive_pair.start_database(pair)
    for node in ("arc1", "arc2"):
        wait_until(f"{node} is back", lambda n=node: reaches_its_index(pair, n), 15)
    done = dicom(pair, "arc2").call("storescu", str(picture.path))
    assert done.returncode == 0, done.stderr
    status, _ = ask(pair, f"/dicom-web/studies/{picture.study}/metadata", user=OPERATOR)
    assert status == 200


def reaches_its_index(pair: ArchivePair, node: str) -> bool:
    credentials = base64.b64encode(":".join(OPERATOR).encode()).decode()
    connection = http.client.HTTPConnection("127.0.0.1", pair.places[node].http, timeout=2)
    try:
        connection.request("GET", "/changes?last", headers={"Authorization": f"Basic {credentials}"})
        return connection.getresponse().status == 200
    except OSError:
        return False
    finally:
        connection.close()


def test_an_orthanc_that_hangs_while_the_other_does_not_loses_the_vip(pair: ArchivePair) -> None:
    daemon = pair.daemons["orthanc-arc1"]
    assert pair.check("arc1", "check-archive-index").returncode == 0
    with frozen(daemon):
        began = time.monotonic()
        assert "another node's does" in pair.check("arc1", "check-archive-index").stderr
        assert time.monotonic() - began < keepalived.INDEX.timeout
        assert pair.check("arc2", "check-archive-index").returncode == 0


def test_an_orthanc_that_says_nothing_at_all_loses_the_vip_sooner(pair: ArchivePair) -> None:
    one, two = (pair.daemons[f"orthanc-{node}"] for node in ("arc1", "arc2"))
    assert pair.check("arc1", "check-archive-hung").returncode == 0
    with frozen(one):
        began = time.monotonic()
        done = pair.check("arc1", "check-archive-hung")
        took = time.monotonic() - began
        assert (done.returncode, done.stderr) == (1, "Orthanc hangs, another node's does not\n")
        assert 2.2 < took < keepalived.HUNG.timeout
        assert pair.check("arc2", "check-archive-hung").returncode == 0
        with frozen(two):
            assert pair.check("arc1", "check-archive-hung").returncode == 0, "nobody does better"
    wait_until("arc2 answers again", lambda: reaches_its_index(pair, "arc2"), 15)


def test_an_orthanc_whose_http_threads_are_all_taken_does_not_hang(pair: ArchivePair) -> None:
    """New calls wait; but those under way go on, and DICOM has threads of its own."""
    crowd = [socket.create_connection(("127.0.0.1", pair.places["arc1"].http), timeout=5) for _ in range(150)]
    try:
        assert not reaches_its_index(pair, "arc1"), "else the crowd was too small"
        assert pair.check("arc1", "check-archive-hung").returncode == 0
    finally:
        for one in crowd:
            one.close()
    wait_until("arc1 answers again", lambda: reaches_its_index(pair, "arc1"), 40)


def test_orthanc_that_does_not_listen_loses_the_vip(pair: ArchivePair) -> None:
    daemon = pair.daemons["orthanc-arc2"]
    daemon.stop()
    try:
        assert "does not listen" in pair.check("arc2", "check-archive").stderr
    finally:
        daemon.start()
        wait_until("arc2 is back", lambda: pair.check("arc2", "check-archive").returncode == 0, 30)


@pytest.fixture
def folder() -> Iterator[Path]:
    with scratch() as found:
        yield found


def test_prometheus_scrapes_orthanc_and_itself(pair: ArchivePair, folder: Path) -> None:
    config, web = archive_pair.prometheus_config(pair)
    promtool = program("promtool", "prometheus")
    for kind, path in (("config", config), ("web-config", web)):
        argv = [promtool, "check", kind, str(path)]
        done = subprocess.run(argv, capture_output=True, text=True, timeout=20, check=False)
        assert done.returncode == 0, done.stdout + done.stderr
    data = folder / "data"
    data.mkdir()
    if os.geteuid() == 0:
        shutil.chown(data, "prometheus", "prometheus")
    address = f"{pair.prefix}.13"
    argv = [
        program("prometheus", "prometheus"), f"--config.file={config}", f"--web.config.file={web}",
        f"--web.listen-address={address}:{layout.PORT_PROMETHEUS}", f"--storage.tsdb.path={data}",
    ]  # fmt: skip
    daemon = Daemon("prometheus", argv, folder / "prometheus.log", archive_pair.account("prometheus"))
    daemon.start()
    try:
        up = {"orthanc": "up", "prometheus": "up"}
        # A try that failed is repeated after a whole interval.
        wait_until("both are scraped", lambda: _targets(pair, address).items() >= up.items(), 60)
    finally:
        daemon.stop()


def _targets(pair: ArchivePair, address: str) -> dict[str, str]:
    context = ssl.create_default_context(cafile=str(pair.pki("arc1", "ca.crt")))
    context.load_cert_chain(pair.pki("arc1", "ops.crt"), pair.pki("arc1", "ops.key"))
    connection = http.client.HTTPSConnection(address, layout.PORT_PROMETHEUS, timeout=5, context=context)
    try:
        connection.request("GET", "/api/v1/targets")
        answer = connection.getresponse()
        if answer.status != 200:  # still starting
            return {}
        found = json.loads(answer.read())["data"]["activeTargets"]
    except OSError:
        return {}
    finally:
        connection.close()
    states: dict[str, str] = {}
    for target in found:
        job = target["labels"]["job"]
        states[job] = target["health"] if states.get(job, "up") == "up" else states[job]
    return states
