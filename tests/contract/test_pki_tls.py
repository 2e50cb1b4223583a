"""What hactl issues, judged by others: openssl verify, OpenSSL's handshake, ssh-keygen."""

from __future__ import annotations

import ssl
from pathlib import Path

import pytest

from hactl.adapters.command import run
from hactl.pki import sshkey
from hactl.pki.store import Store
from hactl.pki.uses import CertSpec, certificates
from tests.support.pki import ask, client_context, initialised, sample_spec, server_context, tls_server

CERTS = certificates(sample_spec())
SERVERS = [c for c in CERTS if c.sans and c.node in {"db1", "wit1", "arc1"}]
CLIENTS = [c for c in CERTS if c.client and c.node in {"db1", "wit1", "arc1", "ops"}]


def name(cert: CertSpec) -> str:
    return f"{cert.node}-{cert.use}"


@pytest.fixture(scope="module")
def store(tmp_path_factory: pytest.TempPathFactory) -> Store:
    return initialised(tmp_path_factory.mktemp("ours"))


@pytest.fixture(scope="module")
def foreign(tmp_path_factory: pytest.TempPathFactory) -> Store:
    """The same spec, another CA: what an attacker, or a second cluster of the same name, would have."""
    return initialised(tmp_path_factory.mktemp("foreign"))


def verify(ca: Path, cert: Path, *options: str) -> str:
    argv = ["openssl", "verify", "-x509_strict", "-check_ss_sig", "-CAfile", str(ca), *options, str(cert)]
    return run(argv, within=20, check=False).out.strip()


@pytest.mark.parametrize("cert", CERTS, ids=name)
def test_openssl_verifies_each_certificate_for_its_purposes(store: Store, cert: CertSpec) -> None:
    crt, _ = store.cert(cert.node, cert.use)
    for wanted, purpose in ((cert.server, "sslserver"), (cert.client, "sslclient")):
        verdict = verify(store.ca, crt, "-purpose", purpose)
        assert (verdict == f"{crt}: OK") is wanted, verdict


@pytest.mark.parametrize("cert", SERVERS, ids=name)
def test_openssl_finds_each_name_and_no_other(store: Store, cert: CertSpec) -> None:
    crt, _ = store.cert(cert.node, cert.use)
    for san in cert.sans:
        option = "-verify_ip" if san[0].isdigit() else "-verify_hostname"
        assert verify(store.ca, crt, option, san) == f"{crt}: OK"
    assert verify(store.ca, crt, "-verify_ip", "192.0.2.200") != f"{crt}: OK"


def test_openssl_refuses_a_foreign_ca(store: Store, foreign: Store) -> None:
    crt, _ = foreign.cert("db1", "postgres")
    assert verify(store.ca, crt) != f"{crt}: OK"


def test_the_ca_and_the_keys_are_what_the_documentation_says(store: Store) -> None:
    ca = run(["openssl", "x509", "-in", str(store.ca), "-noout", "-text"], within=20).out
    assert "CA:TRUE, pathlen:0" in ca
    assert "prime256v1" in ca
    leaf = run(
        ["openssl", "x509", "-in", str(store.cert("arc1", "orthanc")[0]), "-noout", "-text"], within=20
    ).out
    assert "Public-Key: (3072 bit)" in leaf


@pytest.mark.parametrize("cert", SERVERS, ids=name)
def test_handshake_by_every_name(store: Store, cert: CertSpec) -> None:
    with tls_server(server_context(store, cert.node, cert.use)) as port:
        for san in cert.sans:
            assert ask(port, client_context(store, store.cert("ops", "ops")), san) == "ops"


def test_a_name_that_is_not_in_the_certificate_is_refused(store: Store) -> None:
    with (
        tls_server(server_context(store, "db1", "patroni")) as port,
        pytest.raises(ssl.SSLCertVerificationError, match="IP address mismatch"),
    ):
        ask(port, client_context(store, store.cert("ops", "ops")), "192.0.2.12")


@pytest.mark.parametrize("cert", CLIENTS, ids=name)
def test_every_client_is_let_in_and_known_by_its_cn(store: Store, cert: CertSpec) -> None:
    with tls_server(server_context(store, "db1", "patroni")) as port:
        assert ask(port, client_context(store, store.cert(cert.node, cert.use)), "192.0.2.100") == cert.cn


def test_a_server_only_certificate_is_no_client(store: Store) -> None:
    with (
        tls_server(server_context(store, "db1", "patroni")) as port,
        pytest.raises(OSError, match=r"certificate|reset|closed"),
    ):
        ask(port, client_context(store, store.cert("db1", "postgres")), "db1")


def test_a_client_without_a_certificate_is_refused(store: Store) -> None:
    with (
        tls_server(server_context(store, "db1", "patroni")) as port,
        pytest.raises(OSError, match=r"certificate|reset|closed"),
    ):
        ask(port, client_context(store), "db1")


def test_a_client_of_a_foreign_ca_is_refused(store: Store, foreign: Store) -> None:
    with (
        tls_server(server_context(store, "db1", "patroni")) as port,
        pytest.raises(OSError, match=r"unknown ca|reset|closed"),
    ):
        ask(port, client_context(store, foreign.cert("ops", "ops")), "db1")


def test_a_server_of_a_foreign_ca_is_refused(store: Store, foreign: Store) -> None:
    with (
        tls_server(server_context(foreign, "db1", "patroni")) as port,
        pytest.raises(ssl.SSLCertVerificationError),
    ):
        ask(port, client_context(store, store.cert("ops", "ops")), "db1")


def test_at_no_step_of_a_ca_replacement_two_nodes_refuse_each_other(tmp_path: Path) -> None:
    """One node has deployed the step, the other still has the files of before: both directions work."""
    spec = sample_spec(nodes={"wit1": {"address": "192.0.2.13", "roles": ["witness"]}})
    store = initialised(tmp_path, spec)
    for step in ("start", "switch", "finish"):
        old = (server_context(store, "wit1", "etcd-server"), client_context(store, store.cert("ops", "ops")))
        store.replace_authority(spec, step)
        new = (server_context(store, "wit1", "etcd-server"), client_context(store, store.cert("ops", "ops")))
        for server, client in ((old[0], new[1]), (new[0], old[1]), new):
            with tls_server(server) as port:
                assert ask(port, client, "192.0.2.13") == "ops", step
    assert len(store.authority.bundle()) == 1


def test_ssh_keygen_reads_the_key(tmp_path: Path, store: Store) -> None:
    public = run(["ssh-keygen", "-y", "-f", str(store.ssh_key)], within=20).out.split()
    assert public[:2] == store.ssh_public_key().split()[:2]
    key = sshkey.generate("demo")
    (tmp_path / "k.pub").write_bytes(key.public)
    assert "(ED25519)" in run(["ssh-keygen", "-l", "-f", str(tmp_path / "k.pub")], within=20).out
