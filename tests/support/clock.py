"""Python's programs whose wall clock a test turns, as the lab's fault does it."""

from __future__ import annotations

from pathlib import Path

from hactl.lab.faults_clock import MODULE


class Clock:
    """What runs with `environment` has a clock that is as far from the machine's as `turn` says."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        folder.mkdir(mode=0o755)
        (folder / "sitecustomize.py").write_text(MODULE)

    def turn(self, seconds: int) -> None:
        new = self._folder / "new"
        new.write_text(f"{seconds}\n")
        new.chmod(0o644)
        new.rename(self._folder / "seconds")  # whoever reads finds a whole one

    @property
    def environment(self) -> dict[str, str]:
        return {"PYTHONPATH": str(self._folder)}
