"""What the Python lock files in requirements/ hold; the only place that reads their pins."""

import re
from pathlib import Path

# `name[extra]==version`. Extras stay in the locks: pip before 24 takes `name[extra]` for another
# package than `name`, picks its newest release, and fails for want of a hash the day one appears.
_PIN = re.compile(r"^([A-Za-z0-9._-]+)(?:\[([^\]]*)\])?==([^\s;\\]+)", re.MULTILINE)


def locked_versions(lock: Path) -> dict[str, str]:
    """The version of each package of a lock file, by name."""
    return {name: version for name, _, version in _PIN.findall(lock.read_text())}


def locked_extras(lock: Path) -> dict[str, set[str]]:
    """The extras that a lock file names with each package."""
    return {
        plain_name(name): {extra.strip() for extra in extras.split(",") if extra}
        for name, extras, _ in _PIN.findall(lock.read_text())
    }


def plain_name(name: str) -> str:
    """A package's name as all registries compare it."""
    return re.sub(r"[-_.]+", "-", name).lower()
