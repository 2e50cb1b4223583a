"""Images that a real Orthanc stored, signed beside it: nothing of what Orthanc has changes."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from pathlib import Path

import pytest

from hactl.integrity.model import place
from hactl.integrity.signatures import Signatures
from hactl.integrity.signer import Signer, SignerParts
from tests.contract.test_signatures import signing_keys
from tests.integration.test_integrity_archive import Site, pair, site

__all__ = ["pair", "site"]  # fixtures


@pytest.fixture
def signer(site: Site, tmp_path: Path) -> Iterator[Signer]:
    (tmp_path / "scratch").mkdir()
    store = Signatures(tmp_path / "signatures.db")
    yield Signer(
        SignerParts(
            site.index(),
            site.storage,
            store,
            signing_keys(tmp_path),
            tmp_path / "scratch",
            lambda: "now",
            lambda _: True,
        )
    )
    store.close()


def test_signed_at_ingest_and_every_tampering_found(site: Site, signer: Signer) -> None:
    site.store("signed-before", 2)
    signer.once()
    stored = site.store("signed", 4)
    digests = {path: hashlib.sha256(path.read_bytes()).hexdigest() for _, _, path in stored}
    while signer.once():
        pass
    rows = {place(row.uuid): row for row in signer.rows()}
    assert {str(p.relative_to(site.root)) for p in digests} == set(rows)
    assert {signer.check(row).word for row in rows.values()} == {"ok"}
    for (image, public_id, path), digest in zip(stored, digests.values(), strict=True):
        assert hashlib.sha256(path.read_bytes()).hexdigest() == digest
        assert site.pixels(public_id) == image.digest
    flipped, renamed, gone, whole = (path for _, _, path in stored)
    content = flipped.read_bytes()
    flipped.write_bytes(content[:-9] + bytes([content[-9] ^ 4]) + content[-8:])
    renamed.write_bytes(renamed.read_bytes().replace(b"Hactl^Drill", b"Hactl^Drull"))
    gone.rename(gone.with_name("aside"))
    words = {path: signer.check(rows[str(path.relative_to(site.root))]).word for path in digests}
    gone.with_name("aside").rename(gone)
    assert words == {flipped: "corrupt", renamed: "corrupt", gone: "missing", whole: "ok"}
