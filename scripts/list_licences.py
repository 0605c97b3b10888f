"""Write THIRD_PARTY_LICENCES.md: what the programs, the pages and the tests stand on.

Names and versions come from the locks, licences from what is installed.
"""

import json
import subprocess
import sys
from pathlib import Path

from scripts import locks
from scripts.doc_tables import table

REPOSITORY = Path(__file__).resolve().parent.parent
DOCUMENT = REPOSITORY / "THIRD_PARTY_LICENCES.md"
HEAD = ("Name", "Version", "Licence")
PYTHON_LOCKS = {
    "What both programs run with": "runtime.txt",
    "What builds and tests them": "dev.txt",
}


def python_packages(lock: str) -> dict[str, str]:
    """Version by name of a requirements lock."""
    return locks.locked_versions(REPOSITORY / "requirements" / lock)


def page_assets() -> dict[str, str]:
    """Version by name of what the pages load."""
    lock = json.loads((REPOSITORY / "web" / "package-lock.json").read_text())
    return {
        path.removeprefix("node_modules/"): package["version"]
        for path, package in lock["packages"].items()
        if path
    }


def _python_licences() -> dict[str, str]:
    listed = subprocess.run(  # noqa: S603 - the program stands beside our own Python
        [
            Path(sys.executable).with_name("pip-licenses"),
            "--format=json",
            "--from=mixed",
            "--with-system",
        ],
        capture_output=True,
        text=True,
        check=True,
    ).stdout
    return {locks.plain_name(entry["Name"]): entry["License"] for entry in json.loads(listed)}


def _asset_licence(name: str) -> str:
    """What its package.json says, else the first line of its licence."""
    folder = REPOSITORY / "web" / "node_modules" / name
    said = json.loads((folder / "package.json").read_text()).get("license")
    return str(said or (folder / "LICENSE").read_text().strip().splitlines()[0])


def make_document() -> str:
    """The whole document; raises `KeyError` for a package that is locked and not installed."""
    licences = _python_licences()
    parts = ["# Licences of others' work\n\nWritten by `make licences` from the locks.\n"]
    for title, lock in PYTHON_LOCKS.items():
        rows = [
            (name, version, licences[locks.plain_name(name)].replace("|", "/"))
            for name, version in python_packages(lock).items()
        ]
        parts.append(f"## {title}\n\n{table(HEAD, rows)}\n")
    rows = [(name, version, _asset_licence(name)) for name, version in page_assets().items()]
    parts.append(f"## What the pages load\n\n{table(HEAD, rows)}\n")
    return "\n".join(parts)


if __name__ == "__main__":
    DOCUMENT.write_text(make_document())
