"""A CA's files, and how one CA replaces another without an outage.

`ca.crt` holds every CA that is trusted, `ca.key` the key that signs; of the DICOM CA they are `dicom.crt` and
`dicom.key`. A replacement goes in three steps, each
followed by a deployment, so that at no time a node meets a certificate that it cannot verify:

    start    a second CA (next.key) joins the bundle; nothing is signed with it yet
    switch   next.key becomes ca.key; every certificate is issued again; both CAs are still trusted
    finish   the old CA leaves the bundle

Each step is one rename, or may be repeated after a crash.
"""

from __future__ import annotations

import enum
from collections.abc import Sequence
from datetime import datetime
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import ec

from hactl.errors import Refused
from hactl.pki import ca, files
from hactl.pki.uses import CLUSTER_CA, CaKind


class Phase(enum.StrEnum):
    STEADY = "steady"
    STAGED = "staged"  # two trusted, the old one signs
    SWITCHED = "switched"  # two trusted, the new one signs


class AuthorityFiles:
    """One CA in ca/ of the state folder. Methods that write expect the caller to hold the lock."""

    def __init__(self, folder: Path, kind: CaKind = CLUSTER_CA) -> None:
        self.folder = folder
        self.kind = kind
        self.crt = folder / f"{kind.name}.crt"
        self.key = folder / f"{kind.name}.key"
        self.next_key = folder / kind.next_key

    def bundle(self) -> tuple[x509.Certificate, ...]:
        """Every trusted CA. Raises Refused when there is none yet."""
        pem = files.read_public(self.crt)
        if pem is None:
            raise Refused(f"no {self.kind.title} in {self.folder}", hint="hactl pki init")
        return ca.load_certificates(pem, str(self.crt))

    def signer(self) -> x509.Certificate:
        """The CA that signs now. Without its key (which may be kept elsewhere): the first of the bundle."""
        bundle = self.bundle()
        if not self.key.exists():
            return bundle[0]
        found = _owned_by(bundle, self._load(self.key))
        if found is None:
            raise Refused(f"{self.key} belongs to no certificate in {self.crt}", hint="restore both")
        return found

    def authority(self) -> ca.Authority:
        """What is needed to sign. Raises Refused when the key, or the CA, is not here."""
        signer = self.signer()
        if not self.key.exists():
            raise Refused(f"{self.key} is missing", hint="bring it back from where it is kept, then repeat")
        return ca.Authority(signer, self._load(self.key), self.kind)

    def phase(self) -> Phase:
        bundle = self.bundle()
        if self.next_key.exists() and _owned_by(bundle, self._load(self.next_key)) is not None:
            return Phase.STAGED
        return Phase.SWITCHED if len(bundle) > 1 else Phase.STEADY

    def create(self, cluster: str, now: datetime) -> bool:
        """The first CA; False when there is one. A key alone, left by a crash, is completed."""
        if self.crt.exists():
            return False
        key = self._load(self.key) if self.key.exists() else self._new(self.key)
        self._write([ca.new_authority(cluster, key, now, self.kind).certificate])
        return True

    def check_turn(self, wanted: Phase) -> None:
        """Raises Refused, with the next command, unless the replacement is in this phase."""
        phase = self.phase()
        if phase is wanted:
            return
        if phase is Phase.STEADY:
            raise Refused("no CA replacement is under way, or it is finished already", hint=self._next(phase))
        raise Refused(f"a CA replacement is under way, in phase {phase}", hint=self._next(phase))

    def _next(self, phase: Phase) -> str:
        return _NEXT[phase].format(option=self.kind.option)

    def start(self, cluster: str, now: datetime) -> None:
        """Raises Refused when a replacement is already under way."""
        self.check_turn(Phase.STEADY)
        signing = self.signer()
        key = self._load(self.next_key) if self.next_key.exists() else self._new(self.next_key)
        self._write([signing, ca.new_authority(cluster, key, now, self.kind).certificate])

    def switch(self) -> None:
        """Raises Refused unless started. Repeating it after a crash is harmless."""
        if self.phase() is not Phase.SWITCHED:
            self.check_turn(Phase.STAGED)
            files.move(self.next_key, self.key)
        new = self.signer()
        self._write([new, *(c for c in self.bundle() if c != new)])

    def finish(self) -> None:
        """The caller knows that nothing is signed by the old CA any more. Raises Refused out of turn."""
        self.check_turn(Phase.SWITCHED)
        self._write([self.signer()])

    def _write(self, certificates: Sequence[x509.Certificate]) -> None:
        files.write(self.crt, ca.certificate_pem(certificates), files.PUBLIC)

    @staticmethod
    def _new(path: Path) -> ec.EllipticCurvePrivateKey:
        key = ca.new_key()
        files.write(path, ca.key_pem(key), files.PRIVATE)
        return key

    @staticmethod
    def _load(path: Path) -> ec.EllipticCurvePrivateKey:
        return ca.load_key(files.read_private(path), str(path))


_NEXT = {
    Phase.STEADY: "hactl pki renew {option} start",
    Phase.STAGED: "hactl deploy, then hactl pki renew {option} switch",
    Phase.SWITCHED: "hactl deploy, then hactl pki renew {option} finish",
}


def _owned_by(bundle: Sequence[x509.Certificate], key: ec.EllipticCurvePrivateKey) -> x509.Certificate | None:
    return next((c for c in bundle if ca.belongs(c, key)), None)
