from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from hactl.errors import LockHeld, Refused, UsageError
from hactl.pki import ca, files
from hactl.pki.due import State
from hactl.pki.known_hosts import HostKey
from hactl.pki.store import Store
from hactl.pki.uses import DICOM_CA, certificates
from tests.support.pki import Clock, age, ready, sample_spec, small_spec, snapshot, states

KEY = HostKey("ssh-ed25519", "AAAA")
OTHER = HostKey("ssh-ed25519", "BBBB")
WITNESS = (
    "dicom",
    "etcd-peer",
    "etcd-server",
    "hactl",
    "hactl-spare",
    "metrics",
    "prometheus",
    "prometheus-web",
)


# init


def test_every_file_and_folder_has_its_mode(tmp_path: Path, clock: Clock) -> None:
    store = ready(tmp_path, clock, small=False)
    public = {".crt", ".pub"}
    for path in (store.state, *store.state.rglob("*")):
        mode = path.stat().st_mode & 0o7777
        want = 0o700 if path.is_dir() else 0o644 if path.suffix in public else 0o600
        assert mode == want, f"{path} has {mode:04o}"


def test_the_folder_looks_as_the_others_expect(tmp_path: Path, clock: Clock) -> None:
    store = ready(tmp_path, clock, small=False)
    wanted = {
        f"certs/{c.node}/{c.use}.{half}" for c in certificates(sample_spec()) for half in ("crt", "key")
    }
    fixed = {
        "ca/ca.crt",
        "ca/ca.key",
        "ca/dicom.crt",
        "tls-check/expired.pem",
        "tls-check/dicom-expired.pem",
        "ca/dicom.key",
        "secrets.json",
        "pgpass",
        "ssh/id_ed25519",
        "ssh/id_ed25519.pub",
        ".lock",
    }
    assert set(snapshot(store.state)) == wanted | fixed
    assert {i.state for i in store.show(sample_spec())} == {State.OK}


def test_a_second_init_changes_nothing(store: Store) -> None:
    before = snapshot(store.state)
    assert store.init(small_spec()) == ()
    assert snapshot(store.state) == before


def test_a_new_node_gets_its_certificates_and_the_others_keep_theirs(tmp_path: Path, clock: Clock) -> None:
    store = ready(tmp_path, clock, small=False)
    before = snapshot(store.state)
    nodes = {
        **sample_spec().model_dump(mode="json")["nodes"],
        "wit2": {"address": "192.0.2.14", "roles": ["witness"]},
    }
    made = store.init(sample_spec(nodes=nodes))
    assert {m.path.name for m in made} == {f"{use}.crt" for use in WITNESS}
    assert {m.path.parent.name for m in made} == {"wit2"}
    after = snapshot(store.state)
    assert {n: after[n] for n in before} == before


def test_a_moved_vip_re_issues_only_who_may_hold_it(tmp_path: Path, clock: Clock) -> None:
    store = ready(tmp_path, clock, small=False)
    vips = {
        "database": {"address": "192.0.2.110/24", "interface": "host0"},
        "archive": {"address": "192.0.2.101/24", "interface": "host0"},
    }
    made = [m for m in store.init(sample_spec(vips=vips)) if m.path != store.pgpass]
    assert {(m.path.parent.name, m.path.stem) for m in made} == {
        (node, use)
        for node in ("db1", "db2")
        for use in ("etcd-peer", "etcd-server", "patroni", "postgres", "metrics", "dicom")
    }
    assert all(m.why == "lacks 192.0.2.110, still names 192.0.2.100" for m in made)
    assert store.init(sample_spec(vips=vips)) == ()


def test_a_moved_node_is_re_issued(store: Store) -> None:
    moved = {"wit1": {"address": "192.0.2.14", "roles": ["witness"]}}
    assert {m.path.stem for m in store.init(small_spec(nodes=moved))} == {
        "dicom",
        "etcd-peer",
        "etcd-server",
        "metrics",
        "prometheus-web",
    }


def test_a_renamed_database_renames_the_role_in_secrets_and_pgpass(store: Store) -> None:
    before = store.secrets()
    made = store.init(small_spec(database={"name": "images"}))
    assert {m.path.name for m in made} == {"secrets.json", "pgpass"}
    assert store.secrets().scram["images"] == before.scram["orthanc"]
    assert ":images:" in store.pgpass.read_text()


def test_a_certificate_that_is_still_good_for_ten_days_is_left_to_renew(store: Store, clock: Clock) -> None:
    clock.forward(days=387)
    assert store.init(small_spec()) == ()
    clock.forward(days=11)
    assert {m.path.suffix for m in store.init(small_spec())} == {".crt"}


def test_another_clusters_folder_is_refused_and_untouched(store: Store) -> None:
    before = snapshot(store.state)
    with pytest.raises(Refused, match="belongs to another cluster"):
        store.init(small_spec(cluster="other"))
    with pytest.raises(Refused, match="belongs to another cluster"):
        store.show(small_spec(cluster="dem"))
    assert snapshot(store.state) == before


