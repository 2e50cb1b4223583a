"""Functions of ./bootstrap, taken out of it: the script itself installs packages."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]


def shell(folder: Path, commands: str) -> subprocess.CompletedProcess[str]:
    """`commands` with the script's functions, as if the checkout were `folder`."""
    functions = (ROOT / "bootstrap").read_text(encoding="utf-8").partition("\ncommand=")[0]
    script = folder / "bootstrap"
    script.write_text(f"{functions}\n{commands}\n", encoding="utf-8")
    argv = ["sh", str(script)]
    return subprocess.run(argv, capture_output=True, text=True, timeout=20, check=False, cwd=folder)


def test_another_account_leaves_root_s_link_to_the_environment(tmp_path: Path) -> None:
    (tmp_path / "pyproject.toml").write_text("")
    (tmp_path / "made-by-root" / "bin").mkdir(parents=True)
    (tmp_path / "made-by-root" / "bin" / "python").symlink_to(sys.executable)
    (tmp_path / ".venv").symlink_to("made-by-root")
    made = 'printf "dev %s %s\\n" "$(cksum <pyproject.toml)" "$here" >.venv/.hactl'
    done = shell(tmp_path, f"root() {{ false; }}\n{made}\nvenv lab")
    assert (done.returncode, done.stderr) == (0, "")
    assert (tmp_path / ".venv").readlink() == Path("made-by-root")


def test_services_are_held_back_only_while_packages_are_installed(tmp_path: Path) -> None:
    done = shell(tmp_path, _held_back(tmp_path))
    assert "exit 101" in done.stdout
    assert not (tmp_path / "policy").exists()


def test_what_a_killed_bootstrap_left_goes_and_another_policy_stays(tmp_path: Path) -> None:
    policy = tmp_path / "policy"
    policy.write_text(
        "#!/bin/sh\n# hactl bootstrap: no service starts while packages are installed\nexit 101\n"
    )
    shell(tmp_path, _held_back(tmp_path))
    assert not policy.exists()
    policy.write_text("#!/bin/sh\nexit 0\n")
    assert shell(tmp_path, _held_back(tmp_path)).stdout == "#!/bin/sh\nexit 0\n"
    assert policy.exists()


def test_only_services_that_came_with_the_packages_are_disabled(tmp_path: Path) -> None:
    seen = tmp_path / "enabled"
    seen.write_text("cron.service\n")
    fakes = f'enabled_services() {{ cat {seen}; }}\nsystemctl() {{ echo "systemctl $*"; }}'
    install = f"install() {{ echo nginx.service >>{seen}; }}"
    done = shell(tmp_path, f"{fakes}\n{install}\n{_held_back(tmp_path, 'install', fakes='')}")
    assert done.stdout == "systemctl --quiet disable nginx.service\n"


def _held_back(folder: Path, command: str = "", fakes: str = "enabled_services() { :; }") -> str:
    places = f"HACTL_POLICY={folder}/policy HACTL_CREATECLUSTER={folder}/createcluster.conf"
    return f"{fakes}\n{places}\nwithout_services {command or f'cat {folder}/policy'}"


@pytest.mark.parametrize(
    ("tests", "variable", "code"),
    [(0, "", 0), (0, "CI=true", 1), (0, "HACTL_REQUIRE_LAB=1", 1), (3, "", 3), (3, "CI=true", 3)],
)
def test_without_the_lab_the_rest_runs_and_what_did_not_is_said_last(
    tmp_path: Path, tests: int, variable: str, code: int
) -> None:
    fakes = f'lab_lacks() {{ echo "- no root"; false; }}\nin_venv() {{ echo "$*"; return {tests}; }}'
    done = shell(tmp_path, f"unset CI HACTL_REQUIRE_LAB\n{variable}\n{fakes}\nrun_tests")
    unit, others, *_, said, why = done.stdout.splitlines()
    assert done.returncode == code
    assert unit.endswith(" tests/unit tests/golden -m not lab")
    assert others.endswith(" tests/contract tests/integration -m not lab")
    assert said.startswith("NOT RUN: tests/acceptance")
    assert why == "- no root"


@pytest.mark.parametrize("failing", ["tests/unit", "tests/integration", "tests/acceptance"])
def test_with_the_lab_everything_runs_and_its_failure_is_the_exit_code(tmp_path: Path, failing: str) -> None:
    fakes = f'lab_lacks() {{ :; }}\nin_venv() {{ echo "$*"; case $* in *{failing}*) return 4 ;; esac; }}'
    done = shell(tmp_path, f"{fakes}\nrun_tests")
    assert done.returncode == 4
    assert failing in done.stdout
    assert "not lab" not in done.stdout
    # One run shows all mistakes; only broken units are a reason to stop.
    assert ("tests/acceptance" in done.stdout) is (failing != "tests/unit")
