from __future__ import annotations

import zipfile
from pathlib import Path

import pytest

from hactl.deploy import ownwheel, pins
from hactl.deploy.pins import Pin
from hactl.deploy.wheelhouse import Venv, stamp
from hactl.errors import Refused


def test_equal_files_give_an_equal_wheel(tmp_path: Path) -> None:
    (tmp_path / "a").mkdir()
    (tmp_path / "b").mkdir()
    assert ownwheel.build(tmp_path / "a").read_bytes() == ownwheel.build(tmp_path / "b").read_bytes()


def test_the_wheel_holds_the_package_and_its_data_and_no_caches(tmp_path: Path) -> None:
    names = zipfile.ZipFile(ownwheel.build(tmp_path)).namelist()
    assert "hactl/deploy/ownwheel.py" in names
    assert "hactl/_data/ansible/site.yml" in names
    assert any(name.startswith("hactl/_data/templates/") for name in names)
    assert any(name.endswith(".dist-info/entry_points.txt") for name in names)
    assert not [name for name in names if "__pycache__" in name or "_data/_data" in name]


def test_its_record_lists_every_file(tmp_path: Path) -> None:
    archive = zipfile.ZipFile(ownwheel.build(tmp_path))
    record = next(n for n in archive.namelist() if n.endswith("/RECORD"))
    listed = [line.split(",")[0] for line in archive.read(record).decode().splitlines()]
    assert sorted(listed) == sorted(archive.namelist())


def test_a_change_of_any_file_changes_the_fingerprint(monkeypatch: pytest.MonkeyPatch) -> None:
    before = ownwheel.fingerprint()
    contents = ownwheel.contents()
    monkeypatch.setattr(ownwheel, "contents", lambda: {**contents, "hactl/units.py": b"other"})
    assert ownwheel.fingerprint() != before


def test_an_environments_link_names_its_stamp() -> None:
    assert Venv("/opt/hactl", "ab12", ()).target == "/opt/hactl-venvs/hactl-ab12"


def test_the_stamp_depends_on_every_part_and_on_their_borders() -> None:
    assert len({stamp("a", "b"), stamp("ab"), stamp("b", "a"), stamp("a", "b", "")}) == 4


def test_patronis_environment_has_what_patroni_imports_for_etcd() -> None:
    names = {pin.name for pin in pins.of_patroni()}
    assert {"patroni", "python-etcd", "psycopg2-binary", "urllib3", "pyyaml"} <= names
    assert "hactl" not in names


def test_hactls_environment_has_no_tools_of_the_workstation() -> None:
    names = {pin.name for pin in pins.of_hactl()}
    assert {"pydantic", "paramiko", "pydicom"} <= names
    assert not names & {"hactl", "ansible-core", "ansible-runner", "pytest", "pyghmi"}


def test_pins_are_exact() -> None:
    assert str(Pin("patroni", "4.1.5")) == "patroni==4.1.5"


def test_a_package_that_is_not_here_is_named() -> None:
    with pytest.raises(Refused, match="no-such-package-here"):
        pins.closure(("no-such-package-here",))