def test_lost_public_halves_come_back(store: Store) -> None:
    public = store.ssh_key.with_suffix(".pub")
    old_public, old_ca = public.read_bytes(), store.authority.signer()
    public.unlink()
    store.ca.unlink()
    store.init(small_spec())
    assert public.read_bytes() == old_public
    assert store.authority.signer().subject == old_ca.subject  # the same key: what it signed is still good
    assert states(store) == {State.OK}


@pytest.mark.parametrize(
    "damage", [Path.unlink, lambda p: p.write_bytes(b"x"), lambda p: p.write_bytes(ca.key_pem(ca.new_key()))]
)
def test_a_lost_or_foreign_key_means_a_new_pair(store: Store, damage: Callable[[Path], None]) -> None:
    damage(store.state / "certs/ops/ops.key")
    assert State.BROKEN in states(store)
    with pytest.raises(Refused):
        store.cert("ops", "ops")
    assert [m.path.name for m in store.init(small_spec())] == ["ops.crt"]
    assert states(store) == {State.OK}


def test_a_damaged_certificate_means_a_new_pair(store: Store) -> None:
    (store.state / "certs/ops/ops.crt").write_bytes(b"-----BEGIN CERTIFICATE-----\nrubbish")
    assert [m.path.name for m in store.init(small_spec())] == ["ops.crt"]


def test_a_state_of_before_gains_the_dicom_ca_and_nothing_else(tmp_path: Path, clock: Clock) -> None:
    store, spec = ready(tmp_path, clock, small=False), sample_spec()
    age(store, spec)
    before = snapshot(store.state)
    found = {(i.node, i.use): i.state for i in store.show(spec) if not i.fine}
    new = {("arc1", "orthanc"), ("arc2", "orthanc"), ("ops", "ops-dicom")}
    new |= {(node, "dicom") for node in spec.nodes}
    assert found == {("-", "dicom-ca"): State.MISSING, **dict.fromkeys(new, State.OLD_CA)}
    with pytest.raises(Refused, match="no hactl DICOM CA") as caught:
        store.renew(spec)
    assert caught.value.hint == "hactl pki init"
    made = store.init(spec)
    assert made[0].path == store.dicom_ca
    assert made[1].path.name == "dicom-expired.pem"
    assert {(m.path.parent.name, m.path.stem) for m in made[2:]} == new
    after = snapshot(store.state)
    changed = {name for name, content in after.items() if before.get(name) != content}
    pairs = {f"certs/{node}/{use}.{half}" for node, use in new for half in ("crt", "key")}
    assert changed == {"ca/dicom.crt", "ca/dicom.key", "tls-check/dicom-expired.pem", *pairs}
    assert {i.state for i in store.show(spec)} == {State.OK}
    assert store.init(spec) == ()


def test_the_dicom_ca_of_another_cluster_is_refused(store: Store) -> None:
    authority = ca.new_authority("other", ca.new_key(), Clock()(), DICOM_CA)
    files.write(store.dicom_ca, ca.certificate_pem([authority.certificate]), files.PUBLIC)
    files.write(store.state / "ca/dicom.key", ca.key_pem(authority.key), files.PRIVATE)
    with pytest.raises(Refused, match="another cluster"):
        store.init(small_spec())


# too open


@pytest.mark.parametrize(
    "name", ["secrets.json", "pgpass", "ca/ca.key", "ca/dicom.key", "ssh/id_ed25519", "certs/ops/ops.key"]
)
@pytest.mark.parametrize("mode", [0o644, 0o640, 0o604])
def test_init_refuses_every_private_file_that_is_open(store: Store, name: str, mode: int) -> None:
    (store.state / name).chmod(mode)
    with pytest.raises(Refused, match=f"{name} is open to others"):
        store.init(small_spec())


def test_readers_refuse_what_is_open(store: Store) -> None:
    store.secrets_file.chmod(0o644)
    with pytest.raises(Refused, match="open to others"):
        store.secrets()
    (store.state / "certs/wit1/hactl.key").chmod(0o640)
    with pytest.raises(Refused, match="open to others"):
        store.cert("wit1", "hactl")
    with pytest.raises(Refused, match="open to others"):
        store.show(small_spec())


def test_an_open_folder_stops_everything(store: Store) -> None:
    store.state.chmod(0o755)
    calls: tuple[Callable[[], object], ...] = (
        store.secrets,
        lambda: store.cert("ops", "ops"),
        lambda: store.show(small_spec()),
        lambda: store.init(small_spec()),
        lambda: store.renew(small_spec(), dry_run=True),
        lambda: store.trust("192.0.2.13", 22, KEY),
    )
    for call in calls:
        with pytest.raises(Refused, match="open to others"):
            call()


def test_before_init_everything_says_so(tmp_path: Path) -> None:
    empty = Store(tmp_path / "state")
    for call in (empty.secrets, lambda: empty.show(small_spec()), lambda: empty.renew(small_spec())):
        with pytest.raises(Refused) as caught:
            call()
        assert caught.value.hint == "hactl pki init"
    assert not empty.state.exists()


