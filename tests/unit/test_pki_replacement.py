from __future__ import annotations

from pathlib import Path

import pytest

from hactl.errors import Refused
from hactl.pki import ca, files
from hactl.pki.due import State
from hactl.pki.store import Store
from hactl.pki.uses import CLUSTER_CA, DICOM_CA, certificates
from tests.support.pki import Clock, database_spec, ready, small_spec, snapshot, states


def test_a_ca_is_replaced_in_three_steps(store: Store) -> None:
    spec = small_spec()
    [old] = store.authority.bundle()
    store.replace_authority(spec, "start")
    assert store.authority.signer() == old
    assert len(store.authority.bundle()) == 2
    assert states(store) == {State.OK}
    issued = store.replace_authority(spec, "switch")
    assert {i.state for i in issued} == {State.OLD_CA}
    assert [i.use for i in issued] == [c.use for c in certificates(spec) if c.ca is CLUSTER_CA]
    new = store.authority.signer()
    assert new != old
    assert store.authority.bundle() == (new, old)
    store.replace_authority(spec, "finish")
    assert store.authority.bundle() == (new,)
    assert states(store) == {State.OK}
    assert not store.authority.next_key.exists()


@pytest.mark.parametrize(
    "steps", [["switch"], ["finish"], ["start", "start"], ["start", "finish"], ["start", "switch", "start"]]
)
def test_steps_out_of_turn_are_refused(store: Store, steps: list[str]) -> None:
    *before, last = steps
    for step in before:
        store.replace_authority(small_spec(), step)
    with pytest.raises(Refused):
        store.replace_authority(small_spec(), last)


def test_finish_is_refused_while_the_old_ca_is_needed(store: Store) -> None:
    store.replace_authority(small_spec(), "start")
    old = snapshot(store.state / "certs/ops")
    store.replace_authority(small_spec(), "switch")
    for name, content in old.items():
        files.write(store.state / "certs/ops" / name, content, files.PRIVATE)
    with pytest.raises(Refused, match="not all signed") as caught:
        store.replace_authority(small_spec(), "finish")
    assert caught.value.vetoes == ("ops ops: signed by another CA than the present one",)


def test_the_dicom_ca_is_replaced_alone(store: Store) -> None:
    spec, cluster, old = small_spec(), store.ca.read_bytes(), store.dicom_ca.read_bytes()
    for step, count in (("start", 2), ("switch", 2), ("finish", 1)):
        issued = store.replace_authority(spec, step, DICOM_CA)
        assert [i.use for i in issued] == (["dicom", "ops-dicom"] if step == "switch" else [])
        assert store.dicom_ca.read_bytes().count(b"BEGIN CERTIFICATE") == count
        assert states(store) == {State.OK}
    assert old not in store.dicom_ca.read_bytes()
    assert store.ca.read_bytes() == cluster
    with pytest.raises(Refused) as caught:
        store.replace_authority(spec, "switch", DICOM_CA)
    assert caught.value.hint == "hactl pki renew --dicom-ca start"


def test_a_new_node_during_a_replacement_is_signed_by_the_ca_in_force(store: Store) -> None:
    two = {
        "wit1": {"address": "192.0.2.13", "roles": ["witness"]},
        "wit2": {"address": "192.0.2.14", "roles": ["witness"]},
    }
    store.replace_authority(small_spec(), "start")
    store.init(small_spec(nodes=two))
    assert states(store, nodes=two) == {State.OK}


def test_patroni_gets_a_certificate_with_each_change_of_trust(tmp_path: Path, clock: Clock) -> None:
    """Its REST API would not notice the change otherwise; each is signed by a CA that all trust."""
    store, spec = ready(tmp_path, clock, small=False), database_spec()
    [old] = store.authority.bundle()
    names = {("db1", "patroni"), ("db2", "patroni")}
    for step, signer in (("start", old), ("switch", None), ("finish", None)):
        before = {name: store.cert(*name)[0].read_bytes() for name in names}
        issued = store.replace_authority(spec, step)
        assert {(i.node, i.use) for i in issued} >= names
        for name in names:
            pem = store.cert(*name)[0].read_bytes()
            assert pem != before[name]
            assert ca.signed_by(ca.load_certificates(pem, "c")[0], signer or store.authority.signer())
