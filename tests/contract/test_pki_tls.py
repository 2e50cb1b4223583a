"""What hactl issues, judged by others: openssl verify, OpenSSL's handshake, ssh-keygen."""

from __future__ import annotations

import ssl
from pathlib import Path

import pytest

from hactl.adapters.command import run
from hactl.drill import dicom_net
from hactl.pki import sshkey
from hactl.pki.store import Store
from hactl.pki.uses import CLUSTER_CA, DICOM_CA, CaKind, CertSpec, certificates
from hactl.site import find
from tests.support.pki import (
    ask,
    bundle,
    ca_of,
    client_context,
    initialised,
    sample_spec,
    server_context,
    tls_server,
)

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


def other(kind: CaKind) -> CaKind:
    return CLUSTER_CA if kind is DICOM_CA else DICOM_CA


def own(store: Store, kind: CaKind) -> ssl.SSLContext:
    """The workstation as a client of what a CA signed."""
    use = "ops" if kind is CLUSTER_CA else "ops-dicom"
    return client_context(store, store.cert("ops", use), ca=bundle(store, kind))


def verify(ca: Path, cert: Path, *options: str) -> str:
    argv = ["openssl", "verify", "-x509_strict", "-check_ss_sig", "-CAfile", str(ca), *options, str(cert)]
    return run(argv, within=20, check=False).out.strip()


@pytest.mark.parametrize("cert", CERTS, ids=name)
def test_openssl_verifies_each_certificate_for_its_purposes(store: Store, cert: CertSpec) -> None:
    crt, _ = store.cert(cert.node, cert.use)
    for wanted, purpose in ((cert.server, "sslserver"), (cert.client, "sslclient")):
        verdict = verify(bundle(store, cert.ca), crt, "-purpose", purpose)
        assert (verdict == f"{crt}: OK") is wanted, verdict
        assert verify(bundle(store, other(cert.ca)), crt, "-purpose", purpose) != f"{crt}: OK"


@pytest.mark.parametrize("cert", SERVERS, ids=name)
def test_openssl_finds_each_name_and_no_other(store: Store, cert: CertSpec) -> None:
    crt, _ = store.cert(cert.node, cert.use)
    for san in cert.sans:
        option = "-verify_ip" if san[0].isdigit() else "-verify_hostname"
        assert verify(bundle(store, cert.ca), crt, option, san) == f"{crt}: OK"
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
            assert ask(port, own(store, cert.ca), san) == "ops"


def test_a_name_that_is_not_in_the_certificate_is_refused(store: Store) -> None:
    with (
        tls_server(server_context(store, "db1", "patroni")) as port,
        pytest.raises(ssl.SSLCertVerificationError, match="IP address mismatch"),
    ):
        ask(port, client_context(store, store.cert("ops", "ops")), "192.0.2.12")


@pytest.mark.parametrize("cert", CLIENTS, ids=name)
def test_every_client_is_let_in_by_its_own_ca_only_and_known_by_its_cn(store: Store, cert: CertSpec) -> None:
    for node, use in (("db1", "patroni"), ("arc1", "orthanc")):
        server = ca_of(node, use)
        context = client_context(store, store.cert(cert.node, cert.use), ca=bundle(store, server))
        with tls_server(server_context(store, node, use)) as port:
            if cert.ca is server:
                assert ask(port, context, node) == cert.cn
            else:
                with pytest.raises(OSError, match=r"unknown ca|reset|closed"):
                    ask(port, context, node)


def test_a_modality_is_let_in_on_the_dicom_port_only(store: Store, tmp_path: Path) -> None:
    store.modality(sample_spec(), "ops", out=tmp_path / "stick")
    crt, key, trusted = (tmp_path / "stick" / name for name in ("ops.crt", "ops.key", "dicom-ca.crt"))
    assert verify(trusted, crt, "-purpose", "sslserver", "-verify_ip", "192.0.2.2") == f"{crt}: OK"
    assert verify(store.ca, crt) != f"{crt}: OK"
    with tls_server(server_context(store, "arc1", "orthanc")) as port:
        assert ask(port, client_context(store, (crt, key), ca=trusted), "192.0.2.101") == "HACTL"
    for node, use in (("db1", "etcd-server"), ("db1", "patroni"), ("db1", "postgres"), ("arc1", "nginx")):
        with (
            tls_server(server_context(store, node, use)) as port,
            pytest.raises(OSError, match=r"unknown ca|reset|closed"),
        ):
            ask(port, client_context(store, (crt, key)), node)


def test_the_drills_client_and_receiver_speak_by_the_dicom_ca(store: Store) -> None:
    site = find(store.state / "cluster.yaml", "demo", environ={"HACTL_STATE": str(store.state)})
    with tls_server(server_context(store, "arc1", "orthanc")) as port:
        assert ask(port, dicom_net.client_tls(site), "192.0.2.101") == "ops"
    calling_back = client_context(store, store.cert("arc1", "orthanc"), ca=store.dicom_ca)
    calling_back.check_hostname = False  # as Orthanc does
    with tls_server(dicom_net.server_tls(site)) as port:
        assert ask(port, calling_back, "192.0.2.2") == "arc1"


@pytest.mark.parametrize("kind", [CLUSTER_CA, DICOM_CA], ids=lambda kind: kind.use)
def test_a_server_of_the_other_ca_is_refused(store: Store, kind: CaKind) -> None:
    """Patroni's certificate on the DICOM port, or Orthanc's on Patroni's."""
    node, use = ("arc1", "orthanc") if kind is CLUSTER_CA else ("db1", "patroni")
    with tls_server(server_context(store, node, use)) as port, pytest.raises(ssl.SSLCertVerificationError):
        ask(port, own(store, kind), node)


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
