"""Signing beside the storage, with the real dcmsign; the index is a dictionary."""

from __future__ import annotations

import dataclasses
import io
import subprocess
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from click.testing import CliRunner
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import rsa
from cryptography.x509.oid import NameOID
from pydicom import dcmread, dcmwrite
from pydicom.encaps import encapsulate
from pydicom.uid import DeflatedExplicitVRLittleEndian, ImplicitVRLittleEndian, JPEGBaseline8Bit

from hactl import layout
from hactl.cli import archive_signatures
from hactl.cli.app import root
from hactl.drill import images
from hactl.errors import NotHealthy, Refused, StepFailed, Unreachable, UsageError
from hactl.integrity import build, dcmsign
from hactl.integrity.dcmsign import SigningKeys, Word
from hactl.integrity.model import Position, Row, place
from hactl.integrity.signatures import NOT, OWN, SIGNED, Signatures
from hactl.integrity.signer import Signer, SignerParts
from hactl.integrity.storage import Storage
from hactl.units import Lsn
from tests.support.integrity import CLUSTER, MemoryIndex
from tests.support.rendered import sample
from tests.support.servers import program

NOW = datetime.now(UTC)


def signing_keys(folder: Path, name: str = "site", ends: datetime = NOW + timedelta(days=30)) -> SigningKeys:
    """A certificate that is its own CA."""
    key = rsa.generate_private_key(public_exponent=65537, key_size=2048)
    subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])
    certificate = (
        x509.CertificateBuilder().subject_name(subject).issuer_name(subject).public_key(key.public_key())
        .serial_number(x509.random_serial_number()).not_valid_before(NOW - timedelta(days=2))
        .not_valid_after(ends).sign(key, hashes.SHA256())
    )  # fmt: skip
    paths = [folder / f"{name}.{kind}" for kind in ("key", "crt")]
    paths[0].write_bytes(
        key.private_bytes(
            serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
        )
    )
    paths[1].write_bytes(certificate.public_bytes(serialization.Encoding.PEM))
    return SigningKeys(*paths, paths[1])


class Place:
    def __init__(self, folder: Path, keys: SigningKeys) -> None:
        program("dcmsign", "dcmtk")
        self.folder, self.keys, self.index = folder, keys, MemoryIndex()
        self.root = folder / "images"
        self.root.mkdir()
        (self.root / layout.STORAGE_MARKER).write_text(f"{CLUSTER}\n")
        (folder / "scratch").mkdir()
        self.store = Signatures(folder / "signatures.db")
        self.signer = self.another()
        self.signer.once()  # from now on

    def another(self, keys: SigningKeys | None = None) -> Signer:
        parts = SignerParts(
            self.index, Storage(self.root, CLUSTER), self.store, keys or self.keys, self.folder / "scratch",
            lambda: "now", lambda _: True,
        )  # fmt: skip
        return Signer(parts)

    def put(self, content: bytes) -> Row:
        row = self.index.add(content)
        self.path(row).parent.mkdir(parents=True, exist_ok=True)
        self.path(row).write_bytes(content)
        return row

    def path(self, row: Row) -> Path:
        return self.root / place(row.uuid)

    def kind(self, row: Row) -> str:
        found = self.store.of(row.uuid)
        return found.kind if found else "none"


@pytest.fixture(scope="module")
def keys(tmp_path_factory: pytest.TempPathFactory) -> SigningKeys:
    return signing_keys(tmp_path_factory.mktemp("keys"))


@pytest.fixture
def here(tmp_path: Path, keys: SigningKeys) -> Iterator[Place]:
    place_ = Place(tmp_path, keys)
    yield place_
    assert list((tmp_path / "scratch").iterdir()) == []  # nothing of an image is left behind


def image(number: int = 0) -> bytes:
    return images.encoded(images.make("sign", 1, first=number)[0])


def test_the_original_is_not_touched_and_verifies_with_its_signature(here: Place) -> None:
    content = image()
    row = here.put(content)
    before = here.path(row).stat()
    here.signer.once()
    assert here.kind(row) == SIGNED
    assert here.path(row).read_bytes() == content
    after = here.path(row).stat()
    assert (after.st_mtime_ns, after.st_ino) == (before.st_mtime_ns, before.st_ino)
    assert here.signer.check(row).word == Word.OK


def flipped(content: bytes, at: int) -> bytes:
    return content[:at] + bytes([content[at] ^ 1]) + content[at + 1 :]


TAMPERED = {
    "a flipped bit of a pixel": lambda c: flipped(c, len(c) - 100),
    "another name, equally long": lambda c: c.replace(b"Hactl^Drill", b"Hacki^Drill"),
    "another name, longer": lambda c: with_name(c, "Somebody^Else^Altogether"),
    "cut off": lambda c: c[:-200],
    "no DICOM any more": lambda c: b"x" * len(c),
}


