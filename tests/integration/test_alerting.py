"""Alert rules judged by promtool, and an alert's way through real programs to a receiver that fails first."""

from __future__ import annotations

import http.client
import http.server
import json
import subprocess
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
import yaml

from hactl.decide.codes import finding
from hactl.metrics.exporter import Exporter
from hactl.metrics.instruments import Instruments
from hactl.metrics.server import Listener
from hactl.metrics.snapshot import Board
from hactl.render import alertmanager, alerts, dashboard
from tests.support import alert_tests
from tests.support.pki import sample_spec
from tests.support.ports import free_port
from tests.support.servers import Daemon, program, wait_until
from tests.support.smtp import mail_server
from tests.support.snapshots import snapshot
from tests.support.views import demo_spec

HERE = "127.0.0.1"


def written(path: Path, document: dict[str, Any]) -> Path:
    path.write_text(yaml.safe_dump(document, sort_keys=False, width=10_000))
    return path


def promtool(*argv: str, cwd: Path) -> subprocess.CompletedProcess[str]:
    path = program("promtool", "prometheus")
    return subprocess.run([path, *argv], cwd=cwd, capture_output=True, text=True, timeout=120, check=False)


@pytest.fixture
def rules(tmp_path: Path) -> Path:
    return written(tmp_path / "rules.yml", alerts.document())


def test_each_alert_fires_when_it_should_and_not_before(rules: Path) -> None:
    quick = written(rules.with_name("tests.yml"), alert_tests.document())
    slow = written(rules.with_name("slow.yml"), alert_tests.slow_document())
    done = promtool("test", "rules", quick.name, slow.name, cwd=rules.parent)
    assert done.returncode == 0, done.stdout + done.stderr


def test_a_mistake_in_a_rule_would_be_found(rules: Path) -> None:
    document = alerts.document()
    document["groups"][0]["rules"][0]["expr"] = "hactl_health == 2"
    written(rules, document)
    tests = alert_tests.document()
    written(rules.with_name("tests.yml"), {**tests, "tests": tests["tests"][-1:]})
    assert promtool("test", "rules", "tests.yml", cwd=rules.parent).returncode != 0


def test_every_expression_of_the_dashboard_is_promql(tmp_path: Path) -> None:
    exprs = [expr for panel in dashboard.PANELS for expr in panel.series]
    group = {"name": "x", "rules": [{"record": f"x:y{i}", "expr": expr} for i, expr in enumerate(exprs)]}
    written(tmp_path / "rules.yml", {"groups": [group]})
    done = promtool("check", "rules", "rules.yml", cwd=tmp_path)
    assert done.returncode == 0, done.stdout + done.stderr


