"""The image's recipe: in good form, and its steps lead to two programs that start."""

import subprocess
import sys
from pathlib import Path

import pytest
import yaml

from tests.docs.dockerfile_steps import follow, read_steps


def test_hadolint_has_no_complaint(repository: Path) -> None:
    checked = subprocess.run(
        [Path(sys.executable).with_name("hadolint"), "--no-color", repository / "Dockerfile"],
        capture_output=True,
        text=True,
        check=False,
    )
    assert (checked.returncode, checked.stdout) == (0, "")


@pytest.mark.processes
@pytest.mark.timeout(900)  # pip installs everything anew
def test_its_steps_lead_to_both_programs(repository: Path, tmp_path: Path) -> None:
    image = follow(repository / "Dockerfile", repository, tmp_path)
    app = image.place("/app")
    assert (app / "web/static/vendor/htmx.min.js").is_file()
    for program in ("edge-agent", "central-server"):
        shown = subprocess.run(
            [app / ".venv/bin" / program, "--help"],
            cwd=app,
            capture_output=True,
            text=True,
            check=True,
            timeout=60,
        )
        assert "Usage" in shown.stdout
        assert program in shown.stdout


def test_the_image_runs_as_nobody_special_and_starts_a_program(repository: Path) -> None:
    steps = read_steps(repository / "Dockerfile")
    last = dict(steps)
    assert last["USER"].isdigit()
    assert last["USER"] != "0"
    assert last["CMD"] == '["central-server", "serve"]'


def test_every_folder_that_is_copied_gets_past_the_ignore_file(repository: Path) -> None:
    let_in = {
        line.removeprefix("!").strip("/")
        for line in (repository / ".dockerignore").read_text().splitlines()
        if line.startswith("!")
    }
    for instruction, arguments in read_steps(repository / "Dockerfile"):
        if instruction == "COPY" and not arguments.startswith("--from"):
            for source in arguments.split()[:-1]:
                assert source.split("/")[0] in let_in, source


def test_compose_names_files_that_are_there_and_holds_no_secret(repository: Path) -> None:
    compose = yaml.safe_load((repository / "compose.yaml").read_text())
    assert set(compose["services"]) == {"server", "migrate", "postgres", "mosquitto"}
    assert all(secret["file"].startswith("secrets/") for secret in compose["secrets"].values())
    for service in compose["services"].values():
        assert set(service.get("secrets", [])) <= set(compose["secrets"])
        for volume in service.get("volumes", []):
            source = volume.split(":")[0]
            named = source in compose["volumes"] or source.startswith("./secrets/")
            assert named or (repository / source).is_file(), source
        for name in service.get("environment", {}):
            assert not name.endswith("PASSWORD"), "a password comes from a file"
    assert "secrets/" in (repository / ".gitignore").read_text().splitlines()