def with_name(content: bytes, name: str) -> bytes:
    ds = dcmread(io.BytesIO(content))
    ds.PatientName = name
    out = io.BytesIO()
    dcmwrite(out, ds)
    return out.getvalue()


@pytest.mark.parametrize("how", TAMPERED)
def test_every_change_is_found(here: Place, how: str) -> None:
    row = here.put(image())
    here.signer.once()
    here.path(row).write_bytes(TAMPERED[how](image()))
    checked = here.signer.check(row)
    assert (checked.word, checked.fine) == (Word.CORRUPT, False), checked


def test_a_change_outside_of_what_is_signed_is_found_too(here: Place) -> None:
    """The file's header is no part of a DICOM signature."""
    row = here.put(image())
    here.signer.once()
    here.path(row).write_bytes(flipped(image(), 5))  # of the preamble
    assert here.signer.check(row).word == "changed"


def test_a_signature_that_went_is_found(here: Place) -> None:
    row = here.put(image())
    here.signer.once()
    here.store._db.executescript("DROP TRIGGER no_delete; DELETE FROM signatures;")
    assert here.signer.check(row).word == Word.UNSIGNED


def test_anothers_signature_does_not_fit(here: Place) -> None:
    one, two = here.put(image(1)), here.put(image(2))
    here.signer.once()
    here.path(one).write_bytes(image(2))
    assert here.signer.check(one).word == Word.CORRUPT
    assert here.signer.check(two).word == Word.OK


def test_a_missing_image_is_found(here: Place) -> None:
    row = here.put(image())
    here.signer.once()
    here.path(row).unlink()
    assert here.signer.check(row).word == "missing"


def test_who_signed_must_be_trusted(here: Place, tmp_path: Path) -> None:
    row = here.put(image())
    here.signer.once()
    other = signing_keys(tmp_path, "other")
    checked = here.another(dataclasses.replace(here.keys, trusted=other.trusted)).check(row)
    assert checked.word == Word.UNTRUSTED
    assert "certificate" in checked.why


def test_what_came_before_is_not_signed_and_what_was_damaged_is_not_either(here: Place) -> None:
    damaged = here.index.add(image(5))
    here.path(damaged).parent.mkdir(parents=True)
    here.path(damaged).write_bytes(flipped(image(5), 900))
    here.signer.once()
    assert here.kind(damaged) == "none"
    assert [r.uuid for r in here.signer.rows()] == [damaged.uuid]


def encoded(syntax: str) -> bytes:
    ds = images.dataset(images.make("sign", 1)[0])
    ds.file_meta.TransferSyntaxUID = syntax
    if syntax == JPEGBaseline8Bit:
        ds.PixelData = encapsulate([b"\xff\xd8" + bytes(2000) + b"\xff\xd9"])
        ds["PixelData"].is_undefined_length = True
    ds.add_new(0x00091010, "UN", b"private")
    ds.add_new(0x60000010, "US", 64)  # an overlay, behind where the signature's first half goes
    out = io.BytesIO()
    dcmwrite(
        out, ds, enforce_file_format=True, implicit_vr=syntax == ImplicitVRLittleEndian, little_endian=True
    )
    return out.getvalue()


@pytest.mark.parametrize("syntax", [ImplicitVRLittleEndian, JPEGBaseline8Bit])
def test_other_encodings(here: Place, syntax: str) -> None:
    row = here.put(encoded(syntax))
    here.signer.once()
    assert here.kind(row) == SIGNED, here.store.of(row.uuid)
    assert here.signer.check(row).word == Word.OK
    content = here.path(row).read_bytes()
    here.path(row).write_bytes(flipped(content, len(content) - 300))
    assert here.signer.check(row).word == Word.CORRUPT


def test_what_cannot_be_signed_is_written_down_with_its_reason(here: Place) -> None:
    ds = images.dataset(images.make("sign", 1)[0])
    ds.file_meta.TransferSyntaxUID = DeflatedExplicitVRLittleEndian
    out = io.BytesIO()
    dcmwrite(out, ds, enforce_file_format=True)
    rows = [here.put(out.getvalue()), here.put(b"no DICOM")]
    here.signer.once()
    assert [here.kind(r) for r in rows] == [NOT, NOT]
    assert here.signer.check(rows[0]).fine
    here.path(rows[1]).write_bytes(b"no dicom")
    assert here.signer.check(rows[1]).word == "changed"


def test_a_signature_that_came_with_the_image_stays_and_is_checked(here: Place, tmp_path: Path) -> None:
    source, signed = tmp_path / "o.dcm", tmp_path / "s.dcm"
    source.write_bytes(image())
    dcmsign.sign(here.keys, source, signed)
    row = here.put(signed.read_bytes())
    here.signer.once()
    assert here.kind(row) == OWN
    assert here.signer.check(row).word == Word.OK
    here.path(row).write_bytes(source.read_bytes())  # stripped
    assert here.signer.check(row).word == Word.UNSIGNED


