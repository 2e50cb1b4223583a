"""Where an end-to-end check calls: a node on itself over loopback, or an operator over the network."""

from __future__ import annotations

import hashlib
import ssl
from pathlib import Path, PurePath
from typing import Any, Final

import urllib3

from hactl import layout
from hactl.adapters.http import HttpsClient
from hactl.adapters.rootacts import SudoActs
from hactl.drill import dicom_net, dicomweb
from hactl.drill.dicom_net import Archive
from hactl.drill.dicomweb import Account, Web
from hactl.drill.endtoend import STEP_WITHIN, Place
from hactl.errors import Refused, StepFailed, Unreachable
from hactl.pki.store import Store
from hactl.ports import Reach
from hactl.render.archive_guard import probe_patient
from hactl.render.orthanc import ADMIN, OPERATOR, PROBE_AET
from hactl.site import Site
from hactl.spec.aets import OPERATOR as OPERATOR_AET
from hactl.spec.model import ClusterSpec
from hactl.view.archive_kind import Ability
from hactl.wiring_archive import archive_kind, dicom_files

LOOPBACK: Final = "127.0.0.1"


def on_node(spec: ClusterSpec, site: Site, node: str) -> Place:
    """Run by the node's own agent, with the account hactl's certificates; root removes what was stored.

    Raises Unreachable: a certificate cannot be read.
    """
    try:
        dicom = dicom_net.tls_context(
            site.state / "pki" / layout.DICOM_CA.name, site.state / "pki" / "dicom.crt",
            site.state / "pki" / "dicom.key", ssl.Purpose.SERVER_AUTH,
        )  # fmt: skip
        https = dicom_net.tls_context(site.ca, site.cert, site.key, ssl.Purpose.SERVER_AUTH)
    except OSError as error:
        raise Unreachable(f"cannot use this node's certificates: {error}", hint="hactl deploy") from error
    pool = urllib3.PoolManager(
        ssl_context=https, timeout=urllib3.Timeout(total=STEP_WITHIN), retries=False, maxsize=2
    )
    archive = Archive(LOOPBACK, layout.PORT_DICOM_TLS, spec.archive.aet, dicom, PROBE_AET, STEP_WITHIN)
    web = Web(f"https://{LOOPBACK}/dicom-web", pool, {})
    return Place(archive, web, probe_patient(node), _by_root)


def _by_root() -> int:
    said = SudoActs().act("forget-probe", within=STEP_WITHIN)
    return int(said.split()[0]) if said.split()[0].isdigit() else 0


def from_here(spec: ClusterSpec, site: Site, name: str) -> Place:
    """By an operator: whatever the archive's kind, as it is reached over the network.

    Raises Refused: the state folder lacks a certificate, or the secrets.
    """
    kind = archive_kind(spec, site, OPERATOR_AET, HttpsClient(site.ca, site.cert, site.key))
    if Ability.FORGET in kind.abilities.does:
        return _own(spec, site, kind.reach(name).host)
    return _foreign(kind.reach(name), site)


def _foreign(reach: Reach, site: Site) -> Place:
    """Nothing can be removed there: DICOM has no words for it."""
    try:
        tls = _context(reach.ca, *dicom_files(site)) if reach.tls else None
        web = _foreign_web(reach, site) if reach.dicomweb else None
    except OSError as error:
        raise Refused(f"cannot use a certificate: {error}", hint="archive.servers in the spec") from error
    archive = Archive(reach.host, reach.port, reach.aet, tls, within=STEP_WITHIN)
    return Place(archive, web, probe_patient("ops"), None)


def _foreign_web(reach: Reach, site: Site) -> Web:
    secure = reach.dicomweb.startswith("https://")
    tls = _context(reach.ca, site.ca, site.cert, site.key) if secure else None
    limit = urllib3.Timeout(total=STEP_WITHIN)
    return Web(
        reach.dicomweb, urllib3.PoolManager(ssl_context=tls, timeout=limit, retries=False, maxsize=2), {}
    )


def _context(chosen: PurePath | None, own: Path, cert: Path, key: Path) -> ssl.SSLContext:
    return dicom_net.tls_context(Path(chosen or own), cert, key, ssl.Purpose.SERVER_AUTH)


def _own(spec: ClusterSpec, site: Site, address: str) -> Place:
    """With the state folder's certificate and the archive's administrator."""
    secrets = Store(site.state).secrets()
    base = f"https://{address}/dicom-web"
    web = dicomweb.connect(base, Account(OPERATOR, secrets.orthanc_ops.value), ca=site.ca, within=STEP_WITHIN)
    admin = dicomweb.connect(
        f"https://{address}", Account(ADMIN, secrets.orthanc_admin.value), ca=site.ca, within=STEP_WITHIN
    )
    patient = probe_patient("ops")
    archive = Archive(
        address, layout.PORT_DICOM_TLS, spec.archive.aet, dicom_net.client_tls(site), within=STEP_WITHIN
    )
    return Place(archive, web, patient, lambda: forget(admin, patient))


def forgotten(site: Site, address: str, patient: str) -> int:
    """As `forget`, by the archive's administrator from the state folder. Raises Refused too: no secrets."""
    account = Account(ADMIN, Store(site.state).secrets().orthanc_admin.value)
    return forget(dicomweb.connect(f"https://{address}", account, ca=site.ca, within=STEP_WITHIN), patient)


def forget(web: Web, patient: str) -> int:
    """Remove a patient, if it is this one; how many objects it had. Orthanc's id of it is a digest.

    Raises:
        Unreachable: no answer.
        StepFailed: it was not removed, or is somebody else.

    """
    digest = hashlib.sha1(patient.encode(), usedforsecurity=False).hexdigest()
    url = f"{web.base}/patients/" + "-".join(digest[at : at + 8] for at in range(0, 40, 8))
    found = _ask(web, "GET", url)
    if found.status == 404:
        return 0
    if found.status != 200 or found.json().get("MainDicomTags", {}).get("PatientID") != patient:
        raise StepFailed(f"{url} answers with {found.status}, or is another patient")
    numbers = _ask(web, "GET", f"{url}/statistics")
    count = int(numbers.json()["CountInstances"]) if numbers.status == 200 else 0
    if _ask(web, "DELETE", url).status not in {200, 404}:
        raise StepFailed(f"{url} cannot be deleted")
    return count


def _ask(web: Web, method: str, url: str) -> Any:
    try:
        return web.pool.request(method, url, headers=web.headers)
    except urllib3.exceptions.HTTPError as error:
        raise Unreachable(f"{method} {url}: {error}") from error
