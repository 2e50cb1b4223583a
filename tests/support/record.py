"""Records tests/samples/{patroni,etcd,orthanc}/ from real servers on loopback.

    python -m tests.support.record

Addresses in the samples are those of the run; no test depends on them.
"""

from __future__ import annotations

import json
import os
import shutil
import tempfile
import time
import urllib.request
from pathlib import Path
from typing import Any

from hactl.adapters.http import HttpsClient
from hactl.errors import Unreachable
from hactl.view.parse.fields import document
from tests.support.servers import (
    Daemon,
    EtcdCluster,
    Loopback,
    PatroniPair,
    etcd_cluster,
    loopback,
    patroni_pair,
    program,
    wait_until,
)

SAMPLES = Path(__file__).resolve().parents[1] / "samples"
# From /service/demo/ up to, and without, /service/demo0.
RANGE = {"key": "L3NlcnZpY2UvZGVtby8=", "range_end": "L3NlcnZpY2UvZGVtbzA="}


def _save(folder: str, case: str, body: bytes) -> None:
    path = SAMPLES / folder / f"{case}.json"
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(body.rstrip() + b"\n")


def _https(net: Loopback) -> HttpsClient:
    site = net.site()
    return HttpsClient(site.ca, site.cert, site.key)


def _patroni(net: Loopback, pair: PatroniPair, case: str, *nodes: str) -> None:
    http = _https(net)
    for node in nodes or ("db1", "db2"):
        role = pair.states().get(node, ("lost", ""))[0].replace("_", "-")
        for path in ("patroni", "cluster", "config") if role == "leader" else ("patroni",):
            reply = http.send("GET", f"https://{net.address(node)}:8008/{path}", within=4)
            _save("patroni", f"{path}-{case}-{role}", reply.body)


def _etcd(net: Loopback, etcd: EtcdCluster, case: str) -> None:
    http = _https(net)
    base = etcd.endpoints["db1"]
    for name, path, request in (
        ("status", "/v3/maintenance/status", {}),
        ("members", "/v3/cluster/member/list", {}),
        ("keys", "/v3/kv/range", {**RANGE, "serializable": case == "no-quorum"}),
    ):
        reply = http.send("POST", base + path, body=json.dumps(request).encode(), within=4)
        _save("etcd", f"{name}-{case}", reply.body)


def _record_database() -> None:
    with loopback() as net, etcd_cluster(net) as etcd, patroni_pair(net) as pair:
        leader = pair.wait_streaming()
        other = "db2" if leader == "db1" else "db1"
        _patroni(net, pair, "healthy")
        _etcd(net, etcd, "healthy")
        pair.kill(leader)
        wait_until("the standby is primary", lambda: pair.leader() == other, 60)
        time.sleep(2)
        _patroni(net, pair, "after-failover", other)
        pair.members[leader].start()
        pair.wait_streaming()
        _patroni(net, pair, "rejoined")
        for name in ("db2", "wit1"):
            etcd.members[name].kill()
        time.sleep(3)
        _etcd(net, etcd, "no-quorum")
        wait_until("no primary without etcd", lambda: _role(net, other) != "primary", 40)
        reply = _https(net).send("GET", f"https://{net.address(other)}:8008/patroni", within=4)
        _save("patroni", "patroni-no-quorum-demoted", reply.body)


def _role(net: Loopback, node: str) -> Any:
    try:
        reply = _https(net).send("GET", f"https://{net.address(node)}:8008/patroni", within=4)
    except Unreachable:
        return None
    return document(reply.body, "/patroni").get("role")


def _record_orthanc() -> None:
    folder = Path(tempfile.mkdtemp(prefix="hactl-record-"))
    config = folder / "orthanc.json"
    config.write_text(json.dumps({
        "StorageDirectory": str(folder), "IndexDirectory": str(folder), "HttpPort": 18042, "DicomPort": 14242,
        "AuthenticationEnabled": False, "Plugins": [],
    }))  # fmt: skip
    orthanc = Daemon("orthanc", [program("Orthanc", "orthanc"), str(config)], folder / "log")
    orthanc.start()
    try:
        wait_until("Orthanc answers", lambda: _plain("/system") is not None, 20)
        for name, path in (("system", "/system"), ("changes-empty", "/changes?last")):
            _save("orthanc", name, _plain(path) or b"")
    finally:
        orthanc.kill()
        shutil.rmtree(folder)


def _plain(path: str) -> bytes | None:
    try:
        with urllib.request.urlopen(f"http://127.0.0.1:18042{path}", timeout=2) as reply:
            body: bytes = reply.read()
            return body
    except OSError:
        return None


if __name__ == "__main__":
    os.umask(0o022)
    _record_database()
    _record_orthanc()
