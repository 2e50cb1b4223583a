from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

from hactl.cli.status_data import document
from hactl.decide.codes import CODES
from hactl.decide.health import judge
from hactl.view.control_text import incident_text
from hactl.view.mute import Mute
from hactl.view.operation import Holder
from hactl.view.pause import Pause
from hactl.view.scheduled import Scheduled
from tests.support.snapshots import failover, fence
from tests.support.views import after, demo_spec, keys

ROOT = Path(__file__).resolve().parents[2]


def test_every_code_is_used_and_every_used_code_exists() -> None:
    """Vetoes have codes of their own; what is found or alarmed is a health code."""
    sources = "".join(p.read_text() for p in (ROOT / "hactl" / "decide").glob("*.py") if p.name != "codes.py")
    named = set(re.findall(r'"([A-Z]{2,}_[A-Z_]+|PAUSED|FENCED)"', sources))
    found = set(re.findall(r'\b(?:finding|alarm)\(\s*"([A-Z_]+)"', sources))
    assert set(CODES) <= named
    assert found <= set(CODES)


def shape(value: Any) -> Any:
    """Keys only; of a list its first element stands for all."""
    if isinstance(value, dict):
        return {key: shape(part) for key, part in value.items()}
    return [shape(value[0])] if isinstance(value, list) and value and isinstance(value[0], dict) else None


def test_the_status_page_shows_every_key_of_the_document() -> None:
    page = (ROOT / "docs" / "status.md").read_text()
    shown = shape(json.loads(page.split("```json\n")[1].split("```")[0]))
    by_hand = {
        "paused": True,
        "pause": Pause("anna", "new switch", 0.0, 1_800_003_600.0),
        "mutes": (Mute("FENCED", "", "anna", "", "error", 1, 0.0, 1.0),),
        "scheduled": Scheduled("9f3c21aa", 1.0, "db2", "anna", ""),
        "operation": Holder("anna", "desk", 1, "switchover", "", "", ""),
    }
    view = after(keys(fences={"db1": fence("db1")}, incident=incident_text(failover()), **by_hand))
    real = shape(document(demo_spec(), view, judge(demo_spec(), view)))
    shown["archive"]["nodes"][0]["why"] = real["archive"]["nodes"][0]["why"]
    assert shown == real