class Receiver:
    """A webhook that answers 500 `failures` times, then takes what comes."""

    def __init__(self, failures: int) -> None:
        self.failed: list[float] = []
        self.taken: list[dict[str, Any]] = []
        receiver = self

        class Handler(http.server.BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
                fails = len(receiver.failed) < failures
                if fails:
                    receiver.failed.append(time.monotonic())
                else:
                    receiver.taken.append(body)
                self.send_response(500 if fails else 200)
                self.end_headers()

            def log_message(self, *_: object) -> None: ...

        self.server = http.server.ThreadingHTTPServer((HERE, 0), Handler)
        self.url = f"http://{HERE}:{self.server.server_port}/hook"
        threading.Thread(target=self.server.serve_forever, daemon=True).start()


@contextmanager
def receiving(failures: int) -> Iterator[Receiver]:
    receiver = Receiver(failures)
    try:
        yield receiver
    finally:
        receiver.server.shutdown()
        receiver.server.server_close()


@contextmanager
def exporting(board: Board) -> Iterator[int]:
    exporter = Exporter(board, Instruments(), demo_spec())
    try:
        yield exporter.start(Listener(HERE, 0))[0]
    finally:
        exporter.stop()


@contextmanager
def running(name: str, *argv: str, folder: Path) -> Iterator[Daemon]:
    daemon = Daemon(name, [program(name, name), *argv], folder / f"{name}.log")
    try:
        daemon.start()
        yield daemon
    finally:
        daemon.stop()


@contextmanager
def monitoring(folder: Path, exporter: int, webhook: str) -> Iterator[None]:
    """Prometheus and Alertmanager as rendered, but for addresses, TLS and the pace."""
    manager, web = f"{HERE}:{free_port()}", f"{HERE}:{free_port()}"
    spec = sample_spec(notify=[{"webhook": webhook}])
    written(folder / "alertmanager.yml", alertmanager.configuration(spec))
    written(folder / "rules.yml", alerts.document())
    pace = {"scrape_interval": "1s", "evaluation_interval": "1s"}
    target = {"targets": [f"{HERE}:{exporter}"], "labels": {"controller": "wit1"}}
    written(folder / "prometheus.yml", {
        "global": {**pace, "external_labels": {"cluster": "demo"}},
        "rule_files": ["rules.yml"],
        "alerting": {"alertmanagers": [{"static_configs": [{"targets": [manager]}]}]},
        "scrape_configs": [{"job_name": "hactl", "static_configs": [target]}],
    })  # fmt: skip
    with (
        running(
            "prometheus-alertmanager", "--cluster.listen-address=", f"--web.listen-address={manager}",
            f"--config.file={folder}/alertmanager.yml", f"--storage.path={folder}/am", folder=folder,
        ),
        running(
            "prometheus", f"--config.file={folder}/prometheus.yml", f"--web.listen-address={web}",
            f"--storage.tsdb.path={folder}/tsdb", folder=folder,
        ),
    ):  # fmt: skip
        yield


def test_an_alert_reaches_a_receiver_that_fails_first_and_delays_nothing(tmp_path: Path) -> None:
    """Two answers of 500, then one of 200: delivered, by Alertmanager's own patience.

    Meanwhile the board is published to and scraped at its own pace: nothing of hactl waits for a receiver.
    """
    board = Board({"fast": 600.0})
    slowest = 0.0

    def tick() -> None:
        nonlocal slowest
        start = time.monotonic()
        found = (finding("TWO_PRIMARIES", "", "db1 and db2"),)
        board.publish(snapshot(at=start, view_at=start, findings=found))
        board.beat("fast")
        slowest = max(slowest, time.monotonic() - start)

    def delivered() -> bool:
        tick()
        return bool(receiver.taken)

    tick()
    with (
        receiving(failures=2) as receiver,
        exporting(board) as port,
        monitoring(tmp_path, port, receiver.url),
    ):
        wait_until("the alert is delivered", delivered, 60)
    assert len(receiver.failed) == 2
    [alert] = [a for a in receiver.taken[0]["alerts"] if a["labels"]["alertname"] == "TWO_PRIMARIES"]
    assert alert["status"] == "firing"
    assert alert["labels"]["severity"] == "error"
    assert alert["annotations"]["docs"] == "docs/codes/TWO_PRIMARIES.md"
    assert slowest < 0.05


def test_a_person_is_told_by_e_mail(tmp_path: Path) -> None:
    with mail_server() as mails:
        email = {"email": "oncall@example.org", "smarthost": f"{HERE}:{mails.port}"}
        spec = sample_spec(notify=[email])
        written(tmp_path / "alertmanager.yml", alertmanager.configuration(spec))
        manager = f"{HERE}:{free_port()}"
        with running(
            "prometheus-alertmanager", "--cluster.listen-address=", f"--web.listen-address={manager}",
            f"--config.file={tmp_path}/alertmanager.yml", f"--storage.path={tmp_path}/am", folder=tmp_path,
        ):  # fmt: skip
            labels = {"alertname": "NO_PRIMARY", "severity": "error", "cluster": "demo"}
            body = json.dumps([{"labels": labels, "annotations": {"fix": "hactl doctor"}}]).encode()
            wait_until("Alertmanager takes alerts", lambda: posted(manager, body), 20)
            wait_until("the mail is there", lambda: bool(mails.mails), 30)
    [mail] = mails.mails
    assert (mail.sender, mail.recipient) == ("hactl@example.org", "oncall@example.org")
    assert "NO_PRIMARY" in mail.text


def posted(manager: str, body: bytes) -> bool:
    connection = http.client.HTTPConnection(manager, timeout=5)
    try:
        connection.request("POST", "/api/v2/alerts", body, {"Content-Type": "application/json"})
        return connection.getresponse().status == 200
    except OSError:
        return False
    finally:
        connection.close()
