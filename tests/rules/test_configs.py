"""Every file in configs/ is read by a test: a sample that no program takes is worse than none."""

from pathlib import Path


def test_every_configuration_file_is_named_by_a_test(repository: Path) -> None:
    tests = "\n".join(
        path.read_text()
        for path in (repository / "tests").rglob("*.py")
        if "node_modules" not in path.parts
    )
    unread = {
        str(path.relative_to(repository))
        for path in (repository / "configs").rglob("*")
        if path.is_file() and path.name not in tests
    }
    assert unread == set()
