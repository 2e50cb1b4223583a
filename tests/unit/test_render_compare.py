from __future__ import annotations

import base64
import dataclasses
import hashlib
import json
from pathlib import Path

import pytest

from hactl import layout
from hactl.errors import Refused
from hactl.render import compare as c
from hactl.render.manifest import write
from hactl.render.targets import RenderedFile
from tests.support.rendered import files_of, rendered, sample, secrets

SECRETS = secrets(sample()).values()


def found(file: RenderedFile, **changes: str) -> c.Found:
    content = changes.pop("content", file.content)
    digest = hashlib.sha256(content.encode()).hexdigest()
    rights = {"mode": file.mode, "owner": file.owner, "group": file.group} | changes
    return c.Found(sha256=digest, content=content, **rights)


def as_rendered(node: str) -> dict[str, c.Found | None]:
    return {f.path: found(f) for f in files_of(node)}


def only(node: str, there: dict[str, c.Found | None]) -> c.Difference:
    differences = c.compare(node, rendered(), there, SECRETS)
    assert len(differences) == 1
    return differences[0]


def test_what_is_as_rendered_is_no_difference() -> None:
    assert c.compare("db1", rendered(), as_rendered("db1"), SECRETS) == ()


def test_a_missing_file_a_strange_one_and_other_rights() -> None:
    path, there = "/etc/hactl/rules.nft", as_rendered("db1")
    assert only("db1", there | {path: None}).what == "missing"
    del there[path]
    assert only("db1", there).what == "missing"
    there = as_rendered("db1")
    strange = c.Found("", "x", "0644", "root", "root")
    assert only("db1", there | {"/etc/hactl/old": strange}).what == "left over"
    assert c.compare("db1", rendered(), there | {"/etc/hactl/old": None}, SECRETS) == ()
    file = next(f for f in files_of("db1") if f.path == path)
    difference = only("db1", there | {path: found(file, mode="0666")})
    assert (difference.what, difference.diff) == ("rights", "-0666 root:root\n+0644 root:root\n")


@pytest.mark.parametrize("file", [f for f in rendered() if f.secret], ids=lambda f: f"{f.node}:{f.path}")
def test_no_secret_shows_in_a_diff_the_present_one_or_the_one_before(file: RenderedFile) -> None:
    old = file.content
    for value in SECRETS:
        old = old.replace(
            value, value.replace("Secret", "Former").replace("SCRAM-SHA-256$4096:0", "SCRAM-SHA-256$4096:9")
        )
    there = as_rendered(file.node) | {file.path: found(file, content=old + "added = yes\n")}
    difference = only(file.node, there)
    assert ("-added = yes" in difference.diff) == (file.path != str(layout.BMC))  # all of it is the password
    assert not [value for value in SECRETS if value in difference.diff]
    assert "Former" not in difference.diff
    assert "4096:9" not in difference.diff


def test_only_a_new_password_is_said_and_not_shown() -> None:
    file = next(f for f in files_of("db1") if f.path == "/etc/hactl/pgpass")
    there = as_rendered("db1") | {file.path: found(file, content=file.content.replace("Secret4", "Former4"))}
    assert only("db1", there).diff == "(only secrets differ)\n"


def test_the_dispatcher_s_answer() -> None:
    entry = {
        "sha256": "",
        "content": base64.b64encode(b"x").decode(),
        "mode": "0644",
        "owner": "root",
        "group": "root",
    }
    parsed = c.parse_files(json.dumps({"/a": entry, "/b": None, "/s": entry | {"content": None}}).encode())
    assert parsed == {
        "/a": c.Found("", "x", "0644", "root", "root"),
        "/b": None,
        "/s": c.Found("", None, "0644", "root", "root"),
    }


def test_of_a_secret_file_the_digest_is_enough() -> None:
    file = next(f for f in files_of("db1") if f.path == "/etc/hactl/pgpass")
    there = as_rendered("db1")
    assert c.compare("db1", rendered(), there | {file.path: told(found(file))}, SECRETS) == ()
    other = told(found(file, content=file.content + "more\n"))
    difference = only("db1", there | {file.path: other})
    assert (difference.what, "digest" in difference.diff) == ("differs", True)


def told(entry: c.Found) -> c.Found:
    """As a node tells of a file with secrets."""
    return dataclasses.replace(entry, content=None)


@pytest.mark.parametrize("body", [b"", b"[]", b"{", b'{"/a": 1}', b'{"/a": {"content": "*"}}', b"\xff"])
def test_another_answer_is_refused(body: bytes) -> None:
    with pytest.raises(ValueError, match=r"."):
        c.parse_files(body)


def test_passwords_are_not_written_where_others_may_put_links(tmp_path: Path) -> None:
    tmp_path.chmod(0o1777)
    with pytest.raises(Refused, match="open to all"):
        write(rendered(), tmp_path)
    assert list(tmp_path.iterdir()) == []


def test_the_written_tree_is_private_and_complete(tmp_path: Path) -> None:
    out = tmp_path / "rendered"
    (out / "db1" / "files").mkdir(parents=True)
    (out / "db1" / "files" / "stale").write_text("x")
    write(rendered(), out)
    manifest = json.loads((out / "db1" / "manifest.json").read_text())
    assert not (out / "db1" / "files" / "stale").exists()
    for entry in manifest["files"]:
        path = out / "db1" / entry["file"]
        assert path.stat().st_mode & 0o077 == 0
        assert path.read_text() == next(f.content for f in files_of("db1") if f.path == entry["path"])
    assert {e["path"] for e in manifest["files"]} == {f.path for f in files_of("db1")}
