from __future__ import annotations

import copy
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from hactl.decide.lint import access
from hactl.decide.lint.model import Setting
from hactl.decide.lint.rules import NODES_RULES, RULES, lint, reference
from hactl.render.orthanc import RESERVED_CONNECTIONS, configuration
from hactl.view.orthanc_config import OrthancConfig
from hactl.view.parse.orthanc_config import floor_of, merged, parse_config, parse_version
from tests.support import rendered

ROOT = Path(__file__).resolve().parents[2]
SETTING = Setting(max_connections=200, reserve=RESERVED_CONNECTIONS)
Values = dict[str, Any]


def own(node: str = "arc1", **around: Any) -> OrthancConfig:
    spec = rendered.sample()
    values = configuration(spec, node, rendered.secrets(spec))
    return OrthancConfig(node, copy.deepcopy(values), **{"mode": 0o640, "tls_floor": True, **around})


def codes(*configs: OrthancConfig, setting: Setting = SETTING) -> list[str]:
    return [f.rule.code for f in lint(configs, setting)]


def test_what_hactl_renders_has_no_finding() -> None:
    assert codes(own("arc1"), own("arc2")) == []


def test_the_rendered_floor_is_one() -> None:
    assert floor_of(rendered.content("arc1", "/etc/orthanc-hactl/openssl.cnf"))


def put(path: str, value: Any) -> Callable[[Values], None]:
    def change(values: Values) -> None:
        *above, last = path.split(".")
        for part in above:
            values = values[part]
        values[last] = value

    return change


def drop(path: str) -> Callable[[Values], None]:
    def change(values: Values) -> None:
        *above, last = path.split(".")
        for part in above:
            values = values[part]
        del values[last]

    return change


def in_uri(old: str, new: str) -> Callable[[Values], None]:
    def change(values: Values) -> None:
        uri = values["PostgreSQL"]["ConnectionUri"]
        assert old in uri
        values["PostgreSQL"]["ConnectionUri"] = uri.replace(old, new)

    return change


