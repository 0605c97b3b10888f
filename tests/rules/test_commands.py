"""The Makefile and the scripts behind it do what they say on machines that lack something."""

import os
import subprocess
from collections.abc import Mapping
from pathlib import Path

import pytest


def run(
    repository: Path, script: str, *arguments: str, programs: Mapping[str, str], folder: Path
) -> subprocess.CompletedProcess[str]:
    """A script on a machine that has but these programs (shell texts) and the bare shell."""
    for name, text in programs.items():
        (folder / name).write_text(f"#!/bin/sh\n{text}\n")
        (folder / name).chmod(0o755)
    return subprocess.run(
        ["/bin/sh", repository / "scripts" / script, *arguments],
        env={"PATH": str(folder)},
        capture_output=True,
        text=True,
        check=False,
    )


def test_without_a_new_enough_python_it_says_so(repository: Path, tmp_path: Path) -> None:
    old = {"python3": "exit 1"}
    ended = run(repository, "make_venv.sh", "x", programs=old, folder=tmp_path)
    assert ended.returncode == 1
    assert "Python 3.11 or newer is needed" in ended.stderr


def test_without_the_venv_module_it_says_what_to_install(repository: Path, tmp_path: Path) -> None:
    programs = {"python3.11": '[ "$1" = -c ]', "rm": ""}
    ended = run(repository, "make_venv.sh", "x", programs=programs, folder=tmp_path)
    assert ended.returncode == 1
    assert "apt-get install python3-venv" in ended.stderr


MISSING_CHROMIUM = 'case "$*" in *chromium*) exit 1 ;; *) echo installed ;; esac'


@pytest.mark.parametrize(
    ("installed", "user", "code", "said"),
    [
        ("echo installed", "1000", 0, ""),
        (MISSING_CHROMIUM, "1000", 1, "apt-get install chromium"),
        (MISSING_CHROMIUM, "0", 0, "RUNLEVEL=1 install -y -qq --no-install-recommends chromium"),
    ],
)
def test_system_packages(
    repository: Path, tmp_path: Path, installed: str, user: str, code: int, said: str
) -> None:
    programs = {
        "dpkg-query": installed,
        "id": f"echo {user}",
        "apt-get": 'echo "RUNLEVEL=${RUNLEVEL-} $*" >&2',
        "env": 'export DEBIAN_FRONTEND=x RUNLEVEL=1; shift 2; exec "$@"',
    }
    ended = run(repository, "install_system_packages.sh", programs=programs, folder=tmp_path)
    assert ended.returncode == code
    assert said in ended.stderr
    assert bool(ended.stderr) == bool(said)


def test_make_alone_lists_what_there_is(repository: Path) -> None:
    listed = subprocess.run(
        ["make", "--no-print-directory"],
        cwd=repository,
        env={"PATH": os.environ["PATH"]},
        capture_output=True,
        text=True,
        check=True,
    ).stdout
    for target in ("demo", "test", "check", "lint", "bench", "format", "lock"):
        assert f"make {target} " in listed


def test_ci_runs_what_everybody_runs(repository: Path) -> None:
    script = repository / ".ci" / "run"
    assert os.access(script, os.X_OK)
    commands = [line for line in script.read_text().splitlines() if line.startswith("make ")]
    assert commands == ["make lint", "make test"]
