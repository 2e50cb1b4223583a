from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path

import pytest

from hactl.deploy import credentials
from hactl.pki import ca
from hactl.pki.uses import DICOM_CA
from tests.support.pki import Clock, ready, sample_spec, small_spec

NAMES = ("expired.pem", "dicom-expired.pem")


def test_each_ca_has_one_and_it_ended_before_the_ca_began(tmp_path: Path) -> None:
    store = ready(tmp_path, Clock())
    for name, bundle in zip(NAMES, (store.ca, store.dicom_ca), strict=True):
        found = (store.state / "tls-check" / name).read_bytes()
        certificate = ca.load_certificates(found, name)[0]
        signer = ca.load_certificates(bundle.read_bytes(), "CA")[0]
        assert ca.signed_by(certificate, signer)
        assert ca.belongs(certificate, ca.load_leaf_key(found, name))
        assert certificate.not_valid_after_utc == datetime(2001, 1, 2, tzinfo=UTC)
        assert certificate.not_valid_after_utc < signer.not_valid_before_utc


def test_made_once_and_again_for_another_ca(tmp_path: Path) -> None:
    store = ready(tmp_path, Clock())
    paths = [store.state / "tls-check" / name for name in NAMES]
    before = [p.read_bytes() for p in paths]
    store.init(small_spec())
    assert [p.read_bytes() for p in paths] == before
    store.replace_authority(small_spec(), "start", DICOM_CA)
    store.replace_authority(small_spec(), "switch", DICOM_CA)
    after = [p.read_bytes() for p in paths]
    assert (after[0] == before[0], after[1] == before[1]) == (True, False)


def test_without_the_cas_key_nothing_is_refused(tmp_path: Path) -> None:
    store = ready(tmp_path, Clock())
    (store.state / "tls-check" / NAMES[0]).unlink()
    (store.state / "ca" / "ca.key").rename(tmp_path / "away")
    assert store.init(small_spec()) == ()


@pytest.mark.parametrize("name", NAMES)
def test_the_witness_alone_gets_them(tmp_path: Path, name: str) -> None:
    store = ready(tmp_path, Clock(), small=False)
    found = [f for f in credentials.files(sample_spec(), store) if f.path.endswith(f"/{name}")]
    assert [(f.node, f.mode, f.owner, f.secret) for f in found] == [("wit1", "0600", "hactl", True)]
