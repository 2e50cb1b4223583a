"""Runs the modules of ansible/library in this process: arguments in, one JSON document out."""

from __future__ import annotations

import importlib.util
import io
import json
import sys
from contextlib import redirect_stdout, suppress
from pathlib import Path
from types import ModuleType
from typing import Any

from ansible.module_utils.testing import patch_module_args

LIBRARY = Path(__file__).parents[2] / "ansible" / "library"


class Clock:
    """Stands for a module's `time`: to sleep only moves it on."""

    now = 0.0

    def monotonic(self) -> float:
        return self.now

    def sleep(self, seconds: float) -> None:
        self.now += seconds


def load(name: str) -> ModuleType:
    found = importlib.util.spec_from_file_location(name, LIBRARY / f"{name}.py")
    assert found is not None
    assert found.loader is not None
    module = importlib.util.module_from_spec(found)
    sys.modules[name] = module  # dataclasses look there for the types of their fields
    found.loader.exec_module(module)
    return module


def run(module: ModuleType, arguments: dict[str, Any], *, check: bool = False) -> dict[str, Any]:
    """The module's result; `failed` is set in it when the module failed."""
    out = io.StringIO()
    arguments = {**arguments, "_ansible_check_mode": check}
    with patch_module_args(arguments), redirect_stdout(out), suppress(SystemExit):
        module.main()
    result: dict[str, Any] = json.loads(out.getvalue())
    return result
