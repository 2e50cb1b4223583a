from __future__ import annotations

import json
import os
from pathlib import Path

import pytest

from hactl.cli import context, specfile
from hactl.errors import Refused, SpecError, Unreachable, UsageError


def lab(labs: Path, name: str, netns: Path | None = None) -> Path:
    """A lab's folder; it is up when its namespace has an entry in `netns`."""
    folder = labs / name
    folder.mkdir(parents=True)
    (folder / "lab.json").write_text(json.dumps({"ops_netns": f"{name}-ops"}), encoding="utf-8")
    (folder / "cluster.yaml").touch()
    if netns:
        netns.mkdir(exist_ok=True)
        (netns / f"{name}-ops").touch()
    return folder


@pytest.fixture
def netns(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setattr(specfile, "NETNS", tmp_path / "netns")
    return tmp_path / "netns"


def locate(tmp_path: Path, chosen: str | None = None) -> Path:
    return specfile.locate(chosen, cwd=tmp_path, node_spec=tmp_path / "etc.yaml", labs=tmp_path / "labs")


def test_the_lookup_order(tmp_path: Path, netns: Path) -> None:
    folder = lab(tmp_path / "labs", "demo", netns)
    assert locate(tmp_path) == folder / "cluster.yaml"
    (tmp_path / "etc.yaml").touch()
    assert locate(tmp_path) == tmp_path / "etc.yaml"
    (tmp_path / "cluster.yaml").touch()
    assert locate(tmp_path) == tmp_path / "cluster.yaml"
    assert locate(tmp_path, "other.yaml") == Path("other.yaml")


def test_a_lab_that_is_down_is_not_found(tmp_path: Path, netns: Path) -> None:
    lab(tmp_path / "labs", "demo")
    up = lab(tmp_path / "labs", "second", netns)
    assert locate(tmp_path) == up / "cluster.yaml"


def test_no_spec_at_all(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="no spec found") as caught:
        locate(tmp_path)
    assert "hactl spec init" in caught.value.hint


def test_two_labs(tmp_path: Path, netns: Path) -> None:
    for name in ("one", "two"):
        lab(tmp_path / "labs", name, netns)
    with pytest.raises(UsageError, match=r"several labs are up \(one and two\)"):
        locate(tmp_path)


@pytest.mark.parametrize(
    "text", ["", "[]", "7", '{"ops_netns": 7}', '{"ops_netns": "../x"}', '{"ops_netns": ".."}', "{}"]
)
def test_a_lab_file_that_names_no_namespace(text: str, tmp_path: Path) -> None:
    (tmp_path / "lab.json").write_text(text, encoding="utf-8")
    assert specfile.ops_netns(tmp_path) == ""


@pytest.fixture
def spec(tmp_path: Path) -> Path:
    file = tmp_path / "cluster.yaml"
    file.write_text("cluster: demo\n", encoding="utf-8")
    return file


@pytest.mark.parametrize("mode", [0o644, 0o600, 0o640, 0o444])
def test_fit_modes(spec: Path, mode: int) -> None:
    spec.chmod(mode)
    assert specfile.read(spec) == "cluster: demo\n"


@pytest.mark.parametrize(
    ("mode", "gid", "reason"),
    [
        (0o666, 0, "everybody may write this file"),
        (0o602, 0, "everybody may write this file"),
        (0o664, 33, "its group may write this file"),
        (0o664, 0, None),
    ],
)
def test_modes_that_let_others_write(spec: Path, mode: int, gid: int, reason: str | None) -> None:
    attributes = list(spec.stat())
    attributes[0], attributes[5] = 0o100000 | mode, gid
    problem = specfile._unfit(spec, os.stat_result(attributes))
    assert (problem.reason if problem else None) == reason


def test_a_world_writable_file_is_refused(spec: Path) -> None:
    spec.chmod(0o646)
    with pytest.raises(SpecError) as caught:
        specfile.read(spec)
    (problem,) = caught.value.problems
    assert (problem.value, problem.hint) == ("mode 0646", f"chmod go-w {spec}")
    assert caught.value.exit_code == 2


def test_what_cannot_be_read(tmp_path: Path, spec: Path) -> None:
    with pytest.raises(UsageError, match="No such file") as caught:
        specfile.read(tmp_path / "none.yaml")
    assert caught.value.hint == "write one: hactl spec init"
    with pytest.raises(SpecError) as refused:
        specfile.read(tmp_path)
    assert refused.value.problems[0].reason == "this is not a regular file"
    os.mkfifo(tmp_path / "fifo", 0o600)
    with pytest.raises(SpecError):
        specfile.read(tmp_path / "fifo")
    spec.write_bytes(b"a: 1\nb: \xff\n")
    with pytest.raises(SpecError) as caught_text:
        specfile.read(spec)
    assert caught_text.value.problems[0].reason == "line 2 is not UTF-8"
    spec.write_bytes(b"#" * (specfile.MAX_SIZE + 1))
    with pytest.raises(SpecError) as large:
        specfile.read(spec)
    assert "larger than" in large.value.problems[0].reason


def test_a_byte_order_mark_is_no_part_of_the_text(spec: Path) -> None:
    spec.write_bytes(b"\xef\xbb\xbfcluster: demo\n")
    assert specfile.read(spec) == "cluster: demo\n"


def test_a_lab_that_is_down_cannot_be_entered(tmp_path: Path) -> None:
    folder = lab(tmp_path, "demo")
    with pytest.raises(Unreachable, match="the lab demo is not up") as caught:
        context.enter_lab(folder, netns=tmp_path / "netns")
    assert caught.value.hint == "hactl lab up --name demo"


def test_entering_where_we_are_does_nothing(tmp_path: Path) -> None:
    folder = lab(tmp_path, "demo")
    (tmp_path / "netns").mkdir()
    (tmp_path / "netns" / "demo-ops").symlink_to("/proc/thread-self/ns/net")
    context.enter_lab(folder, netns=tmp_path / "netns")


def test_entering_needs_root(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    class Libc:
        setns = staticmethod(lambda handle, kind: -1)  # noqa: ARG005 - setns's signature

    folder = lab(tmp_path, "demo", tmp_path / "netns")
    monkeypatch.setattr(context.ctypes, "CDLL", lambda *_, **__: Libc)
    monkeypatch.setattr(context.ctypes, "get_errno", lambda: 1)
    with pytest.raises(Refused, match="only root may enter the network of lab demo"):
        context.enter_lab(folder, netns=tmp_path / "netns")
    monkeypatch.setattr(context.ctypes, "get_errno", lambda: 22)
    with pytest.raises(Unreachable, match="Invalid argument"):
        context.enter_lab(folder, netns=tmp_path / "netns")