def test_an_export_verifies_without_hactl(here: Place, tmp_path: Path) -> None:
    row = here.put(image())
    here.signer.once()
    target = tmp_path / "signed.dcm"
    with target.open("xb") as file:
        here.signer.export(row, file)
    argv = ["dcmsign", "--verify", "+rg", "+cf", str(here.keys.trusted), str(target)]
    assert subprocess.run(argv, capture_output=True, check=False, timeout=20).returncode == 0
    assert dcmread(target).PixelData == dcmread(io.BytesIO(image())).PixelData
    with (tmp_path / "x").open("xb") as file, pytest.raises(StepFailed, match="no signature"):
        here.signer.export(here.index.add(b"?"), file)


def test_it_goes_on_where_it_was_and_after_a_failover(here: Place) -> None:
    rows = [here.put(image(n)) for n in range(3)]
    here.signer.once()
    later = here.put(image(7))
    here.another().once()
    assert here.kind(later) == SIGNED
    here.index.at = Position(2, Lsn(1))
    late = here.put(image(8))
    here.index.rows[late.uuid] = dataclasses.replace(late, resource=rows[0].resource)  # a number given again
    signer = here.another()
    while signer.once():
        pass
    assert here.kind(late) == SIGNED


def test_without_its_keys_nothing_is_written_down(here: Place, tmp_path: Path) -> None:
    row = here.put(image())
    lost = dataclasses.replace(here.keys, trusted=tmp_path / "none.crt")
    with pytest.raises((StepFailed, Unreachable)):
        here.another(lost).once()
    assert here.kind(row) == "none"


@pytest.mark.parametrize("lost", ["key", "certificate"])
def test_a_fault_of_ours_is_not_written_down_as_the_images(here: Place, tmp_path: Path, lost: str) -> None:
    rows = [here.put(image()), here.put(b"no DICOM")]
    broken = dataclasses.replace(here.keys, **{lost: tmp_path / "none"})
    with pytest.raises(StepFailed):
        here.another(broken).once()
    assert here.kind(rows[0]) == "none"
    here.another().once()
    assert [here.kind(r) for r in rows] == [SIGNED, NOT]


def test_the_store_forgets_nothing_by_mistake(here: Place) -> None:
    row = here.put(image())
    here.signer.once()
    for verb in ("DELETE FROM signatures", "UPDATE signatures SET kind = 'own'"):
        with pytest.raises(Exception, match="append-only"):
            here.store._db.execute(verb)
    assert here.store.counts() == {SIGNED: 1}
    assert here.kind(row) == SIGNED


@dataclasses.dataclass
class Node:
    """What the commands need of a node."""

    place: Place
    node: str = "arc1"

    def index(self) -> MemoryIndex:
        return self.place.index

    def file(self, name: str) -> Path:
        return self.place.folder / name


def call(here: Place, monkeypatch: pytest.MonkeyPatch, *words: str) -> tuple[object, str]:
    monkeypatch.setattr(archive_signatures, "_here", lambda *_: Node(here))
    monkeypatch.setattr(build, "signer", lambda _: here.another())
    done = CliRunner().invoke(root, ["archive", "signatures", *words])
    return done.exception, done.stdout


@pytest.mark.parametrize("words", [(), ("--all",), ("--sample", "2"), ("one",)])
def test_the_command_finds_it_too(
    here: Place, monkeypatch: pytest.MonkeyPatch, tmp_path: Path, words: tuple[str, ...]
) -> None:
    rows = [here.put(image(n)) for n in range(2)]
    here.index.images = {"one": rows[0].uuid}
    here.signer.once()
    error, said = call(here, monkeypatch, "verify", *words)
    assert error is None, said
    for row in rows:
        here.path(row).write_bytes(flipped(here.path(row).read_bytes(), -100 % row.size))
    error, said = call(here, monkeypatch, "verify", *words)
    assert isinstance(error, NotHealthy)
    assert f"corrupt    {rows[0].uuid}" in said
    assert call(here, monkeypatch, "status")[1] == "arc1: 2 signed, 0 own, 0 not-signable\n"
    assert call(here, monkeypatch, "export", "one", str(tmp_path / "out.dcm"))[0] is None
    assert isinstance(call(here, monkeypatch, "export", "one", str(tmp_path / "out.dcm"))[0], UsageError)
    assert isinstance(call(here, monkeypatch, "verify", "two")[0], UsageError)


def test_nothing_is_begun_by_looking(tmp_path: Path) -> None:
    """A store that root made could not be written by the unit."""
    spec = sample(archive={"signing": {n: f"/etc/site/{n}.pem" for n in ("certificate", "key", "trusted")}})
    here = build.Here(spec, None, "arc1", lambda _: False, lambda: False, tmp_path)  # type: ignore[arg-type]
    with pytest.raises(Refused, match="yet"):
        build.signer(here)
    off = dataclasses.replace(here, spec=sample())
    with pytest.raises(Refused, match="nothing is signed here"):
        build.signer(off)
    assert list(tmp_path.iterdir()) == []