CASES: list[tuple[str, Callable[[Values], None]]] = [
    ("INDEX_NOT_SHARED", put("PostgreSQL.EnableIndex", False)),
    ("INDEX_NOT_SHARED", drop("PostgreSQL")),
    ("INDEX_NO_URI", drop("PostgreSQL.ConnectionUri")),
    ("INDEX_NO_KEEPALIVE", in_uri("keepalives_idle=2&", "")),
    ("INDEX_NO_KEEPALIVE", in_uri("keepalives=1&", "keepalives=0&")),
    ("INDEX_NO_KEEPALIVE", in_uri("keepalives_count=3", "keepalives_count=90")),
    ("INDEX_NO_KEEPALIVE", in_uri("tcp_user_timeout=5000", "tcp_user_timeout=0")),
    ("INDEX_NO_KEEPALIVE", in_uri("tcp_user_timeout=5000", "tcp_user_timeout=900000")),
    ("INDEX_NO_CONNECT_TIMEOUT", in_uri("connect_timeout=3&", "")),
    ("INDEX_NO_CONNECT_TIMEOUT", in_uri("connect_timeout=3", "connect_timeout=120")),
    ("INDEX_ANY_SESSION", in_uri("target_session_attrs=read-write", "target_session_attrs=any")),
    ("INDEX_UNVERIFIED", in_uri("sslmode=verify-full", "sslmode=require")),
    ("INDEX_LOCK", put("PostgreSQL.Lock", True)),
    ("INDEX_LOCK", drop("PostgreSQL.Lock")),
    ("INDEX_RETRIES_SHORT", put("PostgreSQL.MaximumConnectionRetries", 10)),
    ("INDEX_RETRIES_SLOW", put("PostgreSQL.ConnectionRetryInterval", 5)),
    ("INDEX_ONE_CONNECTION", put("PostgreSQL.IndexConnectionsCount", 1)),
    ("INDEX_ONE_CONNECTION", drop("PostgreSQL.IndexConnectionsCount")),
    ("INDEX_CONNECTIONS_SUM", put("PostgreSQL.IndexConnectionsCount", 160)),
    ("JOBS_SHARED", drop("SaveJobs")),
    ("SERVER_ID_UNSET", drop("DatabaseServerIdentifier")),
    ("MD5_OFF", put("StoreMD5ForAttachments", False)),
    ("STORAGE_COMPRESSED", put("StorageCompression", True)),
    ("STORAGE_RECYCLES", put("MaximumStorageSize", 1000)),
    ("STORAGE_RECYCLES", put("MaximumPatientCount", 7)),
    ("STORAGE_OVERWRITES", put("OverwriteInstances", True)),
    ("STORAGE_NOT_SYNCED", put("SyncStorageArea", False)),
    ("DICOM_FEW_THREADS", put("DicomThreadsCount", 0)),
    ("DICOM_OPEN_READ", put("DicomAlwaysAllowFind", True)),
    ("DICOM_OPEN_READ", put("DicomAlwaysAllowFindWorklist", True)),
    ("DICOM_OPEN_READ", put("DicomAlwaysAllowGet", True)),
    ("DICOM_OPEN_READ", put("DicomAlwaysAllowMove", True)),
    ("DICOM_OPEN_STORE", drop("DicomAlwaysAllowStore")),
    ("DICOM_ANY_HOST", drop("DicomCheckModalityHost")),
    ("DICOM_ANY_CALLED", drop("DicomCheckCalledAet")),
    ("DICOM_LIST_BY_REST", put("DicomModalitiesInDatabase", True)),
    ("DICOM_NO_TLS", put("DicomTlsEnabled", False)),
    ("DICOM_TLS_FILES", drop("DicomTlsPrivateKey")),
    ("DICOM_TLS_ANY_CLIENT", put("DicomTlsRemoteCertificateRequired", False)),
    ("HTTP_NO_PASSWORD", put("AuthenticationEnabled", False)),
    ("HTTP_NO_PASSWORD", drop("AuthenticationEnabled")),
    ("HTTP_DEFAULT_USER", put("RegisteredUsers", {})),
    ("HTTP_DEFAULT_USER", put("RegisteredUsers", {"alice": "alicePassword"})),
    ("HTTP_DEFAULT_USER", put("RegisteredUsers", {"pacs": "pacs"})),
    ("HTTP_DEFAULT_USER", put("RegisteredUsers", {"pacs": access.SAME_AS_NAME})),
    ("HTTPS_BY_ORTHANC", put("SslEnabled", True)),
    ("HTTP_REMOTE", put("RemoteAccessAllowed", True)),
    ("HTTP_LUA", put("ExecuteLuaEnabled", True)),
    ("HTTP_WRITES_FILES", drop("RestApiWriteToFileSystemEnabled")),
]


@pytest.mark.parametrize(("code", "change"), CASES, ids=[f"{n}-{c[0]}" for n, c in enumerate(CASES)])
def test_each_rule_finds_what_it_is_for_and_nothing_else_does(
    code: str, change: Callable[[Values], None]
) -> None:
    config = own()
    change(config.values)  # type: ignore[arg-type]
    assert codes(config) == [code]


AROUND: list[tuple[list[str], dict[str, Any]]] = [
    (["CONFIG_READABLE"], {"mode": 0o644}),
    (["CONFIG_READABLE"], {"mode": 0o660}),
    ([], {"mode": 0o600}),
    ([], {"mode": None}),
    (["DICOM_TLS_OLD"], {"tls_floor": False}),
    (["DICOM_TLS_OLD"], {"tls_floor": None}),
    (["DICOM_TLS_OLD"], {"tls_floor": None, "version": (1, 12, 4)}),
    (["CONFIG_TWICE"], {"twice": ("Name",)}),
    (["CONFIG_REPEATED"], {"repeated": ("Name",)}),
]


@pytest.mark.parametrize(("wanted", "around"), AROUND)
def test_what_lies_around_the_file_counts(wanted: list[str], around: dict[str, Any]) -> None:
    assert codes(own(**around)) == wanted


@pytest.mark.parametrize(("level", "wanted"), [(3, ["DICOM_TLS_OLD"]), (4, []), (5, [])])
def test_a_newer_orthanc_has_a_floor_of_its_own(level: int, wanted: list[str]) -> None:
    config = own(tls_floor=False, version=(1, 12, 4))
    put("DicomTlsMinimumProtocolVersion", level)(config.values)  # type: ignore[arg-type]
    assert codes(config) == wanted


