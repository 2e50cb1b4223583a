from __future__ import annotations

import shlex
from pathlib import Path
from urllib.parse import parse_qs, urlsplit

import psycopg2.extensions
import pytest

from hactl import site as sites
from hactl.errors import UsageError
from hactl.spec.dsn import FORMS, ROLES, connection
from tests.support.views import SAMPLE, demo_spec

SPEC = demo_spec()
SITE = sites.find(SAMPLE, "demo", environ={"HACTL_STATE": "/srv/state of ours"})
WANTED = {
    "host": "192.0.2.100",
    "port": "5432",
    "sslmode": "verify-full",
    "sslrootcert": "/srv/state of ours/ca/ca.crt",
    "channel_binding": "require",
    "passfile": "/srv/state of ours/pgpass",
    "target_session_attrs": "read-write",
    "connect_timeout": "3",
    "keepalives": "1",
    "keepalives_idle": "2",
    "keepalives_interval": "2",
    "keepalives_count": "3",
    "tcp_user_timeout": "3000",
}


@pytest.mark.parametrize("form", ["uri", "keyword"])
@pytest.mark.parametrize(
    ("role", "user", "database"),
    [
        ("app", "orthanc", "orthanc"),
        ("monitor", "hactl_monitor", "postgres"),
        ("probe", "hactl_probe", "hactl"),
    ],
)
def test_libpq_reads_back_what_was_meant(form: str, role: str, user: str, database: str) -> None:
    read = psycopg2.extensions.parse_dsn(connection(SPEC, SITE, role, form))
    assert read == {**WANTED, "user": user, "dbname": database}


def test_jdbc_names_the_virtual_ip_and_a_primary() -> None:
    url = connection(SPEC, SITE, "app", "jdbc")
    assert url.startswith("jdbc:postgresql://192.0.2.100:5432/orthanc?")
    query = parse_qs(urlsplit(url.removeprefix("jdbc:")).query)
    assert query["targetServerType"] == ["primary"]
    assert query["sslmode"] == ["verify-full"]
    assert query["channelBinding"] == ["require"]
    assert query["sslrootcert"] == ["/srv/state of ours/ca/ca.crt"]


@pytest.mark.parametrize("form", FORMS)
@pytest.mark.parametrize("role", ROLES)
def test_no_password_is_in_it(form: str, role: str) -> None:
    assert "password" not in connection(SPEC, SITE, role, form)


def test_a_uri_is_one_word_for_a_shell() -> None:
    uri = connection(SPEC, sites.find(Path("/x/c.yaml"), "demo", environ={"HACTL_STATE": "/s"}), "app", "uri")
    assert " " not in uri
    assert shlex.split(f'psql "{uri}"') == ["psql", uri]


def test_a_quote_in_a_path_does_not_end_the_value() -> None:
    odd = sites.find(SAMPLE, "demo", environ={"HACTL_STATE": "/srv/o'brien\\x"})
    read = psycopg2.extensions.parse_dsn(connection(SPEC, odd, "app", "keyword"))
    assert read["passfile"] == "/srv/o'brien\\x/pgpass"


@pytest.mark.parametrize(("role", "form"), [("superuser", "uri"), ("app", "odbc")])
def test_what_does_not_exist_is_refused(role: str, form: str) -> None:
    with pytest.raises(UsageError):
        connection(SPEC, SITE, role, form)
