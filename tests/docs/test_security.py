"""docs/SECURITY.md names tests that exist, and goes through the whole standard."""

import ast
import re
from pathlib import Path

import pytest

NAMED = re.compile(r"`(tests/[\w/.]+\.py)::(test_\w+)`")
OWN = "tests/docs/test_security.py"
LINE = re.compile(
    r"^\| (\d+\.\d+\.\d+) \| (.+) \| (held|in part|not yet|does not apply) \| (.+) \|$"
)
ADVERSARY = re.compile(r"^\| (.*?) ?\| (.+) \| (.+) \| (.+) \| (.+) \|$")
# What the one who owns the room can do to it, each with the word by which its line is found.
IN_THE_ROOM = (
    "cover",
    "plug",
    "poster",
    "fifty times",
    "disk",
    "network",
    "clock",
    "who complained",
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
        if not (repository / path).is_file() or name not in _tests_in(repository / path)
    }
    assert missing == set()


def test_every_test_is_named_by_its_function(text: str) -> None:
    assert set(re.findall(r"`(tests/[^`:]*)`", text)) == {OWN}
    assert len(re.findall(r"`tests/[^`]*::[^`]*`", text)) == len(NAMED.findall(text))


def test_what_the_table_points_to_stands_above_it(text: str) -> None:
    assert "| below, " not in text
    for heading in re.findall(r'above, "([^"]+)"', text):
        assert f"\n## {heading}\n" in text.partition("## OWASP")[0], heading


def test_the_supervised_unit_is_the_first_adversary(text: str) -> None:
    section = text.partition("## Adversaries\n")[2].partition("\n## ")[0]
    lines = [found for line in section.splitlines() if (found := ADVERSARY.match(line))][2:]
    assert "supervised unit" in lines[0][1]
    others = next(number for number, found in enumerate(lines[1:], 1) if found[1])
    its_own = [found[2] for found in lines[:others]]
    assert [word for word in IN_THE_ROOM if not any(word in can for can in its_own)] == []
    for found in lines:
        assert NAMED.search(found[5]), found[2]


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
