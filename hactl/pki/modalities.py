"""Certificates of modalities: machines that hactl does not reach, so somebody carries the files there.

<state>/modalities/<name>/  <name>.crt     always kept: `show` tells when it ends
                            <name>.key     unless it was written to another folder
                            dicom-ca.crt   whom the modality shall trust
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from pathlib import Path
from typing import Final

from cryptography import x509

from hactl import layout
from hactl.errors import Refused
from hactl.pki import ca, due, files
from hactl.pki.due import CertInfo, Found, State
from hactl.pki.pairs import Pair
from hactl.pki.setup import Made
from hactl.pki.uses import MODALITY, CertSpec, modality
from hactl.spec.model import ClusterSpec

# In a folder that a user named: it may be somebody's only key.
_STRANGE: Final = frozenset({State.BROKEN, State.DIFFERS, State.OLD_CA})


@dataclass(frozen=True)
class Order:
    """What is to be issued, and into which folder besides the state's; `force`: though one is still good."""

    wanted: CertSpec
    life: timedelta
    out: Path | None
    force: bool


class Modalities:
    """modalities/ in the state folder. `issue` expects the caller to hold the lock."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def settle(self) -> None:
        """Finish or undo what an interrupted `issue` left. Only under the lock."""
        for leftover in self.folder.glob("*/*.key.next"):
            Pair(leftover.parent, leftover.name.removesuffix(".key.next")).settle()

    def infos(
        self, spec: ClusterSpec, signer: x509.Certificate | None, now: datetime, soon: timedelta
    ) -> Iterator[CertInfo]:
        """Those that were issued; a modality may well have a certificate from elsewhere, or none."""
        for name in sorted(p.stem for p in self.folder.glob("*/*.crt") if p.stem == p.parent.name):
            found = self._find(name)
            if name in spec.archive.modalities:
                info = due.judge(modality(spec, name), found, signer, now, soon)
                yield info if info.fine else replace(info, why=f"{info.why}: hactl pki modality {name}")
            elif found and found.certificate:
                why = "not in the spec any more"
                yield due.describe(name, MODALITY, found.certificate, now, State.UNUSED, why)

    def issue(self, authority: ca.Authority, bundle: bytes, order: Order, now: datetime) -> Iterator[Made]:
        """Key, certificate and the CA that the modality shall trust; returns what was written.

        Raises:
            Refused: a good certificate is there, or others can write into the folder.

        """
        wanted, own = order.wanted, self.folder / order.wanted.node
        files.ensure_folder(self.folder)
        files.ensure_folder(own)
        target = own
        if order.out is not None and order.out.resolve() != own.resolve():
            files.check_target(order.out)
            target = order.out
        pair = Pair(target, wanted.node)
        if not order.force:
            self._check_due(authority, wanted, pair, now)
        for name in (f"{wanted.node}.", layout.DICOM_CA.name):
            files.sweep(target, name=name)
        pair.settle()
        # The record comes last: what it says is there, is there.
        for folder in {own: None, target: None}:
            files.write(folder / layout.DICOM_CA.name, bundle, files.PUBLIC)
        pair.issue(authority, wanted, now, order.life)
        if target is not own:
            self._record(wanted.node, pair.crt.read_bytes())
        yield Made(pair.key, "its key: for the modality and nobody else")
        yield Made(pair.crt, f"its certificate: {wanted.cn} at {wanted.sans[0]}")
        yield Made(target / layout.DICOM_CA.name, "whom it shall trust")

    def _find(self, name: str) -> Found | None:
        pair = Pair(self.folder / name, name)
        found = pair.find()
        if found and not (pair.key.exists() or pair.next_key.exists()):
            return replace(found, whole=True)  # its key is where the modality is
        return found

    def _check_due(self, authority: ca.Authority, wanted: CertSpec, pair: Pair, now: datetime) -> None:
        """What ends soon or does not fit any more (CA, names) may be replaced; strange files may not."""
        signer, kept = authority.certificate, self._find(wanted.node)
        if due.judge(wanted, kept, signer, now, due.SOON).state is State.OK:
            raise Refused(
                f"{wanted.node} has a certificate that is good for more than {due.SOON.days} days",
                hint="--force issues another one; the old one stays good until it ends",
            )
        there = pair.find()
        if there is None:
            strange = pair.key.exists()
        else:
            ours = kept is not None and kept.certificate == there.certificate
            strange = not ours and due.judge(wanted, there, signer, now, due.SOON).state in _STRANGE
        if strange:
            raise Refused(f"{pair.crt} or its key is there and not ours", hint="another --out, or --force")

    def _record(self, name: str, pem: bytes) -> None:
        """The certificate without its key. The old key goes first: it would not be this certificate's."""
        pair = Pair(self.folder / name, name)
        pair.key.unlink(missing_ok=True)
        files.write(pair.crt, pem, files.PUBLIC)
