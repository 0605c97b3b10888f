"""Sends one message to mail, webhook and SMS gateways, never for longer than a time limit."""

import hashlib
import time
from collections.abc import Iterable
from dataclasses import dataclass
from threading import Thread

import apprise


@dataclass(frozen=True, slots=True)
class Words:
    """What is sent: no word of a citizen, for it passes through other people's machines."""

    title: str
    body: str


def target_name(address: str) -> str:
    """A short name for an address that may hold a password."""
    return hashlib.sha256(address.encode()).hexdigest()[:12]


def send_to_all(words: Words, addresses: Iterable[str], timeout_s: float) -> frozenset[str]:
    """The names of the targets that took it. All are tried at once; one that hangs or fails takes
    nothing from the others, and one still hanging at the end is left to its own thread.
    """
    took: set[str] = set()
    threads = [
        Thread(target=_send, args=(words, address, took), name="notify", daemon=True)
        for address in addresses
    ]
    for thread in threads:
        thread.start()
    ends = time.monotonic() + timeout_s
    for thread in threads:
        thread.join(max(0.0, ends - time.monotonic()))
    return frozenset(took.copy())


def _send(words: Words, address: str, took: set[str]) -> None:
    sender = apprise.Apprise()
    if sender.add(address) and sender.notify(title=words.title, body=words.body):
        took.add(target_name(address))
