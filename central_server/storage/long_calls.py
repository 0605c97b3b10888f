"""Where a thread waits for the database for milliseconds, and others could have the interpreter."""

import threading
from collections.abc import Callable
from contextlib import AbstractContextManager, nullcontext

_of_thread = threading.local()


def wrap_in(wrapping: Callable[[], AbstractContextManager[object]]) -> None:
    """From now on each long call of this thread is made inside `wrapping()`."""
    _of_thread.wrapping = wrapping


def long_call() -> AbstractContextManager[object]:
    """To be held around such a call."""
    wrapping: Callable[[], AbstractContextManager[object]] = getattr(
        _of_thread, "wrapping", nullcontext
    )
    return wrapping()
