"""Parsers against answers recorded from real servers (tests/support/record.py), and against garbage."""

from __future__ import annotations

import base64
import contextlib
import json
from collections.abc import Iterator
from pathlib import Path

import pytest

from hactl.units import Bytes
from hactl.view.control import Dcs
from hactl.view.keys import Keys
from hactl.view.kv import RangesReply
from hactl.view.model import DbRole
from hactl.view.parse import etcd, orthanc, patroni
from hactl.view.parse.control import parse_look
from hactl.view.parse.etcd_kv import parse_range
from hactl.view.parse.facts import parse_facts

SAMPLES = Path(__file__).resolve().parents[1] / "samples"


def sample(name: str) -> bytes:
    return (SAMPLES / f"{name}.json").read_bytes()


def test_a_primary_says_so_and_names_who_streams_from_it() -> None:
    said = patroni.parse_itself(sample("patroni/patroni-healthy-leader"))
    other = {"db1": "db2", "db2": "db1"}[said.name]
    assert said.serves_writes
    assert (said.role, said.state, said.timeline) == (DbRole.PRIMARY, "running", 1)
    assert said.streams_to == (other,)
    assert said.lsn is not None
    assert said.server_version is not None
    assert said.server_version >= 150000


def test_a_synchronous_standby_is_a_standby() -> None:
    said = patroni.parse_itself(sample("patroni/patroni-healthy-sync-standby"))
    assert (said.role, said.sync, said.replication_state) == (DbRole.STANDBY, True, "streaming")
    assert not said.serves_writes


def test_after_a_failover_the_timeline_is_the_next() -> None:
    said = patroni.parse_itself(sample("patroni/patroni-after-failover-leader"))
    assert (said.timeline, said.streams_to) == (2, ())


def test_a_primary_without_etcd_has_become_a_standby_that_follows_nobody() -> None:
    said = patroni.parse_itself(sample("patroni/patroni-no-quorum-demoted"))
    assert (said.role, said.replication_state) == (DbRole.STANDBY, "")


def test_the_cluster_has_one_leader_and_one_synchronous_standby() -> None:
    members = patroni.parse_cluster(sample("patroni/cluster-healthy-leader")).members
    assert sorted((m.role, m.state, m.leader, m.sync, m.lag) for m in members) == [
        (DbRole.PRIMARY, "running", True, False, None),
        (DbRole.STANDBY, "streaming", False, True, Bytes(0)),
    ]


def test_a_lag_that_patroni_does_not_know_is_none() -> None:
    body = json.dumps(
        {"members": [{"name": "db2", "role": "replica", "state": "starting", "lag": "unknown"}]}
    )
    assert patroni.parse_cluster(body.encode()).members[0].lag is None


def test_a_pause_is_seen_by_both_answers() -> None:
    own = json.loads(sample("patroni/patroni-healthy-leader")) | {"pause": True}
    all_ = json.loads(sample("patroni/cluster-healthy-leader")) | {"pause": True}
    assert patroni.parse_itself(json.dumps(own).encode()).paused
    assert patroni.parse_cluster(json.dumps(all_).encode()).paused


def test_data_without_a_system_identifier_are_no_whole_data() -> None:
    own = json.loads(sample("patroni/patroni-healthy-sync-standby"))
    assert patroni.parse_itself(json.dumps(own).encode()).identified
    del own["database_system_identifier"]
    assert not patroni.parse_itself(json.dumps(own).encode()).identified


def test_the_dynamic_configuration_is_an_object() -> None:
    assert patroni.parse_config(sample("patroni/config-healthy-leader"))["synchronous_mode"] is True


def test_etcd_with_a_majority_names_its_leader() -> None:
    status = etcd.parse_status(sample("etcd/status-healthy"))
    members = etcd.parse_members(sample("etcd/members-healthy"))
    assert status.leader_id in {m.member_id for m in members}
    assert {m.name for m in members} == {"db1", "db2", "wit1"}
    assert status.errors == ()
    assert status.db_size > Bytes(0)


def test_etcd_without_a_majority_answers_for_itself_without_a_leader() -> None:
    status = etcd.parse_status(sample("etcd/status-no-quorum"))
    assert (status.leader_id, status.errors) == ("", ("etcdserver: no leader",))


