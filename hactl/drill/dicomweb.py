"""DICOMweb over HTTPS: STOW-RS, QIDO-RS and WADO-RS, with the operator's account."""

from __future__ import annotations

import email.parser
import email.policy
import ssl
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import urllib3

from hactl.drill.images import Image, encoded
from hactl.errors import StepFailed, Unreachable

_DICOM = 'multipart/related; type="application/dicom"'
_BOUNDARY = "hactl-drill-boundary"


@dataclass(frozen=True)
class Account:
    user: str
    password: str = field(repr=False)


@dataclass(frozen=True)
class Web:
    """`base` is the DICOMweb root, for example https://192.0.2.101/dicom-web."""

    base: str
    pool: Any
    headers: dict[str, str] = field(repr=False)


def connect(base: str, account: Account, *, ca: Path | None, within: float = 10.0) -> Web:
    """Opens nothing yet. `ca` None is for plain HTTP on loopback only."""
    tls = ssl.create_default_context(cafile=str(ca)) if ca else None
    limit = urllib3.Timeout(total=within)
    pool = urllib3.PoolManager(ssl_context=tls, timeout=limit, retries=False, maxsize=2)
    return Web(base, pool, urllib3.make_headers(basic_auth=f"{account.user}:{account.password}"))


def stow(web: Web, images: Sequence[Image]) -> None:
    """Raises StepFailed unless the archive took all of them."""
    head = f"\r\n--{_BOUNDARY}\r\nContent-Type: application/dicom\r\n\r\n".encode()
    body = b"".join(head + encoded(image) for image in images) + f"\r\n--{_BOUNDARY}--\r\n".encode()
    kind = f"{_DICOM}; boundary={_BOUNDARY}"
    answer = _ask(web, "POST", "/studies", {"Content-Type": kind, "Accept": "application/dicom+json"}, body)
    taken = len(answer.json().get("00081199", {}).get("Value", []))
    if taken != len(images):
        raise StepFailed(f"STOW-RS took {taken} of {len(images)} images")


def qido(web: Web, study: str) -> frozenset[str]:
    """The SOP instance UIDs of a study."""
    answer = _ask(web, "GET", f"/studies/{study}/instances", {"Accept": "application/dicom+json"})
    return frozenset(str(item["00080018"]["Value"][0]) for item in answer.json())


def wado(web: Web, image: Image) -> bytes:
    """The image's DICOM file."""
    path = f"/studies/{image.study}/series/{image.series}/instances/{image.uid}"
    answer = _ask(web, "GET", path, {"Accept": f"{_DICOM}; transfer-syntax=*"})
    head = f"Content-Type: {answer.headers['Content-Type']}\r\n\r\n".encode()
    message = email.parser.BytesParser(policy=email.policy.HTTP).parsebytes(head + answer.data)
    parts = [part.get_payload(decode=True) for part in message.walk() if not part.is_multipart()]
    if len(parts) != 1 or not isinstance(parts[0], bytes):
        raise StepFailed(f"WADO-RS answered with {len(parts)} parts instead of one")
    return parts[0]


def _ask(web: Web, method: str, path: str, headers: dict[str, str], body: bytes | None = None) -> Any:
    """Raises Unreachable (no answer) or StepFailed (another status than 200)."""
    url = web.base + path
    try:
        answer = web.pool.request(method, url, headers={**web.headers, **headers}, body=body)
    except urllib3.exceptions.HTTPError as error:
        raise Unreachable(f"{method} {url}: {error}") from error
    if answer.status != 200:
        raise StepFailed(f"{method} {url} was answered with {answer.status}")
    return answer
