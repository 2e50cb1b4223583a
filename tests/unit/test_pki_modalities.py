from __future__ import annotations

import json
from datetime import timedelta
from pathlib import Path

import pytest

from hactl.errors import Refused, UsageError
from hactl.pki import ca, files
from hactl.pki.due import CertInfo, State
from hactl.pki.store import Store
from hactl.pki.uses import DICOM_CA
from tests.support.pki import Clock, small_spec

SPEC = small_spec()
MOVED = {"modalities": {"ops": {"aet": "HACTL", "address": "192.0.2.3"}}}
NAMES = ["dicom-ca.crt", "ops.crt", "ops.key"]


@pytest.fixture
def out(tmp_path: Path) -> Path:
    return tmp_path / "stick"


def listed(folder: Path) -> list[str]:
    return sorted(p.name for p in folder.iterdir())


def shown(store: Store, **changes: object) -> CertInfo:
    [found] = [i for i in store.show(small_spec(**changes)) if i.use == "modality"]
    return found


def test_key_certificate_and_ca_lie_in_the_state_folder(store: Store) -> None:
    made = store.modality(SPEC, "ops")
    folder = store.state / "modalities" / "ops"
    assert listed(folder) == NAMES
    assert sorted(m.path.name for m in made) == NAMES
    modes = {p.name: p.stat().st_mode & 0o777 for p in folder.iterdir()}
    assert modes == {"dicom-ca.crt": 0o644, "ops.crt": 0o644, "ops.key": 0o600}
    assert folder.stat().st_mode & 0o777 == 0o700
    assert (folder / "dicom-ca.crt").read_bytes() == store.dicom_ca.read_bytes()
    [certificate] = ca.load_certificates((folder / "ops.crt").read_bytes(), "c")
    [authority] = ca.load_certificates(store.dicom_ca.read_bytes(), "c")
    assert ca.signed_by(certificate, authority)
    assert not ca.signed_by(certificate, store.authority.signer())
    assert (ca.cn_of(certificate), ca.sans_of(certificate)) == ("HACTL", ("192.0.2.2",))
    assert ca.usages_of(certificate) == (True, True)
    assert ca.is_rsa(certificate)


def test_show_lists_it_and_says_what_to_do(store: Store, clock: Clock) -> None:
    assert not [i for i in store.show(SPEC) if i.use == "modality"]  # none issued is no fault
    store.modality(SPEC, "ops", life=timedelta(days=60))
    found = shown(store)
    assert (found.node, found.state, found.days_left, found.why) == ("ops", State.OK, 60, "")
    assert shown(store, archive=MOVED).state is State.DIFFERS
    assert shown(store, archive={"modalities": {}}).state is State.UNUSED
    clock.forward(days=31)
    assert shown(store).state is State.EXPIRING
    assert shown(store).why.endswith(": hactl pki modality ops")
    clock.forward(days=30)
    assert shown(store).state is State.EXPIRED


def test_init_and_renew_leave_it_alone(store: Store, clock: Clock) -> None:
    store.modality(SPEC, "ops")
    crt = store.state / "modalities/ops/ops.crt"
    before = crt.read_bytes()
    clock.forward(days=390)
    store.renew(SPEC, force=True)
    assert store.init(SPEC) == ()
    assert crt.read_bytes() == before


def test_a_good_one_is_replaced_by_force_only(store: Store, clock: Clock) -> None:
    store.modality(SPEC, "ops")
    before = (store.state / "modalities/ops/ops.crt").read_bytes()
    with pytest.raises(Refused, match="good for more than 30 days") as caught:
        store.modality(SPEC, "ops")
    assert "--force" in caught.value.hint
    assert (store.state / "modalities/ops/ops.crt").read_bytes() == before
    store.modality(SPEC, "ops", force=True)
    after = (store.state / "modalities/ops/ops.crt").read_bytes()
    assert after != before
    clock.forward(days=368)
    store.modality(SPEC, "ops")
    assert (store.state / "modalities/ops/ops.crt").read_bytes() != after


def test_one_that_does_not_fit_any_more_needs_no_force(store: Store) -> None:
    store.modality(SPEC, "ops")
    moved = small_spec(archive=MOVED)
    store.modality(moved, "ops")
    assert shown(store, archive=MOVED).sans == ("192.0.2.3",)