def keys_of(body: bytes) -> Dcs:
    reply = parse_range(body)
    return parse_look(Keys("demo"), RangesReply(reply.revision, (reply.pairs,)))


def test_patronis_keys_name_leader_and_synchronous_standby() -> None:
    keys = keys_of(sample("etcd/keys-healthy"))
    assert keys.patroni.leader is not None
    assert {keys.patroni.leader.node, *keys.patroni.sync_standbys} == {"db1", "db2"}
    assert keys.revision > 0


def test_no_keys_mean_no_leader() -> None:
    keys = keys_of(b'{"header":{"revision":"1"}}')
    assert (keys.patroni.leader, keys.patroni.sync_standbys, keys.active) == (None, (), None)


def test_a_quorum_of_synchronous_standbys_is_a_list() -> None:
    def b64(text: str) -> str:
        return base64.b64encode(text.encode()).decode()

    value = b64('{"leader":"db1","sync_standby":"db2,db3"}')
    body = {"header": {"revision": "7"}, "kvs": [{"key": b64("/service/demo/sync"), "value": value}]}
    assert keys_of(json.dumps(body).encode()).patroni.sync_standbys == ("db2", "db3")


def test_when_a_standby_last_replayed_is_a_moment() -> None:
    standby = patroni.parse_itself(sample("patroni/patroni-healthy-sync-standby"))
    assert standby.replayed_at is not None
    assert abs(standby.replayed_at - 1795324973) < 1
    assert patroni.parse_itself(sample("patroni/patroni-healthy-leader")).replayed_at is None


def test_orthanc_says_its_version_and_its_last_change() -> None:
    assert orthanc.parse_system(sample("orthanc/system")).startswith("1.")
    assert orthanc.parse_last_change(sample("orthanc/changes-empty")) == 0


def test_a_nodes_facts_are_read() -> None:
    facts = parse_facts(sample("facts/database-node"), now=1795325000.0)
    assert "192.0.2.11" in facts.addresses
    assert facts.units == {
        "etcd.service": "active",
        "patroni.service": "failed",
        "keepalived.service": "not-found",
    }
    assert [d.path for d in facts.disks] == ["/"]
    assert facts.clock_offset == pytest.approx(1.5)


PARSERS = {
    "patroni/patroni-healthy-leader": patroni.parse_itself,
    "patroni/cluster-healthy-leader": patroni.parse_cluster,
    "patroni/config-healthy-leader": patroni.parse_config,
    "etcd/status-no-quorum": etcd.parse_status,
    "etcd/members-healthy": etcd.parse_members,
    "etcd/keys-healthy": keys_of,
    "orthanc/system": orthanc.parse_system,
    "orthanc/changes-empty": orthanc.parse_last_change,
    "facts/database-node": lambda body: parse_facts(body, now=0.0),
}
GARBAGE = (None, True, -1, 10**30, 1.5, "", "x", "e30=", [], [None], [[]], {}, {"a": 1})


def spoilt(value: object) -> Iterator[object]:
    """The document with each of its parts, one at a time, replaced by each kind of garbage, or left out."""
    yield from GARBAGE
    if isinstance(value, dict):
        for key, part in value.items():
            yield {k: v for k, v in value.items() if k != key}
            yield from ({**value, key: bad} for bad in spoilt(part))
    if isinstance(value, list):
        for index, part in enumerate(value):
            yield from ([*value[:index], bad, *value[index + 1 :]] for bad in spoilt(part))


@pytest.mark.parametrize("name", PARSERS)
def test_a_spoilt_answer_is_a_value_error_and_nothing_else(name: str) -> None:
    for bad in spoilt(json.loads(sample(name))):
        with contextlib.suppress(ValueError):
            PARSERS[name](json.dumps(bad).encode())


@pytest.mark.parametrize("name", PARSERS)
@pytest.mark.parametrize("body", [b"", b"\xff", b"<html>", b"[" * 100_000, b"1e999"])
def test_what_is_no_json_is_a_value_error(name: str, body: bytes) -> None:
    with pytest.raises(ValueError, match=r".+"):
        PARSERS[name](body)


def test_nginx_says_its_node() -> None:
    assert orthanc.parse_node(b'{"node": "arc1"}') == "arc1"
    with pytest.raises(ValueError, match="node"):
        orthanc.parse_node(b"[]")
