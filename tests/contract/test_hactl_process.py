"""What only a process of its own shows: what is imported, how it ends, what it does on a closed pipe."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import textwrap
from pathlib import Path

from tests.support.specs import SAMPLE

ROOT = Path(__file__).resolve().parents[2]


def test_help_imports_nothing_heavy() -> None:
    code = (
        "import sys\nfrom hactl.cli.app import main\n"
        "try: main(['--help'])\nexcept SystemExit: pass\n"
        "heavy = {'pydantic', 'yaml', 'rich', 'jinja2', 'paramiko', 'patroni', 'psycopg2', 'logging'}\n"
        "print(sorted(heavy & set(sys.modules)), file=sys.stderr)"
    )
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True, timeout=30
    )
    assert "Keep a medical image archive up" in done.stdout
    assert done.stderr.strip() == "[]"


def test_a_reader_that_goes_away_is_no_error() -> None:
    reader, writer = os.pipe()
    os.close(reader)
    argv = [sys.executable, "-m", "hactl", "version"]
    done = subprocess.run(argv, stdout=writer, stderr=subprocess.PIPE, text=True, check=False, timeout=30)
    os.close(writer)
    assert (done.returncode, done.stderr) == (141, "")


def test_status_imports_nothing_heavy() -> None:
    """Half a second is for everything: what status does not need, it must not import."""
    code = (
        "import sys\nfrom hactl.observe import gather\nfrom tests.support.views import healthy\n"
        "gather.gather = lambda ports: healthy()\n"
        "from hactl.cli.app import main\n"
        f"try: main(['--spec', {str(SAMPLE)!r}, 'status', '-o', 'json'])\nexcept SystemExit: pass\n"
        "heavy = {'rich', 'paramiko', 'patroni', 'psycopg2', 'urllib3', 'cryptography', 'jinja2',"
        " 'pynetdicom', 'requests', 'etcd'}\n"
        "print(sorted(heavy & set(sys.modules)), file=sys.stderr)"
    )
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True, timeout=30, cwd=ROOT
    )
    assert json.loads(done.stdout)["cluster"] == "demo"
    assert done.stderr.strip() == "[]"


def test_the_program_ends_without_waiting_for_its_stragglers() -> None:
    program = textwrap.dedent("""
        import time
        from hactl.observe.gather import gather
        from tests.unit.test_gather import with_vip, SlowVip
        import threading
        gather(with_vip(SlowVip(threading.Event())), within=0.1)
        print("done")
    """)
    done = subprocess.run(
        [sys.executable, "-c", program], cwd=ROOT, capture_output=True, text=True, timeout=10, check=True
    )
    assert done.stdout == "done\n"
