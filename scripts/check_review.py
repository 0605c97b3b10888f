"""Check that somebody looked at every package version that runs in production (reviewed.yaml)."""

import sys
from datetime import date
from pathlib import Path
from typing import Any

import yaml

from scripts import locks

REPOSITORY = Path(__file__).resolve().parent.parent
LOCKS = ("runtime.txt", "build.txt")
_SAID = ("reached_by", "advisories")


def locked_versions(folder: Path) -> dict[str, str]:
    """The version of each package that the locks in that folder hold."""
    return {k: v for name in LOCKS for k, v in locks.locked_versions(folder / name).items()}


def faults_of(locked: dict[str, str], reviewed: dict[str, dict[str, Any]]) -> list[str]:
    """What is locked and not reviewed, reviewed and not locked, or reviewed without saying what."""
    faults = []
    for name, version in sorted(locked.items()):
        review = reviewed.get(name, {})
        if review.get("version") != version:
            faults.append(f"{name} {version}: nobody reviewed it (last: {review.get('version')})")
        elif not isinstance(review.get("reviewed"), date):
            faults.append(f"{name} {version}: reviewed on no day")
        else:
            faults += [f"{name} {version}: no {what}" for what in _SAID if not review.get(what)]
    return faults + [
        f"{name}: reviewed, not locked" for name in sorted(set(reviewed) - set(locked))
    ]


def find_faults(folder: Path) -> list[str]:
    """Faults of the review beside the locks, one line each."""
    reviewed = yaml.safe_load((folder / "reviewed.yaml").read_text())["packages"]
    return faults_of(locked_versions(folder), reviewed)


if __name__ == "__main__":
    found = find_faults(REPOSITORY / "requirements")
    sys.stderr.writelines(f"requirements/reviewed.yaml: {fault}\n" for fault in found)
    sys.exit(bool(found))
