"""No page shows the wire's confidence: it orders statements and is no measured probability."""

from pathlib import Path


def test_no_page_shows_a_statements_confidence(repository: Path) -> None:
    templates = list((repository / "web" / "templates").rglob("*.html"))
    assert templates
    assert [path for path in templates if "confidence" in path.read_text()] == []
