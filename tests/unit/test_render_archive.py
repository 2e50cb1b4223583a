"""What the archive nodes and the witness get, setting by setting; the reasons stand in docs/archive.md."""

from __future__ import annotations

import json
import re
from typing import Any
from urllib.parse import parse_qs, urlsplit

import pytest
import yaml

from hactl import layout
from hactl.render import archive_checks, nginx, orthanc, prometheus
from hactl.render.secrets import RenderSecrets
from hactl.render.targets import RenderedFile
from hactl.spec.model import ClusterSpec
from tests.support.archive_pair import SECRETS, sample

RENDERERS = (orthanc.render, nginx.render, archive_checks.render, prometheus.render)


def files(spec: ClusterSpec, node: str, secrets: RenderSecrets = SECRETS) -> dict[str, RenderedFile]:
    found = [f for renderer in RENDERERS for f in renderer(spec, secrets) if f.node == node]
    assert len({f.path for f in found}) == len(found)
    return {f.path: f for f in found}


def config(spec: ClusterSpec, node: str = "arc1", secrets: RenderSecrets = SECRETS) -> dict[str, Any]:
    loaded: dict[str, Any] = json.loads(files(spec, node, secrets)[str(layout.ORTHANC_CONFIG)].content)
    return loaded


def changed(**archive: Any) -> ClusterSpec:
    spec = sample()
    return spec.model_copy(update={"archive": spec.archive.model_copy(update=archive)})


def with_parameters(**parameters: Any) -> ClusterSpec:
    spec = sample()
    return spec.model_copy(update={"database": spec.database.model_copy(update={"parameters": parameters})})


@pytest.mark.parametrize(
    ("setting", "value"),
    [
        ("SaveJobs", False),
        ("StorageCompression", False),
        ("MaximumStorageSize", 0),
        ("MaximumPatientCount", 0),
        ("StoreMD5ForAttachments", True),
        ("SyncStorageArea", True),
        ("AuthenticationEnabled", True),
        ("RemoteAccessAllowed", False),
        ("SslEnabled", False),
        ("ExecuteLuaEnabled", False),
        ("RestApiWriteToFileSystemEnabled", False),
        ("WebDavEnabled", False),
        ("DicomTlsEnabled", True),
        ("DicomTlsRemoteCertificateRequired", True),
        ("DicomCheckCalledAet", True),
        ("DicomCheckModalityHost", True),
        ("DicomAlwaysAllowEcho", False),
        ("DicomAlwaysAllowStore", False),
        ("DicomAlwaysAllowFind", False),
        ("DicomAlwaysAllowGet", False),
        ("DicomAlwaysAllowMove", False),
        ("DicomModalitiesInDatabase", False),
    ],
)
def test_settings_that_a_pair_needs(setting: str, value: object) -> None:
    assert config(sample())[setting] == value


def test_two_writers_differ_in_their_name_only() -> None:
    one, two = (config(sample(), node) for node in ("arc1", "arc2"))
    assert one["PostgreSQL"]["Lock"] is False
    assert one["DatabaseServerIdentifier"] != two["DatabaseServerIdentifier"]
    assert json.dumps(one).replace("arc1", "arc2") == json.dumps(two)


def test_every_wait_for_the_database_has_an_end() -> None:
    uri = urlsplit(config(sample())["PostgreSQL"]["ConnectionUri"])
    options = {k: v[0] for k, v in parse_qs(uri.query).items()}
    assert uri.netloc == "orthanc@192.0.2.100:5432"
    assert (options["sslmode"], options["channel_binding"]) == ("verify-full", "require")
    assert options["target_session_attrs"] == "read-write"
    idle, interval, count = (int(options[f"keepalives_{part}"]) for part in ("idle", "interval", "count"))
    assert idle + interval * count <= 5
    assert int(options["tcp_user_timeout"]) <= 5000
    assert int(options["connect_timeout"]) <= 3


def test_retries_outlast_a_failover() -> None:
    plugin = config(sample())["PostgreSQL"]
    assert plugin["MaximumConnectionRetries"] * plugin["ConnectionRetryInterval"] >= 60
    assert plugin["ConnectionRetryInterval"] == 1


