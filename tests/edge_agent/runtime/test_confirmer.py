"""The confirmer as a box runs it: what can be used answers, all else is said once."""

import hashlib
import re
import signal
import threading
import time
from collections.abc import Iterator, Sequence
from datetime import UTC, datetime
from pathlib import Path

import numpy as np
import psutil
import pytest
from structlog.testing import capture_logs

from edge_agent.core.confirmation import Box
from edge_agent.runtime.confirmer import SLOW_LOOKS, Confirmer
from edge_agent.settings import ConfirmerSettings
from edge_agent.vision.frames import Frame
from tests.edge_agent.vision.onnx_models import bright_quarters_model
from tests.processes.ports import wait_until

SIDE = 64
AT = datetime(2030, 1, 1, tzinfo=UTC)


def make_settings(folder: Path, model: bytes, **other: object) -> ConfirmerSettings:
    file = folder / "model.onnx"
    file.write_bytes(model)
    fields = {
        "layout": "ssd",
        "model": file,
        "sha256": hashlib.sha256(model).hexdigest(),
        "input_size": SIDE,
        "person_class": 1,
        **other,
    }
    return ConfirmerSettings.model_validate(fields)


class Answers:
    """What the confirmer's thread said, for another thread to wait for."""

    def __init__(self) -> None:
        self.given: list[Sequence[Box]] = []
        self._came = threading.Semaphore(0)

    def __call__(self, boxes: Sequence[Box]) -> None:
        self.given.append(boxes)
        self._came.release()

    def wait(self) -> Sequence[Box]:
        assert self._came.acquire(timeout=60)
        return self.given[-1]


def frame(light: int) -> Frame:
    image = np.zeros((90, 160, 3), np.uint8)
    image[45:, :80] = light
    return Frame(image, AT)


def the_child() -> psutil.Process:
    """The process that reads the model."""
    (child,) = (p for p in psutil.Process().children() if "detector_process" in p.cmdline()[2])
    return child


@pytest.fixture
def running(tmp_path: Path) -> Iterator[Confirmer]:
    """One that answers, with a fifth of a second for each look."""
    settings = make_settings(tmp_path, bright_quarters_model(SIDE), budget_ms=200)
    confirmer, answers = Confirmer(settings), Answers()
    confirmer.start()
    assert confirmer.ask(frame(255), answers)
    assert answers.wait() == [(0, 0.5, 0.5, 1)]
    yield confirmer
    confirmer.stop()


def test_looks_at_one_picture_after_the_other_until_it_is_slow_for_long(running: Confirmer) -> None:
    answers = Answers()
    assert running.ask(frame(0), answers)
    assert answers.wait() == []
    for _ in range(SLOW_LOOKS):
        assert running.problem is None
        the_child().suspend()
        assert running.ask(frame(255), answers)
        time.sleep(0.3)
        the_child().resume()
        assert len(answers.wait()) == 1, "a slow answer is one"
    wait_until(lambda: running.problem is not None, 10, "the end of patience")
    assert running.problem == "3 looks took longer than 200 ms"
    assert not running.ask(frame(255), answers)


@pytest.mark.parametrize(
    ("fate", "reason"),
    [
        (signal.SIGSEGV, "the model crashed the process that reads it (exit status -11)"),
        (signal.SIGSTOP, "no answer within 2 s"),
    ],
    ids=["crash", "hang"],
)
def test_a_crash_or_a_hang_is_the_childs_alone(
    running: Confirmer, fate: signal.Signals, reason: str
) -> None:
    child = the_child()
    child.send_signal(fate)
    assert running.ask(frame(255), Answers())
    wait_until(lambda: running.problem is not None, 10, "the end")
    assert running.problem == reason
    wait_until(lambda: not child.is_running(), 10, "the child's end")


def test_it_ends_in_the_middle_of_a_look_without_complaint(running: Confirmer) -> None:
    the_child().suspend()
    assert running.ask(frame(255), Answers())
    running.stop()
    assert running.problem is None


def test_while_it_is_busy_further_pictures_are_not_taken(tmp_path: Path) -> None:
    confirmer = Confirmer(make_settings(tmp_path, b"never read"))
    assert confirmer.ask(frame(255), Answers())
    assert not confirmer.ask(frame(255), Answers())


def test_what_is_too_slow_is_refused_at_the_start_and_said_once(tmp_path: Path) -> None:
    settings = make_settings(tmp_path, bright_quarters_model(SIDE), budget_ms=1e-3)
    confirmer = Confirmer(settings)
    with capture_logs() as logs:
        confirmer.start()
        wait_until(lambda: confirmer.problem is not None, 60, "the refusal")
        assert not confirmer.ask(frame(255), Answers())
        confirmer.stop()
    assert re.search("no answer within|longer than", confirmer.problem or "")
    assert [(log["event"], log["reason"]) for log in logs] == [("confirmer_off", confirmer.problem)]