# show, renew


def test_show_has_everything_and_the_ca(store: Store) -> None:
    found = {(i.node, i.use) for i in store.show(small_spec())}
    assert found == {(c.node, c.use) for c in certificates(small_spec())} | {("-", "ca"), ("-", "dicom-ca")}


def test_show_marks_what_the_spec_no_longer_has(store: Store) -> None:
    other = {"wit2": {"address": "192.0.2.14", "roles": ["witness"]}}
    found = {(i.node, i.use): i for i in store.show(small_spec(nodes=other))}
    assert found["wit1", "etcd-peer"].state is State.UNUSED
    assert found["wit2", "etcd-peer"].state is State.MISSING


def test_renew_takes_what_is_due(store: Store, clock: Clock) -> None:
    assert store.renew(small_spec()) == ()
    clock.forward(days=366)
    before = store.cert("ops", "ops")[0].read_bytes()
    assert all(i.state is State.OK for i in store.show(small_spec()))
    clock.forward(days=1)
    due = store.renew(small_spec(), dry_run=True)
    assert {i.use for i in due} == {c.use for c in certificates(small_spec())} - {"hactl-spare"}
    assert store.cert("ops", "ops")[0].read_bytes() == before
    assert {i.state for i in store.renew(small_spec())} == {State.EXPIRING}
    assert states(store) == {State.OK}
    clock.forward(days=183)
    assert [i.use for i in store.renew(small_spec())] == ["hactl-spare"], (
        "never with the one it stands in for"
    )


def test_renew_makes_a_new_key_and_a_matching_pair(store: Store) -> None:
    crt, key = store.cert("ops", "ops")
    old = key.read_bytes()
    [info] = store.renew(small_spec(), uses=["ops"], force=True)
    assert (info.node, info.use) == ("ops", "ops")
    assert key.read_bytes() != old
    certificate = ca.load_certificates(crt.read_bytes(), "c")[0]
    assert ca.belongs(certificate, ca.load_leaf_key(key.read_bytes(), "k"))
    assert f"{certificate.serial_number:x}" != info.serial


def test_renew_is_limited_to_what_is_named(store: Store) -> None:
    before = snapshot(store.state)
    store.renew(small_spec(), nodes=["wit1"], uses=["etcd-peer"], force=True)
    after = snapshot(store.state)
    changed = {n for n in after if after[n] != before.get(n)}
    assert changed == {"certs/wit1/etcd-peer.crt", "certs/wit1/etcd-peer.key"}


@pytest.mark.parametrize(("nodes", "uses"), [(["db9"], []), ([], ["web"])])
def test_strangers_are_named(store: Store, nodes: list[str], uses: list[str]) -> None:
    with pytest.raises(UsageError, match=r"no (node db9|use web)"):
        store.renew(small_spec(), nodes=nodes, uses=uses)


def test_the_cas_key_may_be_kept_elsewhere(store: Store, tmp_path: Path) -> None:
    away = store.authority.key.rename(tmp_path / "safe.key")
    assert store.init(small_spec()) == ()
    assert states(store) == {State.OK}
    with pytest.raises(Refused, match=r"ca\.key is missing"):
        store.renew(small_spec(), force=True)
    away.rename(store.authority.key)
    assert store.renew(small_spec(), force=True)


def test_writers_exclude_each_other_and_readers_do_not_wait(store: Store) -> None:
    with files.locked(store.state):
        with pytest.raises(LockHeld):
            store.renew(small_spec())
        store.show(small_spec())
        store.cert("ops", "ops")
        store.secrets()


# known_hosts


def test_trust_pins_and_refuses_a_change(store: Store) -> None:
    assert not store.is_trusted("192.0.2.13", 22, KEY)
    store.trust("192.0.2.13", 22, KEY)
    assert store.is_trusted("192.0.2.13", 22, KEY)
    assert store.known_hosts.read_text() == "192.0.2.13 ssh-ed25519 AAAA\n"
    with pytest.raises(Refused, match="changed"):
        store.is_trusted("192.0.2.13", 22, OTHER)
    with pytest.raises(Refused, match="changed"):
        store.trust("192.0.2.13", 22, OTHER)
    assert store.is_trusted("192.0.2.13", 22, KEY)


def test_trust_replaces_only_on_demand(store: Store) -> None:
    store.trust("192.0.2.13", 22, KEY)
    assert not store.is_trusted("192.0.2.13", 22, OTHER, replace=True)
    store.trust("192.0.2.13", 22, OTHER, replace=True)
    assert store.known_hosts.read_text() == "192.0.2.13 ssh-ed25519 BBBB\n"


def test_ssh_public_key_is_one_line(store: Store) -> None:
    assert store.ssh_public_key().startswith("ssh-ed25519 ")
    assert "\n" not in store.ssh_public_key()
