"""Paths and commands that the documents name are there."""

import re
import subprocess
from pathlib import Path

import pytest

REPOSITORY = Path(__file__).resolve().parents[2]
HAND_WRITTEN = [
    "README.md",
    "docs/ARCHITECTURE.md",
    *sorted(f"docs/decisions/{path.name}" for path in (REPOSITORY / "docs/decisions").iterdir()),
]
# Something in backticks that has a folder in it, or ends as a file does.
NAMED = re.compile(r"`([A-Za-z_.][\w.-]*(?:/[\w.-]*)+|\w+\.(?:md|toml|yaml))`")
LINKED = re.compile(r"\]\(([^)#:]+)\)")


@pytest.mark.parametrize("name", HAND_WRITTEN)
def test_every_path_named_exists(repository: Path, name: str) -> None:
    document = repository / name
    text = document.read_text()
    missing = {path for path in NAMED.findall(text) if not (repository / path).exists()}
    missing |= {path for path in LINKED.findall(text) if not (document.parent / path).exists()}
    assert missing == set()


def test_every_layer_stands_in_the_architecture(repository: Path) -> None:
    text = (repository / "docs/ARCHITECTURE.md").read_text()
    for program in ("edge_agent", "central_server"):
        for folder in (repository / program).iterdir():
            if (folder / "__init__.py").is_file():
                assert f"`{program}/{folder.name}/`" in text


def test_every_make_target_named_is_one(repository: Path) -> None:
    listed = subprocess.run(
        ["make", "help"], cwd=repository, capture_output=True, text=True, check=True
    ).stdout
    targets = set(re.findall(r"^  make (\w+)", listed, re.MULTILINE))
    for name in HAND_WRITTEN:
        named = set(
            re.findall(r"(?:^|`)make ([a-z]+)", (repository / name).read_text(), re.MULTILINE)
        )
        assert named <= targets, name
