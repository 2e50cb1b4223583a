"""A spec of kind `dicom`, and its archives on loopback, where a spec that is read could not have them."""

from __future__ import annotations

import copy
from ipaddress import IPv4Address
from pathlib import Path
from typing import Any

from hactl.adapters.http import HttpsClient
from hactl.adapters.kinds.dicom import DicomKind
from hactl.adapters.kinds.means import Files, Means
from hactl.spec.document import Document
from hactl.spec.load import check
from hactl.spec.model import ClusterSpec
from tests.support.specs import GONE, edited

SERVERS = {
    "pacs1": {"address": "192.0.2.31", "port": 11112, "tls": False},
    "pacs2": {"address": "192.0.2.32", "aet": "OTHER", "dicomweb": "https://192.0.2.32/dicom-web"},
}
_CHANGES: dict[str, Any] = {
    "nodes.arc1": GONE, "nodes.arc2": GONE, "vips.archive": GONE,
    "archive": {"kind": "dicom", "aet": "PACS", "servers": SERVERS},
}  # fmt: skip
NOWHERE: Files = (Path("/nowhere/ca.crt"), Path("/nowhere/our.crt"), Path("/nowhere/our.key"))


def changes_of(**changes: Any) -> dict[str, Any]:
    """What makes the sample one of kind dicom; dotted paths may be set besides."""
    return {
        **copy.deepcopy({k: v for k, v in _CHANGES.items() if v is not GONE}),
        **{k: v for k, v in _CHANGES.items() if v is GONE},
        **copy.deepcopy(changes),
    }


def foreign(**changes: Any) -> ClusterSpec:
    """The sample with two archives of somebody else's, pacs1 and pacs2; dotted paths may be set besides."""
    return check(Document(edited(changes_of(**changes))), "spec.yaml")


def on_loopback(port: int, host: str = "127.0.0.1", **server: Any) -> ClusterSpec:
    """pacs1 alone, on this machine."""
    spec = foreign()
    values = {"address": IPv4Address(host), "port": port, "tls": False, **server}
    only = {"pacs1": spec.archive.servers["pacs1"].model_copy(update=values)}
    return spec.model_copy(update={"archive": spec.archive.model_copy(update={"servers": only})})


def means(calling: str = "HACTL", files: Files = NOWHERE, dicom: Files = NOWHERE) -> Means:
    return Means(HttpsClient(*files), files, lambda: dicom, calling)


def kind(
    spec: ClusterSpec, calling: str = "HACTL", files: Files = NOWHERE, dicom: Files = NOWHERE
) -> DicomKind:
    return DicomKind(spec, means(calling, files, dicom))
