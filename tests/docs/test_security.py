"""docs/SECURITY.md names tests that exist, and goes through the whole standard."""

import ast
import re
from pathlib import Path

import pytest

NAMED = re.compile(r"`(tests/[\w/.]+\.py)(?:::(test_\w+))?`")
LINE = re.compile(
    r"^\| (\d+\.\d+\.\d+) \| (.+) \| (held|in part|not yet|does not apply) \| (.+) \|$"
)
REQUIREMENTS = 253  # of ASVS 5.0.0, level 1 and level 2


@pytest.fixture(scope="module")
def text(repository: Path) -> str:
    return (repository / "docs" / "SECURITY.md").read_text()


@pytest.fixture(scope="module")
def lines(text: str) -> list[re.Match[str]]:
    return [found for line in text.splitlines() if (found := LINE.match(line))]


def _tests_in(path: Path) -> set[str]:
    return {
        node.name for node in ast.parse(path.read_text()).body if isinstance(node, ast.FunctionDef)
    }


def test_every_test_named_exists(repository: Path, text: str) -> None:
    missing = {
        f"{path}::{name}"
        for path, name in NAMED.findall(text)
        if not (repository / path).is_file() or (name and name not in _tests_in(repository / path))
    }
    assert missing == set()


def test_each_requirement_has_one_line(lines: list[re.Match[str]]) -> None:
    numbers = [found[1] for found in lines]
    assert len(numbers) == len(set(numbers)) == REQUIREMENTS
    assert numbers == sorted(numbers, key=lambda number: [int(part) for part in number.split(".")])


def test_what_is_held_names_a_test_and_what_is_not_a_reason(lines: list[re.Match[str]]) -> None:
    for found in lines:
        number, _asks, state, how = found.groups()
        if state == "held":
            assert NAMED.search(how), number
        else:
            assert NAMED.sub("", how).strip(" ;,"), number
