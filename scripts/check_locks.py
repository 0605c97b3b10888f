"""Check that the lock files hold names, versions and hashes, and no address of a registry."""

import json
import re
import sys
from collections.abc import Iterable
from importlib.metadata import distributions
from pathlib import Path

from packaging.requirements import Requirement

from scripts import locks

REPOSITORY = Path(__file__).resolve().parent.parent
NPM_LOCKS = (
    "web/package-lock.json",
    "tests/asyncapi/package-lock.json",
    "tests/axe/package-lock.json",
)
# A pin, then nothing but hashes and comments.
_PINNED = re.compile(
    r"[A-Za-z0-9._-]+(?:\[\S+\])?==\S+(?: ; [^\\]+)?(?: \\\n +--hash=sha256:[0-9a-f]{64})+\n"
)
_COMMENT = re.compile(r" *#.*\n")
_ADDRESS = re.compile(r"[a-z+]+://|--(?:extra-)?index-url|--find-links|--trusted-host")


def faults_of_requirements(name: str, text: str) -> list[str]:
    """What is wrong with a requirements file made by pip-compile."""
    faults = [f"{name}: an address: {line}" for line in text.splitlines() if _ADDRESS.search(line)]
    rest = _COMMENT.sub("", _PINNED.sub("", text)).strip()
    if rest:
        faults.append(f"{name}: not pinned with hashes: {rest.splitlines()[0]}")
    return faults


def faults_of_npm_lock(name: str, text: str) -> list[str]:
    """What is wrong with an npm lock file."""
    faults = []
    for path, package in json.loads(text)["packages"].items():
        if path and "integrity" not in package:
            faults.append(f"{name}: no hash for {path}")
        if "resolved" in package:
            faults.append(f"{name}: an address for {path}")
    return faults


def faults_of_extras(locked: dict[str, set[str]], wanted: Iterable[str]) -> list[str]:
    """Extras that some package asks for and the locks leave out (why: scripts/locks.py)."""
    faults = set()
    for text in wanted:
        requirement = Requirement(text)
        if requirement.marker and not requirement.marker.evaluate({"extra": ""}):
            continue
        missing = requirement.extras - locked.get(locks.plain_name(requirement.name), set())
        faults |= {f"{requirement.name}: locked without its extra {extra}" for extra in missing}
    return sorted(faults)


def find_faults(repository: Path) -> list[str]:
    """Faults of every lock file of the project, one line each."""
    faults = []
    for path in sorted((repository / "requirements").glob("*.txt")):
        faults += faults_of_requirements(path.name, path.read_text())
    locked = {
        name: extras
        for lock in ("runtime.txt", "dev.txt")
        for name, extras in locks.locked_extras(repository / "requirements" / lock).items()
    }
    installed = (package for package in distributions() if package.name)
    faults += faults_of_extras(locked, (text for p in installed for text in p.requires or ()))
    for name in NPM_LOCKS:
        faults += faults_of_npm_lock(name, (repository / name).read_text())
    return faults


if __name__ == "__main__":
    found = find_faults(REPOSITORY)
    sys.stderr.writelines(f"{fault}\n" for fault in found)
    sys.exit(bool(found))
