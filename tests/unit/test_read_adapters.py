"""What adapters make of replies: which statuses are answers, which mean failed, which unknown."""

from __future__ import annotations

import base64
import json

import pytest

from hactl.adapters.archive_http import ArchiveVip, OrthancHttp
from hactl.adapters.etcd import EtcdGateway
from hactl.adapters.patroni_rest import DatabaseVip, PatroniRest
from hactl.errors import Unreachable
from hactl.ports import Reply
from hactl.view.keys import Keys
from hactl.view.model import State
from tests.fakes.ports import FakeHttp, look_reply

BASE = "https://192.0.2.11:8008"
ARCHIVE = "https://192.0.2.21:443"
ITSELF = b'{"patroni": {"name": "db1"}, "role": "primary", "state": "running"}'


def test_patroni_answers_503_with_a_body_while_postgresql_is_down() -> None:
    body = b'{"patroni": {"name": "db1"}, "role": "replica", "state": "stopped"}'
    assert PatroniRest(FakeHttp({BASE + "/patroni": Reply(503, body)}), BASE).itself().state == "stopped"


@pytest.mark.parametrize("reply", [Reply(502, b""), Reply(200, b"<html>"), Reply(200, b"{}")])
def test_something_else_on_patronis_port_is_unreachable(reply: Reply) -> None:
    with pytest.raises(Unreachable):
        PatroniRest(FakeHttp({BASE + "/cluster": reply}), BASE).cluster()


def test_the_database_vip_is_held_by_whoever_answers_there() -> None:
    http = FakeHttp({BASE + "/patroni": Reply(200, ITSELF)})
    assert DatabaseVip(http, "192.0.2.11", 8008).holder() == "db1"
    assert DatabaseVip(FakeHttp(), "192.0.2.11", 8008).holder() is None


def test_the_archive_vip_is_held_by_whoever_answers_there() -> None:
    node = ARCHIVE + "/hactl/node"
    assert ArchiveVip(FakeHttp({node: Reply(200, b'{"node": "arc2"}')}), "192.0.2.21").holder() == "arc2"
    assert ArchiveVip(FakeHttp(), "192.0.2.21").holder() is None
    with pytest.raises(Unreachable, match="404"):
        ArchiveVip(FakeHttp({node: Reply(404, b"")}), "192.0.2.21").holder()


@pytest.mark.parametrize(
    ("reply", "state"),
    [
        pytest.param(Reply(200, b'{"Last": 7}'), State.OK, id="the index answers"),
        pytest.param(Reply(500, b""), State.FAILED, id="Orthanc cannot read its index"),
        pytest.param(Reply(502, b""), State.FAILED, id="nginx finds no Orthanc"),
        pytest.param(Reply(401, b""), State.UNKNOWN, id="hactl is not let in"),
        pytest.param(Reply(403, b""), State.UNKNOWN, id="nginx does not know our certificate"),
        pytest.param(Reply(200, b"<html>"), State.FAILED, id="something else answers"),
        pytest.param(None, State.FAILED, id="nothing answers"),
    ],
)
def test_level_2(reply: Reply | None, state: State) -> None:
    http = FakeHttp({ARCHIVE + "/changes?last": reply} if reply else {})
    assert OrthancHttp(http, "192.0.2.21").index().state is state


def test_keys_are_read_for_one_cluster_only_and_linearizably() -> None:
    url = "https://192.0.2.11:2379"
    http = FakeHttp({url + "/v3/kv/txn": look_reply({"/service/demo/leader": "db2"})})
    seen = EtcdGateway(http, url, Keys("demo")).keys().patroni.leader
    assert seen is not None
    assert seen.node == "db2"
    ((method, _, body),) = http.sent
    request = json.loads(body)
    assert method == "POST"
    assert request["compare"] == request["failure"] == []
    asked = [(op["request_range"]["key"], op["request_range"]["range_end"]) for op in request["success"]]
    assert [tuple(base64.b64decode(k).decode() for k in span) for span in asked] == [
        ("/hactl/demo/", "/hactl/demo/config/version/"),
        ("/hactl/demo/config/version0", "/hactl/demo/journal/"),
        ("/hactl/demo/journal0", "/hactl/demo0"),
        ("/service/demo/", "/service/demo0"),
    ]
    assert not any("serializable" in op["request_range"] for op in request["success"])
