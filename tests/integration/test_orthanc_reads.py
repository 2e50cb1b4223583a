"""The linter reads a configuration as Orthanc does: what one takes the other takes, with the same values."""

from __future__ import annotations

import json
import os
import subprocess
import time
import urllib.error
import urllib.request
from pathlib import Path

import pytest

from hactl.adapters.orthanc_config import read
from hactl.errors import UsageError
from tests.support.loopback_postgres import free_port
from tests.support.servers import program

BASE = (
    '"HttpPort": %d, "DicomServerEnabled": false, "StorageDirectory": "%s", "IndexDirectory": "%s",'
    ' "AuthenticationEnabled": false'
)
# The name that Orthanc then has; None: it does not start.
TEXTS: dict[str, tuple[str, str | None]] = {
    "comments of both kinds": ('{/* a\n */ BASE, // b\n "Name": "x//y /* z */"}', "x//y /* z */"),
    "a comma after the last entry": ('{BASE, "LuaScripts": [], "Name": "x",}', "x"),
    "a comma after the last one of a list": ('{BASE, "Dictionary": {}, "Plugins": [ ], "Name": "x",\n}', "x"),
    "a key that stands twice": ('{BASE, "Name": "x", "Name": "y"}', "y"),
    "something behind the end": ('{BASE, "Name": "x"} and more', "x"),
    "a variable with a default": ('{BASE, "Name": "${HACTL_NO_SUCH:-x y}"}', "x y"),
    "a hash is no comment": ('{BASE, "Name": "x" # y\n}', None),
    "single quotes": ("{BASE, 'Name': 'x'}", None),
    "no object": ('["x"]', None),
    "no number": ('{BASE, "StableAge": NaN}', None),
    "nothing": ("", None),
}


def orthanc_says(path: Path, port: int, folder: Path) -> str | None:
    """The name that a running Orthanc tells; None: it ended by itself."""
    with (folder / "log").open("w") as log:
        argv = [program("Orthanc", "orthanc"), str(path)]
        process = subprocess.Popen(argv, stdout=log, stderr=log, cwd=folder, env={**os.environ, "HOME": "/"})
    try:
        end = time.monotonic() + 60
        while time.monotonic() < end:
            if process.poll() is not None:
                return None
            try:
                with urllib.request.urlopen(f"http://127.0.0.1:{port}/system", timeout=2) as answer:
                    return str(json.load(answer)["Name"])
            except (urllib.error.URLError, OSError):
                time.sleep(0.1)
        raise AssertionError((folder / "log").read_text())
    finally:
        process.kill()
        process.wait(10)


@pytest.mark.parametrize("what", TEXTS)
def test_as_orthanc_does(what: str, tmp_path: Path) -> None:
    text, name = TEXTS[what]
    port = free_port()
    path = tmp_path / "orthanc.json"
    path.write_text(text.replace("BASE", BASE % (port, tmp_path / "s", tmp_path / "s")))
    assert orthanc_says(path, port, tmp_path) == name
    if name is None:
        with pytest.raises(UsageError):
            read(path)
    else:
        assert read(path).get("Name") == name


def test_a_folder_and_a_setting_in_two_of_its_files(tmp_path: Path) -> None:
    port = free_port()
    folder = tmp_path / "conf"
    (folder / "deeper").mkdir(parents=True)
    base = BASE % (port, tmp_path / "s", tmp_path / "s")
    (folder / "a.json").write_text(f"{{{base}}}")
    (folder / "b.JSON").write_text('{"Name": "both"}')
    (folder / "deeper" / "c.json").write_text('{"Name": "deeper"}')
    assert orthanc_says(folder, port, tmp_path) == read(folder).get("Name") == "both"
    (folder / "c.json").write_text('{"Name": "again"}')
    assert orthanc_says(folder, port, tmp_path) is None
    assert read(folder).twice == ("Name",)
