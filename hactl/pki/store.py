"""The state folder: keys, certificates and passwords are written and read here and nowhere else.

<state>/  0700      ca/  certs/<node>/<use>.crt|.key  modalities/<name>/<name>.crt|.key
                    secrets.json  pgpass  ssh/id_ed25519(.pub)  known_hosts  tls-check/*.pem
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path

from cryptography import x509

from hactl.errors import Refused, UsageError
from hactl.pki import ca, due, expired, files, known_hosts, secrets
from hactl.pki.authority import AuthorityFiles, Phase
from hactl.pki.ca import LEAF_LIFE, Authority
from hactl.pki.due import CertInfo, State
from hactl.pki.known_hosts import HostKey
from hactl.pki.modalities import Modalities, Order
from hactl.pki.pairs import Pair
from hactl.pki.setup import Made, ensure_secrets, ensure_ssh
from hactl.pki.uses import (
    CA_KINDS,
    CLUSTER_CA,
    DICOM_CA,
    OPS,
    REREAD_TRUST_WITH_OWN,
    USE_NAMES,
    CaKind,
    CertSpec,
    certificates,
    modality,
)
from hactl.spec.model import ClusterSpec


def utc_now() -> datetime:
    """The present, in whole seconds: certificates know no smaller unit."""
    return datetime.now(UTC).replace(microsecond=0)


class Store:
    """Reads refuse what others may read; writes are whole or not at all, one writer at a time."""

    def __init__(self, state: Path, clock: Callable[[], datetime] = utc_now) -> None:
        self.state = state
        self.authority = AuthorityFiles(state / "ca")
        self._authorities = {
            CLUSTER_CA: self.authority,
            DICOM_CA: AuthorityFiles(state / "ca", DICOM_CA),
        }
        self._modalities = Modalities(state / "modalities")
        self.secrets_file = state / "secrets.json"
        self.pgpass = state / "pgpass"
        self.ssh_key = state / "ssh" / "id_ed25519"
        self.known_hosts = state / "known_hosts"
        self._clock = clock

    @property
    def ca(self) -> Path:
        """The bundle of trusted CAs: one, or two while a CA is being replaced."""
        return self.authority.crt

    @property
    def dicom_ca(self) -> Path:
        """The same for DICOM: whom archive nodes and modalities trust."""
        return self._authorities[DICOM_CA].crt

    # Reading

    def cert(self, node: str, use: str) -> tuple[Path, Path]:
        """Certificate and key, checked to be a pair and private.

        Raises:
            Refused: missing, not a pair, or open to others.
            LockHeld: it is being renewed right now.

        """
        files.check_folder(self.state)
        pair = self._pair(node, use)
        if pair.next_key.exists():
            with files.locked(self.state):
                pair.settle()
        found = pair.find()
        if found is None or not found.whole:
            raise Refused(f"no certificate {use} for {node} in {self.state}", hint="hactl pki init")
        files.read_private(pair.key)
        return pair.crt, pair.key

    def secrets(self) -> secrets.Secrets:
        """All passwords. Raises Refused when they are missing, incomplete or open to others."""
        files.check_folder(self.state)
        content = secrets.parse(files.read_private(self.secrets_file), str(self.secrets_file))
        return secrets.build(content, str(self.secrets_file))

    def ssh_public_key(self) -> str:
        """One line for authorized_keys. Raises Refused when there is no key yet."""
        public = files.read_public(self.ssh_key.with_name(f"{self.ssh_key.name}.pub"))
        if public is None:
            raise Refused(f"no SSH key in {self.ssh_key.parent}", hint="hactl pki init")
        return public.decode("ascii").strip()

    def show(self, spec: ClusterSpec, soon: timedelta = due.SOON) -> list[CertInfo]:
        """Every certificate with its state, worst first; the CAs too. Nothing is changed."""
        files.check_folder(self.state)
        now = self._clock()
        infos = (info for _, info in self._judged(spec, soon))
        others = (*self._of_modalities(spec, soon), *self._cas(now, soon), *self._unused(spec, now))
        return due.worst_first([*infos, *others])

    def _of_modalities(self, spec: ClusterSpec, soon: timedelta) -> Iterator[CertInfo]:
        return self._modalities.infos(spec, self._signers(spec)[DICOM_CA], self._clock(), soon)

    def _cas(self, now: datetime, soon: timedelta) -> Iterator[CertInfo]:
        for kind, authority in self._authorities.items():
            if not authority.crt.exists():
                yield CertInfo("-", kind.use, kind.title, (), State.MISSING, "not made yet")
                continue
            for certificate in authority.bundle():
                state, why = due.expiry(certificate, now, soon) or (State.OK, "")
                yield due.describe("-", kind.use, certificate, now, state, why)

    def _unused(self, spec: ClusterSpec, now: datetime) -> Iterator[CertInfo]:
        wanted = {(w.node, w.use) for w in certificates(spec)}
        for crt in sorted((self.state / "certs").glob("*/*.crt")):
            node, use = crt.parent.name, crt.stem
            found = None if (node, use) in wanted else self._pair(node, use).find()
            if found and found.certificate:
                yield due.describe(
                    node, use, found.certificate, now, State.UNUSED, "not in the spec any more"
                )

    # Writing

    def init(self, spec: ClusterSpec) -> tuple[Made, ...]:
        """Make what is missing, re-issue what the spec wants otherwise. Returns what was made."""
        with self._writing(create=True):
            made = list(self._init_authority(spec, CLUSTER_CA, "the cluster's CA"))
            self._signers(spec)  # another cluster's folder is refused before its secrets are touched
            made += self._init_authority(spec, DICOM_CA, "the CA for DICOM")
            made += ensure_secrets(self.secrets_file, self.pgpass, spec)
            made += ensure_ssh(self.ssh_key, spec.cluster)
            made += expired.ensure(self.state, self._authorities)
            late = self._judged(spec, timedelta(0))
            return (*made, *self._issue((w, i) for w, i in late if not i.fine))

    def _init_authority(self, spec: ClusterSpec, kind: CaKind, why: str) -> Iterator[Made]:
        authority = self._authorities[kind]
        files.ensure_folder(authority.folder)
        if authority.create(spec.cluster, self._clock()):
            yield Made(authority.crt, why)

    def renew(
        self,
        spec: ClusterSpec,
        *,
        nodes: Collection[str] = (),
        uses: Collection[str] = (),
        before: timedelta = due.SOON,
        force: bool = False,
        dry_run: bool = False,
    ) -> tuple[CertInfo, ...]:
        """Issue again what is due (with `force`: everything), limited to `nodes` and `uses` when given.

        Returns the certificates as they were found, each with the reason; with `dry_run` nothing is written.

        Raises:
            UsageError: a node or use that the spec does not have.

        """
        _check_known("node", nodes, (*spec.nodes, OPS))
        _check_known("use", uses, USE_NAMES)
        with self._writing(dry_run=dry_run):
            chosen = tuple(
                (wanted, info)
                for wanted, info in self._judged(spec, before)
                if (not nodes or wanted.node in nodes)
                and (not uses or wanted.use in uses)
                and (force or not info.fine)
            )
            if not dry_run:
                self._issue(chosen)
            return tuple(info for _, info in chosen)

    def modality(
        self,
        spec: ClusterSpec,
        name: str,
        *,
        life: timedelta = LEAF_LIFE,
        out: Path | None = None,
        force: bool = False,
    ) -> tuple[Made, ...]:
        """Key and certificate for a modality, in the state folder or in `out`. Returns what was written.

        Raises:
            UsageError: the spec has no such modality.
            Refused: it has a good one already (`force` issues another), or `out` is open to others.

        """
        _check_known("modality", [name], tuple(spec.archive.modalities))
        with self._writing():
            self._signers(spec)
            authority = self._authorities[DICOM_CA].authority()
            order = Order(modality(spec, name), life, out, force)
            return tuple(self._modalities.issue(authority, self.dicom_ca.read_bytes(), order, self._clock()))

    def replace_authority(
        self, spec: ClusterSpec, step: str, kind: CaKind = CLUSTER_CA
    ) -> tuple[CertInfo, ...]:
        """One step of the replacement of one CA: start, switch or finish. Returns what was issued again.

        Raises:
            Refused: out of turn; or `finish` while a certificate is still signed by the old CA.

        """
        with self._writing():
            self._signers(spec)
            authority = self._authorities[kind]
            if step == "start":
                authority.check_turn(Phase.STEADY)
                issued = self._reissue(spec, kind, lambda info: info.use in REREAD_TRUST_WITH_OWN)
                authority.start(spec.cluster, self._clock())
                return issued
            if step == "switch":
                authority.switch()
                tuple(expired.ensure(self.state, self._authorities))
                return self._reissue(spec, kind, lambda info: not info.fine)
            self._check_all_new(spec, kind)
            issued = self._reissue(spec, kind, lambda info: info.use in REREAD_TRUST_WITH_OWN)
            authority.finish()
            return issued

    def _reissue(
        self, spec: ClusterSpec, kind: CaKind, which: Callable[[CertInfo], bool]
    ) -> tuple[CertInfo, ...]:
        chosen = [(w, info) for w, info in self._judged(spec, due.SOON) if w.ca == kind and which(info)]
        self._issue(chosen)
        return tuple(info for _, info in chosen)

    def _check_all_new(self, spec: ClusterSpec, kind: CaKind) -> None:
        self._authorities[kind].check_turn(Phase.SWITCHED)
        judged = [info for wanted, info in self._judged(spec, timedelta(0)) if wanted.ca == kind]
        if kind is DICOM_CA:
            judged += self._of_modalities(spec, timedelta(0))
        if late := [f"{i.node} {i.use}: {i.why}" for i in judged if not i.fine]:
            hint = f"hactl pki renew {kind.option} switch"
            raise Refused("certificates are not all signed by the new CA", late, hint=hint)

    def is_trusted(self, address: str, port: int, key: HostKey, *, replace: bool = False) -> bool:
        """Whether this very key is pinned. Raises Refused when another is, unless to be replaced."""
        text = self._pinned()
        if not replace:
            known_hosts.pin(text, address, port, key)
        return known_hosts.lookup(text, address, port) == (key,)

    def trust(self, address: str, port: int, key: HostKey, *, replace: bool = False) -> None:
        """Pin a host key. Raises Refused when another one is pinned, unless it shall be replaced."""
        with self._writing(create=True):
            text = self._pinned()
            kept = known_hosts.unpin(text, address, port) if replace else text
            files.write(self.known_hosts, known_hosts.pin(kept, address, port, key).encode(), files.PRIVATE)

    def _pinned(self) -> str:
        return (files.read_public(self.known_hosts) or b"").decode("utf-8", "replace")

    @contextmanager
    def _writing(self, *, create: bool = False, dry_run: bool = False) -> Iterator[None]:
        """The folder is private and ours alone, and rid of what interrupted writes left."""
        if create:
            files.ensure_folder(self.state)
        files.check_folder(self.state)
        if dry_run:
            yield
            return
        with files.locked(self.state):
            files.sweep(self.state, "ca", "certs", "modalities", "ssh", expired.FOLDER)
            self._modalities.settle()
            for leftover in (self.state / "certs").glob("*/*.key.next"):
                self._pair(leftover.parent.name, leftover.name.removesuffix(".key.next")).settle()
            yield

    def _pair(self, node: str, use: str) -> Pair:
        return Pair(self.state / "certs" / node, use)

    def _signers(self, spec: ClusterSpec) -> dict[CaKind, x509.Certificate | None]:
        """Raises Refused when this folder belongs to another cluster: its secrets must not get mixed."""
        return {kind: self._signer(spec, kind) for kind in CA_KINDS}

    def _signer(self, spec: ClusterSpec, kind: CaKind) -> x509.Certificate | None:
        authority = self._authorities[kind]
        if kind is DICOM_CA and not authority.crt.exists():
            return None  # a state folder of before there was one; `init` makes it
        signer = authority.signer()
        if not ca.cn_of(signer).startswith(f"{kind.title} {spec.cluster} "):
            raise Refused(
                f"{self.state} belongs to another cluster ({ca.cn_of(signer)}), not to {spec.cluster}"
            )
        return signer

    def _judged(self, spec: ClusterSpec, before: timedelta) -> list[tuple[CertSpec, CertInfo]]:
        signers, now = self._signers(spec), self._clock()
        found = ((w, self._pair(w.node, w.use).find()) for w in certificates(spec))
        return [(wanted, due.judge(wanted, what, signers[wanted.ca], now, before)) for wanted, what in found]

    def _issue(self, chosen: Iterable[tuple[CertSpec, CertInfo]]) -> tuple[Made, ...]:
        todo = tuple(chosen)
        if not todo:
            return ()  # the CA's key may be kept elsewhere as long as nothing has to be signed
        # All before the first: a key that is not here stops it before anything is half done.
        authorities = {kind: self._authorities[kind].authority() for kind in {w.ca for w, _ in todo}}
        files.ensure_folder(self.state / "certs")
        return tuple(self._issue_one(authorities[wanted.ca], wanted, info) for wanted, info in todo)

    def _issue_one(self, authority: Authority, wanted: CertSpec, info: CertInfo) -> Made:
        pair = self._pair(wanted.node, wanted.use)
        pair.issue(authority, wanted, self._clock())
        return Made(pair.crt, info.why)


def _check_known(what: str, given: Collection[str], known: Collection[str]) -> None:
    if strange := sorted(set(given).difference(known)):
        raise UsageError(f"no {what} {', '.join(strange)}", hint=f"one of: {', '.join(known) or 'none'}")
