"""Root's scripts of an archive node, run on files of the test's own."""

from __future__ import annotations

import base64
import getpass
import grp
import gzip
import hashlib
import http.server
import json
import os
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from hactl import layout
from hactl.render import archive_guard, lease
from tests.support.ansible_modules import load
from tests.support.rendered import sample, secrets


def content(path: str) -> str:
    spec = sample()
    files = (*archive_guard.render(spec, secrets(spec)), *lease.render(spec, secrets(spec)))
    return next(f.content for f in files if (f.node, f.path) == ("arc1", path))


def loaded(path: str) -> dict[str, Any]:
    names: dict[str, Any] = {"__name__": "script"}
    exec(compile(content(path), path, "exec"), names)  # noqa: S102 - the subject
    return names


def bundle(files: list[dict[str, object]]) -> str:
    return base64.b64encode(gzip.compress(json.dumps({"files": files}).encode())).decode()


def entry(path: Path, text: str, mode: str = "0640") -> dict[str, object]:
    group = grp.getgrgid(os.getegid()).gr_name
    return {"path": str(path), "content": text, "mode": mode, "owner": getpass.getuser(), "group": group}


def test_what_drifted_is_put_back_and_the_services_start_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    script = loaded(str(archive_guard.REDEPLOY))
    said, steps = tmp_path / "said", []
    script.update(KEPT=str(tmp_path), SAID=str(said), COMPONENTS=["orthanc"])
    monkeypatch.setattr(script["subprocess"], "run", lambda argv, **_: steps.append(argv[1:]))
    right, changed, gone = (tmp_path / name for name in ("right", "changed", "sub/gone"))
    kept = [entry(right, "r"), entry(changed, "c"), entry(gone, "g", "0600")]
    (tmp_path / "orthanc").write_text(bundle(kept))
    right.write_text("r")
    right.chmod(0o640)
    changed.write_text("somebody's hand")
    assert script["main"]() == 0
    assert [p.read_text() for p in (right, changed, gone)] == ["r", "c", "g"]
    assert oct(gone.stat().st_mode & 0o777) == "0o600"
    assert said.read_text() == f"put back: {changed}, {gone}\n"
    assert steps == list(script["STEPS"])
    assert script["main"]() == 0
    assert said.read_text() == "no file differed\n"


def test_a_deployment_keeps_what_it_brought(tmp_path: Path) -> None:
    module = load("hactl_files")
    kept = tmp_path / "kept" / "orthanc"
    wanted = {"folders": [], "files": [], "mask": [], "manifest": None, "keep": str(kept)}
    assert module.work(wanted, check=True, packed="abc")["changed"]
    assert not kept.exists()
    assert module.work(wanted, check=False, packed="abc")["changed"]
    assert (kept.read_text(), kept.stat().st_mode & 0o777) == ("abc", 0o600)
    assert not module.work(wanted, check=False, packed="abc")["changed"]


class Orthanc(http.server.BaseHTTPRequestHandler):
    patient = "HACTL-PROBE-arc1"

    def _answer(self, found: object, status: int = 200) -> None:
        body = json.dumps(found).encode()
        self.send_response(status)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def do_GET(self) -> None:
        asked = self.server.asked  # type: ignore[attr-defined]
        asked.append(f"GET {self.path}")
        words = base64.b64encode(b"hactl_admin:secret").decode()
        if self.headers["Authorization"] != f"Basic {words}":
            self._answer({}, 401)
        elif f"DELETE {self.path}" in asked:
            self._answer({}, 404)
        elif self.path.endswith("/statistics"):
            self._answer({"CountInstances": "2"})
        else:
            self._answer({"MainDicomTags": {"PatientID": self.server.patient}})  # type: ignore[attr-defined]

    def do_DELETE(self) -> None:
        self.server.asked.append(f"DELETE {self.path}")  # type: ignore[attr-defined]
        self._answer({})

    def log_message(self, *_: object) -> None:
        pass


@pytest.fixture
def orthanc(tmp_path: Path) -> Iterator[Any]:
    server: Any = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Orthanc)
    server.asked, server.patient = [], "HACTL-PROBE-arc1"
    threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05}, daemon=True).start()
    config = {"HttpPort": server.server_address[1], "RegisteredUsers": {"hactl_admin": "secret"}}
    (tmp_path / "orthanc.json").write_text(json.dumps(config))
    yield server
    server.shutdown()
    server.server_close()


def test_only_this_nodes_probe_is_forgotten(tmp_path: Path, orthanc: Any) -> None:
    act = loaded(str(layout.ACT))
    act["ORTHANC_CONFIG"] = str(tmp_path / "orthanc.json")
    assert act["forget_probe"]() == "2 objects forgotten"
    digest = hashlib.sha1(b"HACTL-PROBE-arc1", usedforsecurity=False).hexdigest()
    path = "/patients/" + "-".join(digest[i : i + 8] for i in range(0, 40, 8))
    assert orthanc.asked == [f"GET {path}", f"GET {path}/statistics", f"DELETE {path}"]
    assert act["forget_probe"]() == "0 objects forgotten"


def test_another_patient_is_left_alone(tmp_path: Path, orthanc: Any) -> None:
    act = loaded(str(layout.ACT))
    act["ORTHANC_CONFIG"] = str(tmp_path / "orthanc.json")
    orthanc.patient = "SOMEBODY"
    with pytest.raises(act["Failed"], match="another patient"):
        act["forget_probe"]()
    assert not [line for line in orthanc.asked if line.startswith("DELETE")]
