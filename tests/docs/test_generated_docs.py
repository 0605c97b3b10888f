"""What docs/ says of events, topics and settings is what the code says."""

import re
from pathlib import Path

import pytest

from central_server.domain.flags import REGISTRY
from central_server.settings import ServerSettings
from edge_agent.settings import EdgeSettings
from event_protocol.asyncapi import EVENT_MODELS, MODELS_OF_CHANNEL
from event_protocol.events import Envelope
from event_protocol.topics import Channel, topic_of
from scripts.doc_tables import models_in
from scripts.generate_docs import fill, stale


def test_the_generated_parts_are_current(repository: Path) -> None:
    assert stale(repository / "docs") == [], "run `make docs`"


def test_every_event_field_and_topic_stands_in_the_protocols_document(repository: Path) -> None:
    text = (repository / "docs" / "PROTOCOL.md").read_text()
    named = {topic_of("{device}", channel) for channel in Channel}  # type: ignore[arg-type]  # a place for a name
    named |= set(Envelope.model_fields)
    for model in (model for models in MODELS_OF_CHANNEL.values() for model in models):
        named |= set(model.model_fields)
        for field in model.model_fields.values():
            named |= {name for part in models_in(field.annotation) for name in part.model_fields}
    named |= {model.model_fields["type"].default for model in EVENT_MODELS}
    # What every event has stands in prose and headings rather than in the table of its data.
    missing = {name for name in named - {"type", "subject", "data"} if f"`{name}`" not in text}
    assert not missing


def test_every_setting_stands_in_the_configurations_document(repository: Path) -> None:
    text = (repository / "docs" / "CONFIGURATION.md").read_text()
    settings = [*EdgeSettings.model_fields.items(), *ServerSettings.model_fields.items()]
    for name, field in settings:
        assert re.search(rf"\| `{name}[`.\[]", text), name
        for section in models_in(field.annotation):
            for inner in section.model_fields:
                assert re.search(rf"`{name}(\[\])?\.{inner}[`.\[]", text), f"{name}.{inner}"


def test_every_rule_stands_in_the_flag_rules_document(repository: Path) -> None:
    text = (repository / "docs" / "FLAG_RULES.md").read_text()
    for code in REGISTRY:
        assert f"| `{code}` |" in text
        assert f"### `{code}`\n" in text


def test_a_document_without_a_place_for_a_part_is_a_fault() -> None:
    text = "a\n<!-- begin x -->\nold\n<!-- end x -->\nz\n"
    assert fill(text, {"x": lambda: "new"}) == ("a\n<!-- begin x -->\n\nnew\n\n<!-- end x -->\nz\n")
    with pytest.raises(ValueError, match="there is no place for y"):
        fill(text, {"y": lambda: "new"})
