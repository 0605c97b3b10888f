"""The list of others' licences names what the locks name, no more and no less."""

import re
from pathlib import Path

from scripts.list_licences import PYTHON_LOCKS, page_assets, python_packages


def test_the_list_is_current_with_the_locks(repository: Path) -> None:
    text = (repository / "THIRD_PARTY_LICENCES.md").read_text()
    listed = set(re.findall(r"^\| (\S+) \| (\S+) \| [^|]+ \|$", text, re.MULTILINE))
    locked = set(page_assets().items())
    for lock in PYTHON_LOCKS.values():
        locked |= set(python_packages(lock).items())
    assert listed - {("Name", "Version"), ("---", "---")} == locked, "run `make licences`"


def test_no_licence_is_unknown(repository: Path) -> None:
    text = (repository / "THIRD_PARTY_LICENCES.md").read_text()
    assert "UNKNOWN" not in text.upper()
