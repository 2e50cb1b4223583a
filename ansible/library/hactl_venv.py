#!/usr/bin/python3
"""Switch a virtual environment to a set of wheels: built aside, without any network, then linked.

`/opt/hactl` is a link to `/opt/hactl-venvs/hactl-<stamp>`. The stamp names the wheels, so an equal link means
that nothing is to do; a build that was interrupted is not linked and is made again. The one before is kept: a
service that still runs from it goes on finding its files until it is restarted.
"""

from __future__ import annotations

import glob
import os
import shutil
import tarfile
from pathlib import Path

from ansible.module_utils.basic import AnsibleModule

# Debian's own pip, as a wheel: `venv` without pip plus this takes a fifth of the time of `venv` with pip.
PIP_WHEELS = "/usr/share/python-wheels/pip-*.whl"
PYTHON = "/usr/bin/python3"


def target_of(path: str, stamp: str) -> Path:
    """Where the environment of `path` with these wheels lies."""
    place = Path(path)
    return place.parent / "hactl-venvs" / f"{place.name}-{stamp}"


def unpack(tar: str, folder: Path, names: list[str]) -> list[str]:
    """The wheels `names` from the wheelhouse; raises KeyError when one is not in it."""
    folder.mkdir(mode=0o700, parents=True)
    with tarfile.open(tar) as archive:
        for name in names:
            wheel = archive.extractfile(name)
            if wheel is None:
                raise KeyError(f"{name} is no plain file in the wheelhouse")
            with wheel, (folder / name).open("wb") as out:
                shutil.copyfileobj(wheel, out)
    return [str(folder / name) for name in names]


class Build:
    """Makes one environment; every step fails the module with the program's own words."""

    def __init__(self, module: AnsibleModule, target: Path) -> None:
        self.module, self.target = module, target

    def step(self, argv: list[str], environment: dict[str, str] | None = None) -> None:
        code, out, err = self.module.run_command(argv, environ_update=environment or {})
        if code != 0:
            self.module.fail_json(
                msg=f"{' '.join(argv[:4])} ended with code {code}: {(err or out).strip()[-800:]}"
            )

    def run(self, tar: str, names: list[str]) -> None:
        pips = sorted(glob.glob(PIP_WHEELS))
        if not pips:
            self.module.fail_json(msg=f"{PIP_WHEELS} is missing on this node: apt-get install python3-venv")
        shutil.rmtree(self.target, ignore_errors=True)
        self.target.parent.mkdir(mode=0o755, parents=True, exist_ok=True)
        wheels = Path(f"{self.target}.wheels")
        shutil.rmtree(wheels, ignore_errors=True)
        try:
            files = unpack(tar, wheels, names)
            self.step([PYTHON, "-m", "venv", "--without-pip", str(self.target)])
            python = str(self.target / "bin" / "python")
            # All wheels are named and pinned: nothing to resolve, nothing to ask anybody.
            pip = [
                python,
                "-m",
                "pip",
                "--isolated",
                "install",
                "--no-index",
                "--no-deps",
                "--no-compile",
                "--no-cache-dir",
            ]
            self.step(
                [*pip, "--quiet", "--root-user-action=ignore", *files],
                {"PYTHONPATH": pips[-1], "PYTHONDONTWRITEBYTECODE": "1"},
            )
            self.step([python, "-m", "compileall", "-q", str(self.target / "lib")])
        finally:
            shutil.rmtree(wheels, ignore_errors=True)


def switch(path: str, target: Path) -> None:
    """Point `path` at `target` in one step; what was a folder of another origin is kept aside."""
    if os.path.isdir(path) and not os.path.islink(path):
        os.replace(path, f"{path}.before-hactl")
    fresh = f"{path}.new"
    Path(fresh).unlink(missing_ok=True)
    os.symlink(target, fresh)
    os.replace(fresh, path)


def sweep(path: str, keep: set[Path]) -> None:
    """Remove older environments of `path`."""
    for old in target_of(path, "x").parent.glob(f"{Path(path).name}-*"):
        if old not in keep:
            shutil.rmtree(old, ignore_errors=True)


def main() -> None:
    module = AnsibleModule(
        argument_spec={
            "path": {"type": "path", "required": True},
            "stamp": {"type": "str", "required": True},
            "tar": {"type": "path", "required": True},
            "wheels": {"type": "list", "elements": "str", "required": True},
        },
        supports_check_mode=True,
    )
    path, stamp = module.params["path"], module.params["stamp"]
    target = target_of(path, stamp)
    before = os.readlink(path) if os.path.islink(path) else ""
    if before == str(target):
        module.exit_json(changed=False, path=path, stamp=stamp)
    if not module.check_mode:
        try:
            Build(module, target).run(module.params["tar"], module.params["wheels"])
            switch(path, target)
        except (OSError, KeyError, tarfile.TarError) as error:
            module.fail_json(msg=f"{path}: {error}")
        sweep(path, {target, Path(before)})
    module.exit_json(
        changed=True, path=path, stamp=stamp, diff={"before": f"{before}\n", "after": f"{target}\n"}
    )


if __name__ == "__main__":
    main()
