from __future__ import annotations

import base64
import getpass
import grp
import json
import os
import sys
from pathlib import Path
from typing import Any

import pytest

from hactl.deploy.bundle import pack
from hactl.render.targets import RenderedFile
from tests.support import ansible_modules
from tests.support.rendered import rendered, sample, secrets

SECRETS = secrets(sample())
MODULE = ansible_modules.load("hactl_files")
ME = getpass.getuser()
MY_GROUP = grp.getgrgid(os.getgid()).gr_name


def wanted(path: Path, content: str = "new\n", **more: Any) -> dict[str, Any]:
    plain = {"mode": "0640", "owner": ME, "group": MY_GROUP, "validate": None, "secret": False}
    return {"path": str(path), "content": content, **plain, **more}


def names(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir())


def install(*files: dict[str, Any], check: bool = False, **more: Any) -> dict[str, Any]:
    bundle = {"folders": [], "files": list(files), "manifest": None, "mask": [], **more}
    return ansible_modules.run(MODULE, {"bundle": pack(bundle)}, check=check)


def test_a_new_file_gets_content_and_rights(tmp_path: Path) -> None:
    place = tmp_path / "a" / "b.conf"
    result = install(wanted(place))
    assert result["changed"]
    assert result["written"] == [str(place)]
    assert place.read_text() == "new\n"
    assert place.stat().st_mode & 0o7777 == 0o640


def test_a_second_time_nothing_changes(tmp_path: Path) -> None:
    place = tmp_path / "b.conf"
    install(wanted(place))
    before = place.stat()
    result = install(wanted(place))
    assert not result["changed"]
    assert place.stat().st_ino == before.st_ino


def test_rights_alone_are_a_change(tmp_path: Path) -> None:
    place = tmp_path / "b.conf"
    install(wanted(place))
    assert install(wanted(place, mode="0600"))["changed"]
    assert place.stat().st_mode & 0o7777 == 0o600


def test_check_mode_shows_the_difference_and_writes_nothing(tmp_path: Path) -> None:
    place = tmp_path / "b.conf"
    place.write_text("old\n")
    result = install(wanted(place), check=True)
    assert result["changed"]
    assert result["diff"][0]["before"] == "old\n"
    assert result["diff"][0]["after"] == "new\n"
    assert place.read_text() == "old\n"
    assert names(tmp_path) == ["b.conf"]


def test_check_mode_does_not_need_users_that_a_package_will_bring(tmp_path: Path) -> None:
    result = install(wanted(tmp_path / "x", owner="nobody-has-this-name"), check=True)
    assert result["changed"]
    assert "failed" not in result


def test_a_missing_owner_is_named(tmp_path: Path) -> None:
    result = install(wanted(tmp_path / "x", owner="nobody-has-this-name"))
    assert result["failed"]
    assert "nobody-has-this-name" in result["msg"]
    assert names(tmp_path) == []


def test_what_does_not_pass_its_validation_is_not_installed_and_nothing_else_either(tmp_path: Path) -> None:
    good, bad = tmp_path / "good", tmp_path / "bad"
    good.write_text("old\n")
    bad.write_text("old\n")
    refuse = [sys.executable, "-c", "import sys; sys.exit(f'line 7 of {sys.argv[1]}')", "%s"]
    result = install(wanted(good), wanted(bad, validate=refuse))
    assert result["failed"]
    assert f"line 7 of {bad}" in result["msg"]
    assert (good.read_text(), bad.read_text()) == ("old\n", "old\n")
    assert names(tmp_path) == ["bad", "good"]


def test_the_validator_sees_the_new_content_with_its_name(tmp_path: Path) -> None:
    look = [
        sys.executable,
        "-c",
        "import sys; p = sys.argv[1]; sys.exit(not (open(p).read() == 'new\\n' and p.endswith('.conf')))",
        "%s",
    ]
    assert "failed" not in install(wanted(tmp_path / "x.conf", validate=look))


def test_a_missing_validator_is_said(tmp_path: Path) -> None:
    result = install(wanted(tmp_path / "x", validate=["/nonexistent/checker", "%s"]))
    assert result["failed"]
    assert "/nonexistent/checker" in result["msg"]


def test_secrets_are_masked_in_the_difference_also_old_ones(tmp_path: Path) -> None:
    place = tmp_path / "x"
    place.write_text("password: outdated\nport: 1\n")
    result = install(wanted(place, "password: fresh\nport: 2\n", secret=True), mask=["fresh"])
    shown = json.dumps(result["diff"])
    assert "fresh" not in shown
    assert "outdated" not in shown
    assert "port: 2" in shown


@pytest.mark.parametrize("file", [f for f in rendered() if f.secret], ids=lambda f: f"{f.node}:{f.path}")
def test_a_rendered_file_shows_no_secret_the_present_one_or_the_one_before(
    file: RenderedFile, tmp_path: Path
) -> None:
    mask = list(SECRETS.values())
    place = tmp_path / Path(file.path).name
    old, hidden = file.content, [*mask, *(base64.b64encode(f"hactl_ops:{s}".encode()).decode() for s in mask)]
    for value in hidden:
        old = old.replace(value, value.swapcase())
    place.write_text(old + "added\n")
    shown = json.dumps(install(wanted(place, file.content, secret=True), check=True, mask=mask)["diff"])
    assert ("added" in shown) == (place.name != "bmc")  # all of that one is the password
    assert not [v for v in hidden if v in shown or v.swapcase() in shown]


def test_a_private_key_is_never_shown(tmp_path: Path) -> None:
    result = install(wanted(tmp_path / "x.key", "-----BEGIN", secret=True))
    assert "BEGIN" not in json.dumps(result["diff"])


def test_a_link_is_replaced_not_followed(tmp_path: Path) -> None:
    other, place = tmp_path / "other", tmp_path / "x"
    other.write_text("mine\n")
    place.symlink_to(other)
    assert install(wanted(place))["changed"]
    assert other.read_text() == "mine\n"
    assert not place.is_symlink()


def test_folders_get_their_rights(tmp_path: Path) -> None:
    folder = {"path": str(tmp_path / "f"), "mode": "0700", "owner": ME, "group": MY_GROUP}
    assert install(folders=[folder])["folders"] == [folder["path"]]
    assert not install(folders=[folder])["changed"]
    assert (tmp_path / "f").stat().st_mode & 0o7777 == 0o700


def test_what_only_the_old_manifest_names_is_removed(tmp_path: Path) -> None:
    gone, kept, manifest = tmp_path / "gone", tmp_path / "kept", tmp_path / "manifest.json"
    for path in (gone, kept):
        path.write_text("x")
    manifest.write_text(json.dumps({"files": [{"path": str(gone)}, {"path": str(kept)}]}))
    new = json.dumps({"files": [{"path": str(kept)}]})
    result = install(wanted(manifest, new), manifest=str(manifest))
    assert result["removed"] == [str(gone)]
    assert (gone.exists(), kept.exists()) == (False, True)


@pytest.mark.parametrize("damaged", ["", "[]", "{", '{"files": 3}'])
def test_a_damaged_manifest_removes_nothing(tmp_path: Path, damaged: str) -> None:
    manifest = tmp_path / "manifest.json"
    manifest.write_text(damaged)
    result = install(wanted(manifest, '{"files": []}'), manifest=str(manifest))
    assert result["removed"] == []
    assert "failed" not in result
