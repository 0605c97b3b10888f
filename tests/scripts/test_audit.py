"""Nothing counts as audited or reviewed that was not."""

import json
from datetime import date
from pathlib import Path
from typing import Any

import pytest

from scripts.audit import verdict
from scripts.check_review import faults_of, find_faults

REVIEW: dict[str, Any] = {
    "version": "1.0",
    "reviewed": date(2026, 11, 22),
    "reached_by": "forms",
    "advisories": "none, by its changelog",
}


def report(*packages: dict[str, Any]) -> str:
    return json.dumps({"dependencies": list(packages), "fixes": []})


def test_every_locked_version_was_reviewed(repository: Path) -> None:
    assert find_faults(repository / "requirements") == []


def test_a_version_that_nobody_looked_at_is_a_fault() -> None:
    assert faults_of({"a": "1.0"}, {"a": REVIEW}) == []
    assert faults_of({"a": "1.1"}, {"a": REVIEW}) == ["a 1.1: nobody reviewed it (last: 1.0)"]
    assert faults_of({"b": "1.0"}, {}) == ["b 1.0: nobody reviewed it (last: None)"]
    assert faults_of({}, {"a": REVIEW}) == ["a: reviewed, not locked"]
    assert faults_of({"a": "1.0"}, {"a": {**REVIEW, "advisories": ""}}) == ["a 1.0: no advisories"]
    assert faults_of({"a": "1.0"}, {"a": {**REVIEW, "reviewed": "once"}})


@pytest.mark.parametrize("text", ["", "no route to host", "[]", "{}", '{"dependencies": 7}'])
def test_no_report_is_no_audit(text: str) -> None:
    (fault,) = verdict(text, {"a", "b"})
    assert fault == "nothing was audited: no report on 2 packages"


def test_what_was_skipped_was_not_audited() -> None:
    audited: dict[str, Any] = {"name": "a", "version": "1", "vulns": []}
    skipped = {"name": "b", "skip_reason": "x"}
    assert verdict(report(audited), {"a"}) == []
    assert verdict(report(audited, skipped), {"a", "b"}) == ["not audited: b"]
    assert verdict(report(), {"a"}) == ["not audited: a"]


def test_an_advisory_is_named_with_what_mends_it() -> None:
    found = {"id": "PYSEC-1", "fix_versions": ["2"]}
    package = {"name": "a", "version": "1", "vulns": [found]}
    assert verdict(report(package), {"a"}) == ["a 1: PYSEC-1, mended in ['2']"]
