"""Write the generated parts of docs/ anew; with --check only say which are not current.

A generated part stands between `<!-- begin NAME -->` and `<!-- end NAME -->`; the words around it
are written by hand.
"""

import argparse
import json
import re
import sys
from collections.abc import Callable
from pathlib import Path

from central_server.settings import ServerSettings
from edge_agent.settings import EdgeSettings
from event_protocol.asyncapi import make_document
from scripts import doc_tables, flag_rule_tables, state_diagram

DOCS = Path(__file__).resolve().parent.parent / "docs"

PARTS: dict[str, dict[str, Callable[[], str]]] = {
    "PROTOCOL.md": {
        "topics": doc_tables.topics,
        "envelope": doc_tables.envelope,
        "event types": doc_tables.event_types,
        "messages": doc_tables.parts_and_messages,
        "uploads": doc_tables.uploads,
        "pairing": doc_tables.pairing,
    },
    "CONFIGURATION.md": {
        "edge agent": lambda: doc_tables.settings(EdgeSettings),
        "central server": lambda: doc_tables.settings(ServerSettings),
    },
    "ARCHITECTURE.md": {"session states": state_diagram.session_states},
    "FLAG_RULES.md": {
        "rules": flag_rule_tables.overview,
        "reasons": flag_rule_tables.complaint_reasons,
        "meanings": flag_rule_tables.meanings,
    },
}


def fill(text: str, parts: dict[str, Callable[[], str]]) -> str:
    """The document with each generated part written anew; raises `ValueError` if one is missing."""
    for name, make in parts.items():
        part = re.compile(rf"(<!-- begin {name} -->\n).*?(<!-- end {name} -->)", re.DOTALL)
        if part.search(text) is None:
            raise ValueError(f"there is no place for {name}")
        written = make()
        text = part.sub(lambda found, w=written: f"{found[1]}\n{w}\n\n{found[2]}", text)  # type: ignore[misc]  # mypy and default arguments
    return text


def documents(docs: Path) -> dict[Path, str]:
    """Each generated document as it should be now."""
    made = {docs / name: fill((docs / name).read_text(), parts) for name, parts in PARTS.items()}
    written = json.dumps(make_document(), indent=2, ensure_ascii=False)
    return {**made, docs / "asyncapi.json": written + "\n"}


def stale(docs: Path) -> list[Path]:
    """The documents that are not what the code says now."""
    return [
        path
        for path, text in documents(docs).items()
        if not path.is_file() or path.read_text() != text
    ]


def main() -> int:
    """Write, or check; 1 if the check finds one that is not current."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--check", action="store_true")
    if parser.parse_args().check:
        old = stale(DOCS)
        sys.stderr.writelines(f"not current, run `make docs`: {path}\n" for path in old)
        return bool(old)
    for path, text in documents(DOCS).items():
        path.write_text(text)
    return 0


if __name__ == "__main__":
    sys.exit(main())
