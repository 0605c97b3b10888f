"""The AsyncAPI document: current, accepted by the public parser, and its examples true."""

import json
import subprocess
from pathlib import Path
from typing import Any

import jsonschema
import orjson
import pytest
from pydantic import TypeAdapter

from event_protocol.asyncapi import (
    EVENT_MODELS,
    MODELS_OF_CHANNEL,
    SIGNED_MODELS,
    make_document,
    make_examples,
)
from event_protocol.codec import Accepted, decode_event
from event_protocol.examples import DEVICE, SERVER_KEY
from event_protocol.messages import COMMAND, RECEIPT, Receipt, decode_signed
from event_protocol.topics import Channel, parse_topic

DOCUMENT = make_document()
SCHEMAS = {"components": {"schemas": DOCUMENT["components"]["schemas"]}}
EXAMPLES = make_examples()


def test_the_committed_document_is_current(repository: Path) -> None:
    committed = json.loads((repository / "docs" / "asyncapi.json").read_text())
    assert committed == DOCUMENT, "run `make docs`"


def test_every_channel_and_event_type_stands_in_it() -> None:
    assert set(DOCUMENT["channels"]) == {channel.value for channel in Channel}
    for channel in Channel:
        address = DOCUMENT["channels"][channel.value]["address"]
        assert parse_topic(address.replace("{device}", DEVICE)) == (DEVICE, channel)
    assert set(DOCUMENT["components"]["messages"]) == set(EXAMPLES)
    assert {kind.__name__ for kind in EVENT_MODELS} <= set(EXAMPLES)
    assert set(MODELS_OF_CHANNEL) == set(Channel)


@pytest.mark.parametrize("name", sorted(EXAMPLES))
def test_every_example_is_valid_against_its_schema(name: str) -> None:
    schema = {**SCHEMAS, "$ref": f"#/components/schemas/{name}"}
    validator = jsonschema.Draft202012Validator(schema)
    validator.validate(EXAMPLES[name])
    assert not validator.is_valid(EXAMPLES[name] | {"unheard_of": 1})
    for needed in EXAMPLES[name].keys() & {"type", "kind", "signature"}:
        without = {key: value for key, value in EXAMPLES[name].items() if key != needed}
        assert not validator.is_valid(without)


def test_every_example_is_what_the_programs_read() -> None:
    public_key = SERVER_KEY.public_key().public_bytes_raw()
    for kind in EVENT_MODELS:
        assert isinstance(decode_event(DEVICE, orjson.dumps(EXAMPLES[kind.__name__])), Accepted)
    for kind in SIGNED_MODELS:
        adapter: TypeAdapter[Any] = RECEIPT if kind is Receipt else COMMAND
        payload = orjson.dumps(EXAMPLES[kind.__name__])
        assert isinstance(decode_signed(DEVICE, adapter, payload, public_key), kind)


@pytest.mark.processes
def test_the_public_parser_accepts_it(repository: Path, tmp_path: Path) -> None:
    # The one that scripts/npm.sh fetched, where the machine's is missing or too old.
    fetched = repository / ".cache" / "node" / "bin" / "node"
    node = str(fetched) if fetched.exists() else "node"
    document = tmp_path / "asyncapi.json"
    document.write_text(json.dumps(DOCUMENT))
    answer = subprocess.run(
        [node, repository / "tests" / "asyncapi" / "check.mjs", document],
        capture_output=True,
        text=True,
        check=True,
        timeout=60,
    )
    assert json.loads(answer.stdout) == {"accepted": True, "complaints": []}
