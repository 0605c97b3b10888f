"""Ask an advisory database about every locked package; say loudly if it was not asked.

pip-audit ends with 0 when it audited nothing, so its report is counted: every package of the locks
must stand in it, and none may have been skipped. Runs in an environment of its own (`make audit`).
"""

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

from scripts.locks import locked_versions

REPOSITORY = Path(__file__).resolve().parent.parent
LOCKS = ("runtime.txt", "dev.txt", "build.txt")
_OPTIONS = [
    "--strict",
    "--disable-pip",
    "--require-hashes",
    "--progress-spinner",
    "off",
    "--format",
    "json",
]


def verdict(report: str, locked: set[str]) -> list[str]:
    """What is wrong by pip-audit's JSON: advisories, and packages that it did not look up."""
    try:
        packages: list[dict[str, Any]] = list(json.loads(report)["dependencies"])
    except (ValueError, KeyError, TypeError):
        return [f"nothing was audited: no report on {len(locked)} packages"]
    audited = {package["name"] for package in packages if "vulns" in package}
    faults = [
        f"{package['name']} {package['version']}: {found['id']}, mended in {found['fix_versions']}"
        for package in packages
        for found in package.get("vulns", ())
    ]
    missed = sorted(locked - audited)
    return faults + ([f"not audited: {', '.join(missed)}"] if missed else [])


def main(pip_audit: str) -> int:
    """One lock after the other; 1 if anything is wrong or was not asked."""
    failed = False
    for name in LOCKS:
        lock = REPOSITORY / "requirements" / name
        locked = set(locked_versions(lock))
        asked = subprocess.run(  # noqa: S603 - a program of the environment that make built
            [pip_audit, *_OPTIONS, "--requirement", str(lock)],
            capture_output=True,
            text=True,
            check=False,
        )
        faults = verdict(asked.stdout, locked)
        reason = asked.stderr.strip().splitlines()[-1:] if faults else []
        sys.stderr.writelines(f"{name}: {fault}\n" for fault in [*faults, *reason])
        if not faults:
            sys.stdout.write(f"{name}: {len(locked)} packages audited, no advisory\n")
        failed = failed or bool(faults) or asked.returncode != 0
    return int(failed)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1]))
