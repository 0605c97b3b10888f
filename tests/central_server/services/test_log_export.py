"""An export proves itself: whatever is changed in it, or was before it was made, is found."""

import subprocess
import sys
from collections.abc import Sequence
from io import BytesIO
from pathlib import Path
from typing import Any

import orjson
import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from central_server.services import anchors
from central_server.services.context import ServerContext
from central_server.storage import schema
from central_server.storage.unit_of_work import Database
from event_protocol.canonical import canonical_bytes
from event_protocol.server_heads import SignedHead, public_hex
from event_protocol.verify_export import verify_export
from tests.central_server.services.proof_world import (
    FORMER_KEY,
    chain_again,
    export,
    is_record,
    make_logs,
    mutate,
    rehash,
    seal_again,
)

WITHOUT_DATABASE = """
import sys
from event_protocol.verify_export import main
code = main(sys.argv[1:])
used = {name.partition(".")[0] for name in sys.modules}
assert not used & {"central_server", "edge_agent", "sqlalchemy", "sqlite3", "fastapi"}, used
sys.exit(code)
"""


@pytest.fixture(scope="module")
def context(tmp_path_factory: pytest.TempPathFactory) -> ServerContext:
    """A server whose logs have one of everything."""
    folder = tmp_path_factory.mktemp("proof")
    database = Database(f"sqlite:///{folder / 'server.sqlite'}")
    schema.migrate(database)
    return make_logs(database, folder)


@pytest.fixture(scope="module")
def lines(context: ServerContext) -> list[bytes]:
    return export(context)


@pytest.fixture(scope="module")
def head(context: ServerContext, lines: Sequence[bytes]) -> SignedHead:
    """The copy that was taken away right before the export."""
    return list(anchors.read_copies(context.settings.anchors_directory))[-1]


def find(
    lines: Sequence[bytes], key: Ed25519PrivateKey, heads: Sequence[SignedHead] = ()
) -> list[str]:
    """Every deviation of that file, for who trusts that key."""
    found = verify_export(BytesIO(b"".join(lines)), [public_hex(key)], heads)
    return [str(one) for one in found]


def is_found(
    lines: Sequence[bytes], key: Ed25519PrivateKey, names: tuple[str, ...] = ("",)
) -> bool:
    """Whether anything is, of a record of that name; stops there."""
    found = verify_export(BytesIO(b"".join(lines)), [public_hex(key)])
    return any(str(one).startswith(names) for one in found)


def type_of(line: bytes) -> str:
    """What kind of entry or event the record is."""
    said = orjson.loads(line)
    body = orjson.loads(said.get("body", "{}"))
    return str(body.get("type") or body.get("data", {}).get("type") or said["kind"])


def name_of(line: bytes) -> str:
    said = orjson.loads(line)
    log = "server" if said["kind"] == "entry" else f"{said['device']}/{said['epoch']}"
    return f"{log} #{said['sequence']}:"


def test_an_export_holds_every_kind_and_is_what_was_written(
    context: ServerContext, lines: list[bytes], head: SignedHead
) -> None:
    kinds = [orjson.loads(line)["kind"] for line in lines]
    assert {*kinds} == {"export", "entry", "stream", "event", "end"}
    assert kinds.count("stream") == 4
    assert find(lines, context.keys.signing) == []
    assert find(lines, FORMER_KEY) == []  # it vouches for its successor
    assert find(lines, context.keys.signing, [head]) == []
    assert b"sealed" not in b"".join(lines)