@pytest.mark.parametrize(
    ("parameters", "connections"),
    [({"max_connections": 200}, 12), ({}, 12), ({"max_connections": "60"}, 10), ({"max_connections": 20}, 2)],
)
def test_index_connections_leave_a_reserve(parameters: dict[str, Any], connections: int) -> None:
    assert orthanc.index_connections(with_parameters(**parameters)) == connections


def test_modalities_come_from_the_spec() -> None:
    modalities = config(sample())["DicomModalities"]
    assert modalities["ops"] == {"AET": "HACTL", "Host": "192.0.2.2", "Port": 11112, "UseDicomTls": True}
    assert modalities["HACTL-PROBE"]["Host"] == "127.0.0.1"
    echo = modalities["HACTL-ECHO-wit1"]
    assert (echo["AET"], echo["Host"]) == ("HACTLECHO3", "192.0.2.13")
    assert {k for k, v in echo.items() if v is True} == {"UseDicomTls", "AllowEcho"}


def test_a_modality_may_take_the_probe_title() -> None:
    taken = sample().archive.modalities["ops"].model_copy(update={"aet": orthanc.PROBE_AET})
    assert "HACTL-PROBE" not in config(changed(modalities={"ops": taken}))["DicomModalities"]
    taken = taken.model_copy(update={"aet": "HACTLECHO2"})
    found = set(config(changed(modalities={"ops": taken}))["DicomModalities"])
    assert found == {"ops", "HACTL-PROBE", "HACTL-ECHO-db1", "HACTL-ECHO-wit1"}


def test_no_password_in_a_file_for_everybody() -> None:
    for node in sample().nodes:
        for file in files(sample(), node).values():
            holds = any(secret in file.content for secret in SECRETS.values()) or "Basic " in file.content
            assert not (holds and file.mode in {"0644", "0755"}), file.path
            assert file.secret or not holds, file.path


def test_the_password_file_is_orthancs_own() -> None:
    pgpass = files(sample(), "arc1")[str(layout.ORTHANC_PGPASS)]
    assert (pgpass.mode, pgpass.owner) == ("0600", "orthanc")
    assert pgpass.content == "192.0.2.100:5432:orthanc:orthanc:app\\:p\\\\w/%\n"


def test_nginx_says_who_it_is_and_proxies_to_the_loopback() -> None:
    text = files(sample(), "arc2")[str(layout.NGINX_CONFIG)].content
    assert """return 200 '{"node": "arc2"}\\n';""" in text
    assert "ssl_protocols TLSv1.2 TLSv1.3;" in text
    assert set(re.findall(r"proxy_pass (\S+);", text)) == {"http://orthanc"}
    assert re.findall(r"server (127\S+)", text) == ["127.0.0.1:8042"]


def test_prometheus_scrapes_every_node_with_mutual_tls() -> None:
    found = yaml.safe_load(files(sample(), "wit1")[str(layout.PROMETHEUS_CONFIG)].content)
    jobs = {job["job_name"]: job for job in found["scrape_configs"]}
    labels = {name: [t["labels"] for t in job["static_configs"]] for name, job in jobs.items()}
    # A controller's own name has a label of its own: `node` is whom its metrics speak of.
    assert [each["controller"] for each in labels.pop("hactl")] == ["db1", "db2", "wit1"]
    assert {name: [each["node"] for each in found] for name, found in labels.items()} == {
        "patroni": ["db1", "db2"],
        "etcd": ["db1", "db2", "wit1"],
        "orthanc": ["arc1", "arc2"],
        "prometheus": ["wit1"],
        "alertmanager": ["wit1"],
    }
    loopback = jobs.pop("alertmanager")["static_configs"]
    assert loopback == [{"targets": ["127.0.0.1:9093"], "labels": {"node": "wit1"}}]
    assert {job["scheme"] for job in jobs.values()} == {"https"}
    assert all(job["tls_config"]["cert_file"].endswith("prometheus.crt") for job in jobs.values())


def test_files_lie_only_where_they_belong() -> None:
    assert not files(sample(), "db1")
    assert {f.component for f in files(sample(), "wit1").values()} == {"prometheus"}
    assert {f.component for f in files(sample(), "arc1").values()} == {"orthanc", "nginx", "keepalived"}
