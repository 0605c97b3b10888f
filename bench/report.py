"""Measured figures with their targets: a table for people, JSON for comparisons."""

import json
import platform
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from datetime import datetime
from pathlib import Path

from rich.console import Console
from rich.table import Table


@dataclass(frozen=True, slots=True)
class Figure:
    """One measured value. `target` is a lower bound, or an upper one if `is_limit`."""

    name: str
    value: float
    unit: str
    target: float | None = None
    is_limit: bool = False
    note: str = ""

    @property
    def is_met(self) -> bool | None:
        """Whether the target is met; `None` without one."""
        if self.target is None:
            return None
        return self.value <= self.target if self.is_limit else self.value >= self.target


def print_table(figures: Sequence[Figure], console: Console) -> None:
    """All figures, those that miss their target in red and in words."""
    table = Table("Figure", "Measured", "Target", "Met", "How")
    table.columns[1].justify = table.columns[2].justify = "right"
    for figure in figures:
        bound = "" if figure.target is None else f"{'≤' if figure.is_limit else '≥'} "
        met = {None: "", True: "[green]met[/green]", False: "[bold red]missed[/bold red]"}
        table.add_row(
            figure.name,
            _format(figure.value, figure.unit),
            "" if figure.target is None else bound + _format(figure.target, figure.unit),
            met[figure.is_met],
            figure.note,
        )
    console.print(table)


def store(figures: Sequence[Figure], folder: Path, at: datetime) -> Path:
    """Write `folder/<timestamp>.json` with the figures and what they were measured on."""
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / f"{at:%Y%m%dT%H%M%SZ}.json"
    content = {
        "at": at.isoformat(timespec="seconds"),
        "machine": {
            "system": platform.platform(),
            "processor": platform.machine(),
            "python": platform.python_version(),
        },
        "figures": [{**asdict(figure), "is_met": figure.is_met} for figure in figures],
    }
    path.write_text(json.dumps(content, indent=2, ensure_ascii=False) + "\n")
    return path


def _format(value: float, unit: str) -> str:
    digits = 0 if abs(value) >= 100 else 2
    return f"{value:,.{digits}f} {unit}".strip()
