"""Fixtures that every layer's tests share."""

import os
from pathlib import Path

import pytest
from hypothesis import settings

REPOSITORY = Path(__file__).resolve().parent.parent

# The same cases on every run, and no limit for each: a busy machine is no defect.
settings.register_profile("repeatable", deadline=None, derandomize=True, max_examples=60)
settings.load_profile("repeatable")


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """The longest first: at the end, they would leave the other workers without work."""
    items.sort(key=lambda item: "end_to_end" not in item.path.parts)


@pytest.fixture(scope="session")
def repository() -> Path:
    """The checkout's top folder."""
    return REPOSITORY


@pytest.fixture(scope="session")
def testdata() -> Path:
    """Real footage and QR images with ground truth, beside the checkout (never inside it)."""
    folder = Path(os.environ.get("TESTDATA", REPOSITORY.parent / "shared" / "testdata"))
    if not (folder / "ground_truth.json").is_file():
        message = f"test data is missing: {folder} (set TESTDATA to its folder)"
        if os.environ.get("CI"):
            pytest.fail(message)
        pytest.skip(message)
    return folder
