"""Logs with every kind of record that proves something, and the hands of who forges them."""

import hashlib
from collections.abc import Iterator, Sequence
from datetime import timedelta
from io import BytesIO
from pathlib import Path
from typing import Any
from uuid import UUID

import orjson
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from central_server.domain.custody_log import KeysRotated
from central_server.domain.server_log import (
    DeviceFellSilent,
    DevicePaired,
    FlagDismissed,
    GapGivenUp,
    Viewed,
)
from central_server.services import anchors, log_export, log_retention, tick
from central_server.services.context import ServerContext
from central_server.services.filing import Incoming
from central_server.storage import months, server_log
from central_server.storage.unit_of_work import Database
from event_protocol.canonical import canonical_bytes, sha256_hex
from event_protocol.events import CameraState, EpochHead
from event_protocol.log_records import end_export, write_line
from event_protocol.server_heads import KeyHandover
from tests.central_server.factories import START, Clock, register_device
from tests.central_server.services.desk_days import DeskChain, deliver, make_server

Json = dict[str, Any]
FORMER_KEY = Ed25519PrivateKey.from_private_bytes(b"a key that the server had before")


def make_logs(database: Database, folder: Path) -> ServerContext:
    """Two devices, three epochs, a gap that was given up, people's work, a new key, an anchor; a
    third device's old events were dropped.
    """
    context = make_server(database, folder)
    _drop_old_events(context)
    keys = {name: pair(context, name, f"desk-{name}") for name in ("device-a", "device-b")}
    first = DeskChain(context, desk="desk-device-a", key=keys["device-a"])
    first.starts(0).empty_desk().rate(2, 5)
    first.said.append(first.checkpoint())
    first.visit(5, 12, UUID(int=1)).said.append(unreadable(first))
    deliver(context, first.said)
    second = DeskChain(context, desk="desk-device-a", epoch=2, key=keys["device-a"])
    second.head = first.head
    end = EpochHead(epoch=1, sequence=first.sequence, hash=first.head)
    second.starts(20, end).empty_desk(21).visit(22, 30, UUID(int=2))
    second.said.append(second.checkpoint())
    deliver(context, [*second.said[:2], *second.said[4:]])
    other = DeskChain(context, "device-b", "desk-device-b", key=keys["device-b"])
    deliver(context, other.empty_desk(3).said)
    with database.transaction() as db:
        for entry in (
            GapGivenUp(device="device-a", epoch=2, first=3, last=4),
            DeviceFellSilent(device="device-b", since=START),
            Viewed(by="an", what="complaint", subject="x", reason="kiểm tra"),
            FlagDismissed(flag_id=UUID(int=7), by="an", reason="nhầm"),
            KeysRotated(
                by="command", signing=KeyHandover.between(FORMER_KEY, context.keys.signing)
            ),
        ):
            server_log.append(db, entry, at=context.now())
    tick.tick(context, context.now())
    anchors.anchor_daily(context)
    return context


def _drop_old_events(context: ServerContext) -> None:
    now = context.now
    assert isinstance(now, Clock)
    now.at -= timedelta(days=60)
    old = DeskChain(context, "device-o", "desk-o", key=pair(context, "device-o", "desk-o"))
    deliver(context, old.starts(0).said)
    now.at += timedelta(days=60)
    assert log_retention.drop(context, months.month_of(now.at)) is not None
    deliver(context, old.starts(1).said[1:])


def pair(context: ServerContext, device: str, desk: str) -> Ed25519PrivateKey:
    """A device as `enrolment.enrol` leaves it: registered, and its key on record."""
    key = register_device(context.database, device, desks=(desk,))
    public = key.public_key().public_bytes_raw().hex()
    with context.database.transaction() as db:
        entry = DevicePaired(device=device, public_key=public)
        server_log.append(db, entry, at=context.now())
    return key


def unreadable(chain: DeskChain) -> Incoming:
    """The chain's next position, with a content that no schema knows."""
    chain.camera(14, CameraState.OK)
    said = orjson.loads(chain.said.pop().payload)
    chain.sequence -= 1
    return chain.raw(canonical_bytes({**said, "data": {}}))


def export(context: ServerContext) -> list[bytes]:
    """The lines of an export, right behind a new anchor."""
    assert anchors.anchor(context) is not None
    target = BytesIO()
    log_export.export_log(context, target, by="auditor")
    return target.getvalue().splitlines(keepends=True)


def seal_again(lines: Sequence[bytes], key: Ed25519PrivateKey) -> list[bytes]:
    """Records that were forged before the server exported them: the file itself is in order."""
    digest = hashlib.sha256(b"".join(lines)).hexdigest()
    return [*lines, write_line(end_export(len(lines), digest, key))]


def is_record(line: bytes) -> bool:
    """Whether it is an entry or an event, rather than what stands around them."""
    return orjson.loads(line)["kind"] in ("entry", "event")


def mutate_value(value: Any) -> Iterator[Any]:
    """Other values in its place: one for each byte class that it has."""
    if isinstance(value, bool) or value is None:
        yield "x"
    elif isinstance(value, int):
        yield from (value + 1, str(value))
    elif isinstance(value, float):
        yield value / 2 + 1
    elif isinstance(value, str):
        yield from ("", value + "0")
        for at in {0, len(value) - 1} if value else ():
            yield value[:at] + chr(ord(value[at]) ^ 1) + value[at + 1 :]
    elif isinstance(value, list):
        yield from ([], [*value, 0])
    else:
        yield {}


def mutate(content: Json) -> Iterator[Json]:
    """Each field, at every depth, changed, removed, renamed; and one added."""
    yield {**content, "more": 1}
    for name, value in content.items():
        rest = {key: one for key, one in content.items() if key != name}
        yield rest
        yield {**rest, f"{name}x": value}
        for other in mutate_value(value):
            yield {**rest, name: other}
        if isinstance(value, dict):
            for inner in mutate(value):
                yield {**rest, name: inner}


def rehash(line: Json, body: Json) -> Json:
    """The record with that body and the hash that fits it."""
    text = canonical_bytes(body).decode()
    return {**line, "body": text, "hash": sha256_hex(text.encode())}


def chain_again(lines: Sequence[bytes], start: int) -> list[bytes]:
    """All later records of the same chain made to follow, as a forger who can write would."""
    forged = list(lines)
    before: Json = orjson.loads(lines[start])
    for at in range(start + 1, len(lines)):
        line = orjson.loads(lines[at])
        if line["kind"] != before["kind"] or line.get("device") != before.get("device"):
            break
        body = {**orjson.loads(line["body"]), "prevhash": before["hash"]}
        before = rehash(line, body)
        forged[at] = canonical_bytes(before) + b"\n"
    return forged
