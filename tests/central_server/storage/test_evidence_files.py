"""Pictures on disk: files that grow from where they end, or not at all."""

from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from central_server.storage.evidence_files import DiskFullError, EvidenceFiles, WrongOffsetError
from event_protocol.canonical import sha256_hex
from tests.processes.full_disk import no_file_grows_beyond

CONTENT = bytes(range(256)) * 20
SHA256 = sha256_hex(CONTENT)


@pytest.fixture
def files(tmp_path: Path) -> EvidenceFiles:
    return EvidenceFiles(tmp_path / "evidence", reserve_bytes=0)


def test_an_upload_grows_and_is_kept_under_its_hash(files: EvidenceFiles) -> None:
    assert files.offset_of("one", SHA256) == 0
    assert files.append("one", SHA256, 0, CONTENT[:2000]) == 2000
    assert files.offset_of("one", SHA256) == 2000
    assert files.append("one", SHA256, 2000, CONTENT[2000:]) == len(CONTENT)
    assert files.inspect("one", SHA256) == (SHA256, CONTENT[:16])
    assert not files.has(SHA256)
    files.keep("one", SHA256)
    assert files.path_of(SHA256).read_bytes() == CONTENT
    assert files.offset_of("one", SHA256) == 0
    assert files.path_of(SHA256).stat().st_mode & 0o077 == 0


@pytest.mark.parametrize("offset", [0, 1999, 2001])
def test_a_chunk_from_elsewhere_changes_nothing(files: EvidenceFiles, offset: int) -> None:
    files.append("one", SHA256, 0, CONTENT[:2000])
    with pytest.raises(WrongOffsetError) as refused:
        files.append("one", SHA256, offset, b"other")
    assert refused.value.offset == 2000
    assert files.offset_of("one", SHA256) == 2000


def test_of_two_that_send_the_same_chunk_at_once_one_counts(files: EvidenceFiles) -> None:
    def send(_number: int) -> bool:
        try:
            return files.append("one", SHA256, 0, CONTENT) == len(CONTENT)
        except WrongOffsetError:
            return False

    with ThreadPoolExecutor(4) as pool:
        assert sorted(pool.map(send, range(4))) == [False, False, False, True]
    assert files.inspect("one", SHA256)[0] == SHA256


def test_a_full_disk_keeps_what_was_promised(files: EvidenceFiles) -> None:
    files.append("one", SHA256, 0, CONTENT[:2000])
    with no_file_grows_beyond(3000), pytest.raises(DiskFullError):
        files.append("one", SHA256, 2000, CONTENT[2000:])
    assert files.offset_of("one", SHA256) == 2000
    files.append("one", SHA256, 2000, CONTENT[2000:])
    assert files.inspect("one", SHA256)[0] == SHA256


def test_a_reserve_is_left_for_the_rest_of_the_server(tmp_path: Path) -> None:
    greedy = EvidenceFiles(tmp_path, reserve_bytes=2**62)
    with pytest.raises(DiskFullError):
        greedy.append("one", SHA256, 0, CONTENT)
    assert greedy.offset_of("one", SHA256) == 0


def test_other_content_begins_anew_and_what_is_given_up_goes(files: EvidenceFiles) -> None:
    for sha256 in ("ab" * 32, "cd" * 32):
        files.append("one", sha256, 0, CONTENT)
    files.append("two", SHA256, 0, CONTENT)
    files.discard_parts("one", besides="cd" * 32)
    assert [files.offset_of("one", sha) for sha in ("ab" * 32, "cd" * 32)] == [0, len(CONTENT)]
    files.discard_parts("one")
    assert files.offset_of("one", "cd" * 32) == 0
    assert files.offset_of("two", SHA256) == len(CONTENT)


def test_erasing_can_be_repeated(files: EvidenceFiles) -> None:
    files.append("one", SHA256, 0, CONTENT)
    files.keep("one", SHA256)
    for _ in range(2):
        files.erase(SHA256)
        assert not files.has(SHA256)
