from __future__ import annotations

import base64
import hmac

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hactl.errors import Refused
from hactl.pki.known_hosts import HostKey, host_name, lookup, pin, unpin

BLOB = "AAAAC3NzaC1lZDI1NTE5AAAAIOMqqnkVzrm0SdG6UOoqKLsabgH5C9okWi0dh2l9GKJl"  # github.com's, published
KEY = HostKey("ssh-ed25519", BLOB)
OTHER = HostKey("ssh-ed25519", base64.b64encode(b"other").decode())
RSA = HostKey("ssh-rsa", base64.b64encode(b"rsa").decode())


def test_fingerprint_is_what_openssh_prints() -> None:
    assert KEY.fingerprint == "SHA256:+DiY3wvvV6TuJJhbpZisF/zLDA0zPMSvHdkr4UvCOqU"


def test_pin_and_find_again() -> None:
    text = pin("", "192.0.2.11", 22, KEY)
    assert text == f"192.0.2.11 ssh-ed25519 {BLOB}\n"
    assert lookup(text, "192.0.2.11", 22) == (KEY,)
    assert lookup(text, "192.0.2.1", 22) == ()
    assert lookup(text, "192.0.2.11", 2222) == ()


def test_other_ports_are_written_as_openssh_does() -> None:
    assert host_name("192.0.2.11", 2222) == "[192.0.2.11]:2222"
    assert lookup(pin("", "192.0.2.11", 2222, KEY), "192.0.2.11", 2222) == (KEY,)


def test_pinning_twice_changes_nothing() -> None:
    text = pin("", "192.0.2.11", 22, KEY)
    assert pin(text, "192.0.2.11", 22, KEY) == text


@pytest.mark.parametrize("offered", [OTHER, RSA], ids=["same kind", "another kind"])
def test_a_changed_key_is_refused_with_both_fingerprints(offered: HostKey) -> None:
    with pytest.raises(Refused, match="changed") as caught:
        pin(pin("", "192.0.2.11", 22, KEY), "192.0.2.11", 22, offered)
    assert KEY.fingerprint in caught.value.message
    assert offered.fingerprint in caught.value.message


def test_a_file_without_a_last_newline_is_not_glued() -> None:
    assert pin("# mine", "192.0.2.11", 22, KEY) == f"# mine\n192.0.2.11 ssh-ed25519 {BLOB}\n"


def test_hashed_names_are_understood() -> None:
    salt = b"0123456789abcdefghij"
    digest = hmac.digest(salt, b"192.0.2.11", "sha1")
    name = f"|1|{base64.b64encode(salt).decode()}|{base64.b64encode(digest).decode()}"
    text = f"{name} ssh-ed25519 {BLOB}\n"
    assert lookup(text, "192.0.2.11", 22) == (KEY,)
    assert lookup(text, "192.0.2.12", 22) == ()
    assert unpin(text, "192.0.2.11", 22) == ""


def test_comments_markers_and_rubbish_are_left_alone() -> None:
    lines = [
        "# a comment",
        f"@revoked 192.0.2.11 ssh-ed25519 {BLOB}",
        "192.0.2.11 short",
        "192.0.2.11 ssh-rsa !!!",
        "192.0.2.11 ssh-rsa schlüssel",
        f"|1|x|y ssh-rsa {BLOB}",
    ]
    text = "".join(f"{line}\n" for line in lines)
    assert lookup(text, "192.0.2.11", 22) == ()
    assert unpin(text, "192.0.2.11", 22) == text


def test_unpin_keeps_the_others_of_a_shared_line() -> None:
    text = f"db1,192.0.2.11 ssh-ed25519 {BLOB}\n192.0.2.12 ssh-ed25519 {BLOB}\n"
    assert unpin(text, "192.0.2.11", 22) == f"db1 ssh-ed25519 {BLOB}\n192.0.2.12 ssh-ed25519 {BLOB}\n"


ADDRESSES = st.ip_addresses(v=4).map(str)
PORTS = st.integers(1, 65535)
KEYS = st.binary(min_size=1, max_size=40).map(lambda b: HostKey("ssh-ed25519", base64.b64encode(b).decode()))


@given(st.dictionaries(st.tuples(ADDRESSES, PORTS), KEYS, max_size=8))
def test_each_server_finds_its_own_key_and_unpin_takes_only_one(pins: dict[tuple[str, int], HostKey]) -> None:
    text = ""
    for (address, port), key in pins.items():
        text = pin(text, address, port, key)
    for (address, port), key in pins.items():
        assert lookup(text, address, port) == (key,)
        without = unpin(text, address, port)
        assert lookup(without, address, port) == ()
        assert len(without.splitlines()) == len(pins) - 1


@given(st.text(max_size=200))
def test_any_text_is_read_without_a_traceback(text: str) -> None:
    lookup(text, "192.0.2.11", 22)
    unpin(text, "192.0.2.11", 22)
