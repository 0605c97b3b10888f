"""Reads back the index of an MP4 that holds one video (ISO/IEC 14496-12 and -15). Pure.

FFmpeg would decode pictures only to learn what the index says: to open a segment with it costs as
much as to decode its key frame.
"""

import struct
from dataclasses import dataclass
from itertools import accumulate, islice, pairwise

Place = tuple[int, int]
"""Where something begins in the file, and where it ends."""

_BOX_FIELDS = 8  # size and type
_TABLE_FIELDS = 8  # version, flags and number of entries
_PICTURE_FIELDS = 78  # what a picture's sample entry says before the boxes within it
_CONFIGURATIONS = (b"avcC", b"hvcC")


class Mp4Error(ValueError):
    """The file has no such index, or one that contradicts the file."""


@dataclass(frozen=True, slots=True)
class Mp4Index:
    """What the file says of its video."""

    pictures: tuple[Place, ...]
    """Of each picture; one after the other, within the file's data."""
    begins_with_key: bool
    lasts_s: float
    """From the first picture to the last one, by their decoding times."""
    configuration: bytes
    """The codec's parameter sets as its decoder wants them; empty if it has none."""


def read_index(mp4: bytes) -> Mp4Index:
    """The index of a file with one track; raises `Mp4Error`."""
    try:
        return _read(mp4)
    except (struct.error, LookupError, ZeroDivisionError) as error:
        raise Mp4Error(f"no index can be read: {error!r}") from error


def _read(mp4: bytes) -> Mp4Index:
    top = _boxes(mp4, (0, len(mp4)))
    if top[b"moov"] > top[b"mdat"]:
        raise Mp4Error("the index does not stand in front")
    media = _boxes(mp4, _descend(mp4, top[b"moov"], b"trak", b"mdia"))
    tables = _boxes(mp4, _descend(mp4, media[b"minf"], b"stbl"))
    pictures = _place_pictures(mp4, tables)
    begin, end = top[b"mdat"]
    in_order = pairwise([(begin, begin), *pictures, (end, end)])
    if any(following < last for (_, last), (following, _) in in_order):
        raise Mp4Error("pictures overlap, or lie outside the file's data")
    # Without a table of key pictures, all are.
    is_key_first = b"stss" not in tables or _entries(mp4, tables[b"stss"], 1)[:1] == (1,)
    lasts_s = _count_ticks(mp4, tables[b"stts"]) / _ticks_a_second(mp4, media[b"mdhd"])
    return Mp4Index(pictures, is_key_first, lasts_s, _configuration(mp4, tables[b"stsd"]))


def _boxes(mp4: bytes, place: Place) -> dict[bytes, Place]:
    """Where the content of each box in that place lies; of several of one type, the last."""
    found = {}
    at, end = place
    while at < end:
        size, kind = struct.unpack_from(">I4s", mp4, at)
        if size < _BOX_FIELDS or at + size > end:  # no segment has boxes beyond 32 bits
            raise Mp4Error(f"a box of {size} bytes does not fit")
        found[kind] = at + _BOX_FIELDS, at + size
        at += size
    return found


def _descend(mp4: bytes, place: Place, *kinds: bytes) -> Place:
    for kind in kinds:
        place = _boxes(mp4, place)[kind]
    return place


def _entries(mp4: bytes, place: Place, width: int) -> tuple[int, ...]:
    """The numbers of a table whose entries have so many each."""
    begin, end = place
    (count,) = struct.unpack_from(">I", mp4, begin + 4)
    if begin + _TABLE_FIELDS + 4 * width * count > end:
        raise Mp4Error("a table is cut off")
    return struct.unpack_from(f">{width * count}I", mp4, begin + _TABLE_FIELDS)


def _place_pictures(mp4: bytes, tables: dict[bytes, Place]) -> tuple[Place, ...]:
    """Pictures lie in chunks; the tables hold where these begin, and each picture's size."""
    sizes, chunks = _sizes(mp4, tables[b"stsz"]), _entries(mp4, tables[b"stco"], 1)
    counts = _counts_by_chunk(_entries(mp4, tables[b"stsc"], 3), len(chunks))
    if len(counts) != len(chunks) or sum(counts) != len(sizes):
        raise Mp4Error("the tables disagree")
    places: list[Place] = []
    left = iter(sizes)
    for begin, count in zip(chunks, counts, strict=True):
        places += pairwise(accumulate(islice(left, count), initial=begin))
    return tuple(places)


def _sizes(mp4: bytes, place: Place) -> tuple[int, ...]:
    begin, end = place
    of_all, count = struct.unpack_from(">II", mp4, begin + 4)
    if not of_all:
        return _entries(mp4, (begin + 4, end), 1)
    if of_all * count > len(mp4):
        raise Mp4Error("the pictures are larger than the file")
    return (of_all,) * int(count)


def _counts_by_chunk(runs: tuple[int, ...], chunks: int) -> list[int]:
    """How many pictures each chunk has; a run of chunks with as many begins at its first number."""
    counts: list[int] = []
    firsts = [*runs[::3], chunks + 1]
    for (first, following), count in zip(pairwise(firsts), runs[1::3], strict=True):
        counts += [count] * min(following - first, chunks)
    return counts


def _count_ticks(mp4: bytes, place: Place) -> int:
    """From the first picture to the last."""
    runs = _entries(mp4, place, 2)
    return sum(count * lasts for count, lasts in zip(runs[::2], runs[1::2], strict=True)) - runs[-1]


def _ticks_a_second(mp4: bytes, place: Place) -> int:
    begin, _ = place
    is_long = mp4[begin] == 1  # the times before it have 64 bits each
    (ticks,) = struct.unpack_from(">I", mp4, begin + (20 if is_long else 12))
    return int(ticks)


def _configuration(mp4: bytes, place: Place) -> bytes:
    begin, end = place
    entries = _boxes(mp4, (begin + _TABLE_FIELDS, end))
    begin, end = next(iter(entries.values()), (0, 0))
    inner = _boxes(mp4, (begin + _PICTURE_FIELDS, end))
    return next((mp4[slice(*inner[kind])] for kind in _CONFIGURATIONS if kind in inner), b"")
