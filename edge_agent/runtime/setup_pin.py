"""The PIN that protects the wizard: shown once on the console, kept as a slow hash."""

import secrets
from pathlib import Path

from pwdlib import PasswordHash

from edge_agent.delivery.files import write_whole

FILE_NAME = "setup_pin.hash"
DIGITS = 8  # at one try a second, guessing takes three years


def make_pin_if_missing(folder: Path) -> str | None:
    """A new PIN to show to the installer, or `None` if there is one already."""
    return None if (folder / FILE_NAME).exists() else make_pin(folder)


def make_pin(folder: Path) -> str:
    """A new PIN in the old one's place."""
    pin = "".join(secrets.choice("0123456789") for _ in range(DIGITS))
    write_whole(folder / FILE_NAME, PasswordHash.recommended().hash(pin).encode())
    return pin


def is_pin(folder: Path, pin: str) -> bool:
    """Whether that is the PIN; takes some tens of milliseconds on purpose."""
    try:
        stored = (folder / FILE_NAME).read_text()
    except FileNotFoundError:
        return False
    return PasswordHash.recommended().verify(pin, stored)
