"""What may stand in a tracked file, and how long it may be."""

import re
import subprocess
from pathlib import Path

import pytest

from scripts.check_locks import (
    faults_of_extras,
    faults_of_npm_lock,
    faults_of_requirements,
    find_faults,
)
from scripts.locks import locked_extras, locked_versions

# Each rule with the text that breaks it; the patterns are written so that they don't match here.
FORBIDDEN = {
    "a package registry's address": re.compile(
        r"https?://[\w.-]*(?:pypi|pythonhosted|npmjs|yarnpkg|jfrog|artifactory|devpi)[\w.-]*\.\w"
    ),
    "a path of one machine": re.compile(r"(?<![\w.$}~*-])/(?:work|root|home|Users)/[\w.]"),
    "a private key": re.compile(r"-----BEGIN [A-Z ]*PRIVATE KEY-----\s+\w"),
    "an access key": re.compile(r"\b(?:AKIA[0-9A-Z]{16}|gh[pousr]_\w{36}|xox[bp]-\w+-\w+)"),
}
CODE = {".py", ".html", ".css", ".js", ".mjs", ".sh"}
MOST_LINES = 400
MOST_LINES_OF_TESTS = 500  # which read as a list of sentences
LONGER: dict[str, str] = {}  # path -> why it is one idea all the same


@pytest.fixture(scope="module")
def tracked(repository: Path) -> list[Path]:
    listed = subprocess.run(
        ["git", "ls-files", "-z"], cwd=repository, capture_output=True, text=True, check=True
    ).stdout
    return [
        repository / name for name in listed.split("\0") if name and (repository / name).is_file()
    ]


@pytest.mark.parametrize("rule", FORBIDDEN)
def test_no_tracked_file_holds(rule: str, tracked: list[Path]) -> None:
    found = [
        f"{path}:{number}"
        for path in tracked
        for number, line in enumerate(
            path.read_bytes().decode("utf-8", errors="replace").splitlines(), start=1
        )
        if FORBIDDEN[rule].search(line)
    ]
    assert found == []


def test_the_rules_find_what_they_are_for() -> None:
    slashes = "https:" + "//"
    for rule, text in {
        "a package registry's address": slashes + "mirror.pypi.example/simple",
        "a path of one machine": "see /" + "home/me",
        "a private key": "-----BEGIN " + "EC PRIVATE KEY----- MHc",
        "an access key": "AKIA" + "A" * 16,
    }.items():
        assert FORBIDDEN[rule].search(text), rule


def test_no_tracked_file_is_larger_than_a_megabyte(tracked: list[Path]) -> None:
    assert [path for path in tracked if path.stat().st_size > 1_000_000] == []


def test_code_is_read_in_one_sitting(repository: Path, tracked: list[Path]) -> None:
    lengths = {
        str(path.relative_to(repository)): len(path.read_text().splitlines())
        for path in tracked
        if path.suffix in CODE
    }
    too_long = {
        name
        for name, lines in lengths.items()
        if lines > (MOST_LINES_OF_TESTS if name.startswith("tests/") else MOST_LINES)
    }
    assert too_long == set(LONGER), "look for the second idea in it, or give the reason in LONGER"


def test_every_lock_file_is_hashed_and_free_of_addresses(repository: Path) -> None:
    assert find_faults(repository) == []


@pytest.mark.parametrize(
    "text",
    [
        "left-pad\n",
        "left-pad==1.0\n",
        "--index-url " + "https:" + "//mirror.example/simple\n",
        "left-pad @ " + "https:" + "//mirror.example/left-pad.whl\n",
    ],
)
def test_a_faulty_requirements_file_is_found(text: str) -> None:
    assert faults_of_requirements("x.txt", text)


def test_a_faulty_npm_lock_is_found() -> None:
    text = '{"packages": {"": {}, "a": {"resolved": "x", "integrity": "y"}, "b": {}}}'
    assert faults_of_npm_lock("lock", text) == ["lock: an address for a", "lock: no hash for b"]


def test_an_extra_that_the_locks_leave_out_is_found(tmp_path: Path) -> None:
    lock = tmp_path / "runtime.txt"
    lock.write_text("a_b[x, y]==1.0 \\\n    --hash=sha256:0\nc==2 ; python_version > '3'\n")
    assert locked_versions(lock) == {"a_b": "1.0", "c": "2"}
    extras = locked_extras(lock)
    assert faults_of_extras(extras, ["A-b[y]>=1", "c", 'c[z]; extra == "more"']) == []
    assert faults_of_extras(extras, ["c[z]>=1"]) == ["c: locked without its extra z"]
