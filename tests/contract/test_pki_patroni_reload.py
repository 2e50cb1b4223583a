"""Why a CA replacement brings Patroni new certificates at each step: the real REST API on a reload."""

from __future__ import annotations

import socket
from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace

import pytest

from hactl.pki.store import Store, utc_now
from tests.support.patroni_api import RestApiHandler, RestApiServer
from tests.support.pki import Clock, client_context, database_spec, ready
from tests.support.ports import free_port

SPEC = database_spec()
Api = tuple[RestApiServer, dict[str, str]]


@pytest.fixture
def store(tmp_path: Path) -> Store:
    return ready(tmp_path, Clock(utc_now()), small=False)


@pytest.fixture
def api(store: Store, monkeypatch: pytest.MonkeyPatch) -> Iterator[Api]:
    monkeypatch.setattr(RestApiHandler, "do_GET", lambda self: self.write_response(200, "here"))
    cert, key = store.cert("db1", "patroni")
    listen = f"127.0.0.1:{free_port()}"
    config = {
        "listen": listen, "certfile": str(cert), "keyfile": str(key), "cafile": str(store.ca),
        "verify_client": "required",
    }  # fmt: skip
    server = RestApiServer(SimpleNamespace(thread_pool_size=5), config)
    server.start()
    yield server, config
    server.shutdown()
    server.server_close()


def reload(api: Api) -> None:
    """What Patroni does with its REST API on SIGHUP (patroni/__main__.py)."""
    server, config = api
    server.reload_local_certificate()
    server.reload_config(config)


def let_in(store: Store, api: Api, cert: tuple[Path, Path]) -> bool:
    host, port = api[1]["listen"].split(":")
    try:
        with (
            socket.create_connection((host, int(port)), timeout=10) as plain,
            client_context(store, cert).wrap_socket(plain, server_hostname="192.0.2.11") as tls,
        ):
            tls.sendall(b"GET / HTTP/1.0\r\n\r\n")
            return tls.recv(100).startswith(b"HTTP/1.0 200")
    except OSError:
        return False


def test_a_reload_alone_does_not_change_whom_patroni_trusts(store: Store, api: Api, tmp_path: Path) -> None:
    foreign = ready(tmp_path / "foreign", Clock(), small=False)
    ours, theirs = store.cert("ops", "ops"), foreign.cert("ops", "ops")
    store.ca.write_bytes(store.ca.read_bytes() + foreign.ca.read_bytes())
    reload(api)
    assert let_in(store, api, ours)
    assert not let_in(store, api, theirs)
    store.renew(SPEC, nodes=["db1"], uses=["patroni"], force=True)
    reload(api)
    assert let_in(store, api, ours)
    assert let_in(store, api, theirs)


def test_each_step_of_a_ca_replacement_works_with_a_reload(store: Store, api: Api) -> None:
    """Clients renewed by a step are let in before this node has it, and those of before afterwards."""
    for step in ("start", "switch", "finish"):
        old = store.cert("db2", "hactl")[0].read_bytes(), store.cert("db2", "hactl")[1].read_bytes()
        store.replace_authority(SPEC, step)
        assert let_in(store, api, store.cert("db2", "hactl")), f"{step}: a node that is ahead"
        reload(api)
        assert let_in(store, api, store.cert("db2", "hactl")), step
        behind = store.state / "behind.crt", store.state / "behind.key"
        for path, content in zip(behind, old, strict=True):
            path.write_bytes(content)
        assert let_in(store, api, behind), f"{step}: a node that is behind"