BETWEEN: list[tuple[str, Callable[[Values], None]]] = [
    ("SERVER_ID_SAME", put("DatabaseServerIdentifier", "arc1")),
    ("STORAGE_DIFFERS", put("StorageDirectory", "/srv/other")),
    ("CONFIG_DIFFERS", put("PostgreSQL.IndexConnectionsCount", 7)),
    ("CONFIG_DIFFERS", put("DicomAet", "OTHER")),
    ("INDEX_CONNECTIONS_SUM", put("PostgreSQL.IndexConnectionsCount", 148)),
]


@pytest.mark.parametrize(("code", "change"), BETWEEN)
def test_nodes_are_compared(code: str, change: Callable[[Values], None]) -> None:
    one, other = own("arc1"), own("arc2")
    change(other.values)  # type: ignore[arg-type]
    found = [f for f in lint([one, other], SETTING) if f.rule.code == code]
    assert [f.source for f in found] == ["all nodes" if code == "INDEX_CONNECTIONS_SUM" else "arc2"]


def test_every_rule_has_a_test() -> None:
    tested = {c for c, _ in (*CASES, *BETWEEN)} | {c for wanted, _ in AROUND for c in wanted}
    assert tested == {r.code for r in (*RULES, *NODES_RULES)}


def test_codes_are_unique_and_the_page_is_the_table() -> None:
    found = [r.code for r in (*RULES, *NODES_RULES)]
    assert len(found) == len(set(found))
    assert (ROOT / "docs" / "lint.md").read_text() == reference()


@pytest.mark.parametrize("value", [None, 3, "x", [], {}, True, -1, 2**70])
@pytest.mark.parametrize("path", sorted(own().values))
def test_no_value_makes_a_rule_fail(path: str, value: Any) -> None:
    config = own()
    put(path, value)(config.values)  # type: ignore[arg-type]
    lint([config, own("arc2")], SETTING)


def test_libpq_keywords_are_understood_too() -> None:
    config = own()
    words = "host=192.0.2.100 sslmode='verify-full' target_session_attrs = read-write connect_timeout=3"
    words += " keepalives_idle=2 keepalives_interval=1 keepalives_count=3 tcp_user_timeout=5000"
    put("PostgreSQL.ConnectionUri", words)(config.values)  # type: ignore[arg-type]
    assert codes(config) == []


COMMENTED = """// first
{
  "Name" : "a//b /* no comment */", /* of two
  lines */
  "Port" : 4, // four
  "List" : [ 1, 2, ],
  "Where" : "${PLACE:-/srv}", "Kept": "${NONE}",
}
and whatever follows
"""


def test_comments_commas_and_variables() -> None:
    values, repeated = parse_config(COMMENTED)
    assert values == {
        "Name": "a//b /* no comment */", "Port": 4, "List": [1, 2], "Where": "/srv", "Kept": "${NONE}",
    }  # fmt: skip
    assert repeated == ()


@pytest.mark.parametrize(
    ("text", "said"),
    [("[1]", "not an object"), ('{"a": NaN}', "NaN"), ('{\n"a": 1 # x\n}', "line 2"), ("", "line 1")],
)
def test_what_orthanc_does_not_read(text: str, said: str) -> None:
    with pytest.raises(ValueError, match=said):
        parse_config(text)


def test_files_of_a_folder_are_one_configuration() -> None:
    found = merged(
        "/etc/orthanc", {"a.json": '{"Name": "x", "Name": "y"}', "b.json": '{"Name": "z", "B": 1}'}
    )
    assert (found.twice, found.repeated, found.values["B"]) == (("Name",), ("Name",), 1)


def test_versions() -> None:
    assert parse_version("1.12.4") == (1, 12, 4)
    assert parse_version("mainline") > (1, 12, 4)
    with pytest.raises(ValueError, match="version"):
        parse_version("newest")


def test_a_file_with_everything_on_one_line_is_json_still() -> None:
    assert parse_config(json.dumps(own().values))[0] == own().values
