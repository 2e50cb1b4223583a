from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hactl.errors import Refused
from hactl.pki import pgpass, secrets
from tests.support.pki import sample_spec


def generated() -> dict[str, Any]:
    return secrets.generate(None, "orthanc")


def test_everything_is_generated_once() -> None:
    first = generated()
    assert secrets.generate(first, "orthanc") == first
    assert len(set(first["passwords"].values())) == len(secrets.PASSWORDS) == 9
    assert len(set(first["scram_salts"].values())) == 5
    assert generated() != first


@given(st.sets(st.sampled_from(secrets.PASSWORDS)), st.sets(st.sampled_from(["app", "monitor", "probe"])))
def test_what_is_missing_is_added_and_nothing_else_changes(passwords: set[str], salts: set[str]) -> None:
    before = generated()
    kept = json.loads(json.dumps(before))
    for name in passwords:
        del kept["passwords"][name]
    for name in salts:
        del kept["scram_salts"][name]
    after = secrets.generate(kept, "orthanc")
    for part, lost in (("passwords", passwords), ("scram_salts", salts)):
        assert after[part].keys() == before[part].keys()
        assert {n for n, v in after[part].items() if v != before[part][n]} == lost


def test_bmc_password_fits_ipmi() -> None:
    assert len(generated()["passwords"]["bmc"]) == 16


def test_passwords_need_no_quoting_and_look_like_no_option() -> None:
    for _ in range(50):
        for password in generated()["passwords"].values():
            assert password.isascii()
            assert password.isalnum()
            assert password[0].isalpha()


def test_verifiers_are_deterministic_and_go_by_role_name() -> None:
    content = secrets.generate(None, "images")
    one, two = secrets.build(content, "s"), secrets.build(content, "s")
    assert one == two
    assert set(one.scram) == {"replicator", "rewind", "images", "hactl_monitor", "hactl_probe"}
    assert all(v.startswith("SCRAM-SHA-256$4096:") for v in one.scram.values())


def test_a_renamed_application_role_keeps_its_password() -> None:
    before = generated()
    after = secrets.generate(before, "images")
    assert after["passwords"] == before["passwords"]
    old, new = secrets.build(before, "s"), secrets.build(after, "s")
    assert new.scram["images"] == old.scram["orthanc"]


def test_secrets_do_not_show_themselves() -> None:
    content = generated()
    built = secrets.build(content, "s")
    shown = f"{built} {built!r} {built.app} {built.app!r} {built.app!s} {[built.bmc]} {vars(built)['rewind']}"
    assert not any(p in shown for p in content["passwords"].values())
    assert not any(v in shown for v in built.scram.values())


@pytest.mark.parametrize(
    "raw",
    [b"", b"[]", b"{}", b'{"version": 2}', b'{"version": 1}', b"\xff\xfe",
     b'{"version": 1, "passwords": {"app": 1}, "scram_salts": {}, "app_role": "x"}',
     b'{"version": 1, "passwords": {}, "scram_salts": {}}'],
)  # fmt: skip
def test_a_broken_file_is_one_sentence(raw: bytes) -> None:
    with pytest.raises(Refused, match=r"secrets\.json"):
        secrets.parse(raw, "secrets.json")


def test_a_broken_file_does_not_leak_into_the_sentence() -> None:
    with pytest.raises(Refused) as caught:
        secrets.parse(b'{"passwords": {"app": "hunter2hunter2"', "secrets.json")
    assert "hunter2" not in f"{caught.value!r} {caught.value.__cause__!r}"
    assert caught.value.__suppress_context__


@given(st.binary(max_size=200))
def test_any_bytes_give_content_or_a_refusal(raw: bytes) -> None:
    with pytest.raises(Refused):
        secrets.parse(raw, "secrets.json")


@pytest.mark.parametrize("bad", ["", "naïve", "two\nlines"])
def test_a_password_edited_into_something_unusable_is_refused(bad: str) -> None:
    content = generated()
    content["passwords"]["app"] = bad
    with pytest.raises(Refused, match="app has a bad salt, or a password"):
        secrets.build(content, "secrets.json")


def test_a_missing_password_names_itself_and_the_way_out() -> None:
    content = generated()
    del content["passwords"]["bmc"]
    with pytest.raises(Refused, match="lacks bmc") as caught:
        secrets.build(content, "secrets.json")
    assert caught.value.hint == "hactl pki init"


def test_dump_and_parse_are_inverse() -> None:
    content = generated()
    assert secrets.parse(secrets.dump(content), "s") == content


def test_pgpass_has_vip_first_and_all_roles() -> None:
    content = generated()
    built = secrets.build(content, "s")
    lines = pgpass.text(sample_spec(), content["passwords"]).splitlines()
    assert lines[0] == f"192.0.2.100:5432:*:orthanc:{built.app.value}"
    assert {tuple(line.split(":")[:4]) for line in lines} == {
        (host, "5432", "*", role)
        for host in ("192.0.2.100", "192.0.2.11", "192.0.2.12")
        for role in ("orthanc", "hactl_monitor", "hactl_probe")
    }


def test_pgpass_escapes_what_libpq_would_split_at() -> None:
    assert pgpass.line("::1", "a", "x:y\\z") == "\\:\\:1:5432:*:a:x\\:y\\\\z\n"