def test_every_change_of_the_file_is_found(context: ServerContext, lines: list[bytes]) -> None:
    """Each field of each type of line changed, removed, renamed, added; lines cut and doubled."""
    key = context.keys.signing
    missed, tried = [], 0
    for at in {type_of(line): at for at, line in enumerate(lines)}.values():
        line = lines[at]
        changed = [canonical_bytes(one) + b"\n" for one in mutate(orjson.loads(line))]
        changed += [b"", b"\n", b"{}\n", line[:-1], line + line, line[: len(line) // 2] + b"\n"]
        for other in changed:
            tried += 1
            if other != line and not is_found([*lines[:at], other, *lines[at + 1 :]], key):
                missed.append((at, other))
    assert tried > 500
    assert missed == []


@pytest.mark.parametrize("place", [0, 1, -1])
def test_every_byte_counts(context: ServerContext, lines: list[bytes], place: int) -> None:
    key, line = context.keys.signing, lines[place]
    for at in range(len(line)):
        flipped = bytearray(line)
        flipped[at] ^= 1
        forged = list(lines)
        forged[place] = bytes(flipped)
        assert is_found(forged, key), (place, at)


def test_every_change_of_a_record_before_the_export_is_named(
    context: ServerContext, lines: list[bytes]
) -> None:
    """As if somebody had changed the database, and the server then exported in good faith: every
    field at every depth, in one record of each type.
    """
    records, key = lines[:-1], context.keys.signing
    missed, types = [], set()
    for at, line in enumerate(records):
        if not is_record(line) or (kind := type_of(line)) in types:
            continue
        types.add(kind)
        said = orjson.loads(line)
        forgeries = [{**said, "hash": "ab" * 32}, {**said, "sequence": said["sequence"] + 1}]
        forgeries += [{**said, "body": canonical_bytes(one).decode()} for one in bodies_of(said)]
        for forged in forgeries:
            others = [*records[:at], write(forged), *records[at + 1 :]]
            names = (name_of(line), name_of(write(forged)))
            if forged != said and not is_found(seal_again(others, key), key, names):
                missed.append(forged)
    assert {"device.paired", "log.anchored", "streams.anchored", "keys.rotated"} < types
    assert {
        "onestop.device.checkpoint",
        "onestop.feedback.submitted",
        "onestop.device.started",
    } < types
    assert missed == []


def test_a_chain_that_was_made_to_fit_again_is_found_by_what_was_signed(
    context: ServerContext, lines: list[bytes]
) -> None:
    """Each record changed with its hash, and everything behind it chained anew."""
    records, key = lines[:-1], context.keys.signing
    anchor = max(at for at, line in enumerate(records) if type_of(line) == "log.anchored")
    missed = []
    for at, line in enumerate(records):
        # The last anchor's own entry and what follows it: see the next test.
        if not is_record(line) or at in (anchor, anchor + 1):
            continue
        said = orjson.loads(line)
        body = {**orjson.loads(said["body"]), "forged": True}
        forged = [*records[:at], write(rehash(said, body)), *records[at + 1 :]]
        if not is_found(seal_again(chain_again(forged, at), key), key):
            missed.append(said)
    assert missed == []


def test_what_lies_behind_the_last_head_is_proved_by_the_next_one(
    context: ServerContext, lines: list[bytes], head: SignedHead
) -> None:
    """The limit of any such proof, and why heads are made daily and taken away."""
    records, key = lines[:-1], context.keys.signing
    last = max(at for at, line in enumerate(records) if orjson.loads(line)["kind"] == "entry")
    said = orjson.loads(records[last])
    forged = write(rehash(said, {**orjson.loads(said["body"]), "forged": True}))
    unproved = seal_again([*records[:last], forged, *records[last + 1 :]], key)
    assert find(unproved, key) == []
    later = list(anchors.read_copies(context.settings.anchors_directory))[-1]
    assert later == head
    next_head = anchors.anchor(context)
    assert next_head is not None
    assert find(unproved, key, [next_head]) != []


def test_removed_repeated_swapped_and_moved_records_are_found(
    context: ServerContext, lines: list[bytes]
) -> None:
    records, key = lines[:-1], context.keys.signing
    last_entry = max(at for at, line in enumerate(records) if orjson.loads(line)["kind"] == "entry")
    for at in range(1, len(records)):
        rest = [*records[:at], *records[at + 1 :]]
        changed = [
            [*records[: at + 1], *records[at:]],
            [*rest[: at + 1], records[at], *rest[at + 1 :]],
            [records[0], records[at], *rest[1:]],
            [*rest, records[at]],
        ]
        if at != last_entry:
            changed.append(rest)
        for forged in changed:
            assert forged == records or find(seal_again(forged, key), key), at


def test_a_cut_tail_is_found_by_the_head_that_was_kept(
    context: ServerContext, lines: list[bytes], head: SignedHead
) -> None:
    records, key = lines[:-1], context.keys.signing
    for cut in range(1, len(records)):
        assert find(seal_again(records[:cut], key), key, [head]), cut


def test_a_file_without_its_end_or_beginning_is_named(
    context: ServerContext, lines: list[bytes]
) -> None:
    key = context.keys.signing
    assert find(lines[:-1], key) == [f"export #{len(lines)}: the end is missing: the file was cut"]
    assert "export #1: the beginning is missing" in find(lines[1:], key)
    behind = find([*lines, lines[-1]], key)
    assert behind == [f"export #{len(lines) + 1}: stands behind the end"]


def test_a_strangers_key_is_none(context: ServerContext, lines: list[bytes]) -> None:
    stranger = Ed25519PrivateKey.generate()
    found = find(lines, stranger)
    assert any("no trusted one vouches for" in one for one in found)
    forged = {**orjson.loads(lines[0]), "key": public_hex(stranger)}
    again = seal_again([write(forged), *lines[1:-1]], stranger)
    assert find(again, context.keys.signing) != []


def test_the_verifier_stands_alone(
    context: ServerContext, lines: list[bytes], tmp_path: Path, repository: Path
) -> None:
    whole, forged, copy = (tmp_path / name for name in ("log", "forged", "head"))
    whole.write_bytes(b"".join(lines))
    forged.write_bytes(b"".join([*lines[:4], *lines[5:]]))
    [*_, path] = sorted(context.settings.anchors_directory.iterdir())
    copy.write_bytes(path.read_bytes())
    key = public_hex(context.keys.signing)

    def run(*arguments: str | Path) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [sys.executable, "-c", WITHOUT_DATABASE, *map(str, arguments)],
            cwd=repository,
            capture_output=True,
            text=True,
            timeout=60,
            check=False,
        )

    honest = run(whole, "--key", key)
    assert (honest.returncode, honest.stdout) == (0, "the log is what was written\n"), honest.stderr
    found = run(forged, "--key", key)
    assert found.returncode == 1
    assert "server #4: missing, up to 4\n" in found.stdout
    unsure = run(whole, "--head", copy)
    assert "no --key was given" in unsure.stderr
    assert run(tmp_path / "nowhere").returncode == 2


def bodies_of(line: dict[str, Any]) -> list[dict[str, Any]]:
    body = orjson.loads(line["body"])
    rules = body["data"].pop("content", None)  # a hundred fields of one byte class
    return [{**one, "rules": rules} if rules else one for one in mutate(body)]


def write(line: dict[str, Any]) -> bytes:
    return canonical_bytes(line) + b"\n"
