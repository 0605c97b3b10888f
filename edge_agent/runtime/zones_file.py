"""Reads a zones file from disk."""

from pathlib import Path

from edge_agent.core.desk_zones import Zone, ZonesError, parse_zones

MAX_BYTES = 1_000_000  # a generous desk has ten zones of ten points, 2 kB


def read_zones_file(path: Path) -> tuple[Zone, ...]:
    """The file's zones; raises `ZonesError` whose one line begins with the file's name."""
    try:
        if path.stat().st_size > MAX_BYTES:
            raise ZonesError("larger than any zones file")
        return parse_zones(path.read_text(encoding="utf-8-sig"))
    except OSError as error:
        raise ZonesError(f"{path}: {(error.strerror or str(error)).lower()}") from None
    except UnicodeDecodeError:
        raise ZonesError(f"{path}: neither YAML nor JSON: not text in UTF-8") from None
    except ZonesError as error:
        raise ZonesError(f"{path}: {error}") from None
