from pathlib import Path

import pytest

from edge_agent.core.desk_zones import ZonesError
from edge_agent.runtime.zones_file import MAX_BYTES, read_zones_file

GOOD = "zones: {a: {role: citizen, polygon: [[0, 0], [1, 0], [1, 1]]}}"


def test_reads_zones_also_with_a_byte_order_mark(tmp_path: Path) -> None:
    path = tmp_path / "zones.yaml"
    path.write_text(GOOD, encoding="utf-8-sig")
    assert [zone.name for zone in read_zones_file(path)] == ["a"]


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (None, "no such file or directory"),
        (b"\xff\xfe\x00", "not text in UTF-8"),
        (b"zones: {}", "at least one zone"),
        (b" " * (MAX_BYTES + 1), "larger than any zones file"),
    ],
)
def test_names_the_file_and_what_is_wrong(
    content: bytes | None, message: str, tmp_path: Path
) -> None:
    path = tmp_path / "zones.yaml"
    if content is not None:
        path.write_bytes(content)
    with pytest.raises(ZonesError, match=f"zones.yaml: .*{message}"):
        read_zones_file(path)


def test_a_folder_is_no_zones_file(tmp_path: Path) -> None:
    with pytest.raises(ZonesError, match="is a directory"):
        read_zones_file(tmp_path)