def test_elsewhere_the_key_is_there_only_and_the_state_still_knows(store: Store, out: Path) -> None:
    store.modality(SPEC, "ops")
    store.modality(SPEC, "ops", out=out, force=True)
    kept = store.state / "modalities/ops"
    assert listed(out) == NAMES
    assert listed(kept) == ["dicom-ca.crt", "ops.crt"]
    assert (kept / "ops.crt").read_bytes() == (out / "ops.crt").read_bytes()
    assert out.stat().st_mode & 0o777 == 0o700
    assert (out / "ops.key").stat().st_mode & 0o777 == 0o600
    assert shown(store).state is State.OK
    with pytest.raises(Refused, match="good for more than 30 days"):
        store.modality(SPEC, "ops", out=out)


def test_the_state_folder_itself_may_be_named(store: Store) -> None:
    own = store.state / "modalities/ops"
    store.modality(SPEC, "ops", out=own)
    assert listed(own) == NAMES


@pytest.mark.parametrize("mode", [0o777, 0o1777, 0o770, 0o722])
def test_not_into_a_folder_where_others_write(store: Store, out: Path, mode: int) -> None:
    out.mkdir()
    out.chmod(mode)
    with pytest.raises(Refused, match="others may write"):
        store.modality(SPEC, "ops", out=out)
    assert listed(out) == []


def test_not_through_a_file(store: Store, out: Path) -> None:
    out.touch()
    with pytest.raises(Refused, match="cannot be made"):
        store.modality(SPEC, "ops", out=out)


@pytest.mark.parametrize("names", [["ops.key"], ["ops.crt"], ["ops.crt", "ops.key"]])
def test_strange_files_stay_unless_forced(store: Store, out: Path, names: list[str]) -> None:
    store.modality(SPEC, "ops", out=out / "first")
    key = ca.new_key()
    authority = ca.new_authority("other", key, Clock()())
    content = {"ops.key": ca.key_pem(key), "ops.crt": ca.certificate_pem([authority.certificate])}
    for name in names:
        files.write(out / name, content[name], files.PRIVATE)
    with pytest.raises(Refused):
        store.modality(SPEC, "ops", out=out)
    (store.state / "modalities/ops/ops.crt").unlink()
    with pytest.raises(Refused, match="not ours"):
        store.modality(SPEC, "ops", out=out)
    assert {name: (out / name).read_bytes() for name in names} == {name: content[name] for name in names}
    store.modality(SPEC, "ops", out=out, force=True)
    assert shown(store).state is State.OK


def test_a_link_is_replaced_and_not_followed(store: Store, out: Path, tmp_path: Path) -> None:
    out.mkdir(mode=0o700)
    victim = tmp_path / "victim"
    victim.write_text("mine")
    (out / "dicom-ca.crt").symlink_to(victim)
    store.modality(SPEC, "ops", out=out)
    assert victim.read_text() == "mine"
    assert not (out / "dicom-ca.crt").is_symlink()


def test_only_a_modality_of_the_spec(store: Store) -> None:
    for name in ("ct1", "../ops", "wit1"):
        with pytest.raises(UsageError, match="no modality"):
            store.modality(SPEC, name)
    assert not (store.state / "modalities").exists()


def test_without_the_key_of_the_ca_nothing_is_made(store: Store) -> None:
    (store.state / "ca/dicom.key").unlink()
    with pytest.raises(Refused, match=r"dicom\.key is missing"):
        store.modality(SPEC, "ops")


def test_a_replacement_of_the_ca_waits_for_modalities(store: Store) -> None:
    store.modality(SPEC, "ops")
    store.replace_authority(SPEC, "start", DICOM_CA)
    assert shown(store).state is State.OK
    store.replace_authority(SPEC, "switch", DICOM_CA)
    assert shown(store).state is State.OLD_CA
    with pytest.raises(Refused, match="not all signed") as caught:
        store.replace_authority(SPEC, "finish", DICOM_CA)
    assert "hactl pki modality ops" in json.dumps(caught.value.vetoes)
    store.modality(SPEC, "ops")
    given = (store.state / "modalities/ops/dicom-ca.crt").read_bytes()
    assert given.count(b"BEGIN CERTIFICATE") == 2
    store.replace_authority(SPEC, "finish", DICOM_CA)
    assert shown(store).state is State.OK
