"""From `archive.kind` to the file that knows it: the only place that names kinds of archives."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, assert_never

from hactl import layout
from hactl.adapters.http import HttpsClient
from hactl.adapters.kinds.means import Means
from hactl.adapters.own_node import own_node
from hactl.errors import Refused
from hactl.ports import ArchiveKind
from hactl.site import Site
from hactl.spec.aets import OPERATOR, echo_aets
from hactl.spec.model import ClusterSpec
from hactl.view.archive_kind import Abilities, Ability

if TYPE_CHECKING:
    from hactl.adapters.kinds.dicom import DicomKind
    from hactl.adapters.kinds.orthanc import OrthancKind


def _kind(spec: ClusterSpec) -> type[OrthancKind | DicomKind]:
    """Only the kind in use is imported: status has half a second."""
    match spec.archive.kind:
        case "orthanc":
            from hactl.adapters.kinds.orthanc import OrthancKind  # noqa: PLC0415

            return OrthancKind
        case "dicom":
            from hactl.adapters.kinds.dicom import DicomKind  # noqa: PLC0415

            return DicomKind
        case _:
            assert_never(spec.archive.kind)


def abilities(spec: ClusterSpec) -> Abilities:
    return _kind(spec).abilities


def unit(spec: ClusterSpec) -> str:
    """The unit whose restart starts the archive anew. Raises Refused: hactl does not run it."""
    program = _kind(spec).program
    if program is None:
        raise Refused(abilities(spec).why_not)
    return program.unit


def archive_kind(spec: ClusterSpec, site: Site, calling: str, http: HttpsClient) -> ArchiveKind:
    """`calling`: our AE title; empty: none, so nothing is asked that needs one."""
    files = (site.ca, site.cert, site.key)
    return _kind(spec)(spec, Means(http, files, lambda: dicom_files(site), calling))


def caller(spec: ClusterSpec, site: Site) -> str:
    """The AE title of whoever is here: an operator's, or a node's own; empty: this node has none."""
    if not site.on_node:
        return OPERATOR
    try:
        return echo_aets(spec).get(own_node(spec), "")
    except Refused:
        return OPERATOR


def dicom_files(site: Site) -> tuple[Path, Path, Path]:
    """CA, certificate and key for DICOM. Raises Refused where the state folder lacks one."""
    pki = site.key.parent
    if (pki / "dicom.key").exists() or site.on_node:
        return pki / layout.DICOM_CA.name, pki / "dicom.crt", pki / "dicom.key"
    from hactl.pki.store import Store  # noqa: PLC0415 - status must not pay for cryptography
    from hactl.pki.uses import OPS, OPS_DICOM  # noqa: PLC0415

    store = Store(site.state)
    return store.dicom_ca, *store.cert(OPS, OPS_DICOM)


def refuse_unless(spec: ClusterSpec, ability: Ability) -> None:
    """Raises Refused, in one sentence: nobody can do this with an archive of this kind."""
    can = abilities(spec)
    if ability not in can.does:
        raise Refused(f"{ability}: {can.why_not}", hint="docs/archive-kinds.md")
