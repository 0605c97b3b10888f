"""What `make demo` is asked for: understood, or refused with what to change."""

import socket
from pathlib import Path

import pytest

from scripts.demo_request import RealDesk, WrongRequestError, read_request
from tests.processes.ports import free_port


@pytest.fixture
def desk(tmp_path: Path) -> dict[str, str]:
    (tmp_path / "desk.mp4").touch()
    (tmp_path / "zones.yaml").touch()
    return {
        "PORT": str(free_port()),
        "SOURCE": str(tmp_path / "desk.mp4"),
        "ZONES": str(tmp_path / "zones.yaml"),
        "EMPTY": "0-5",
    }


def test_without_a_source_there_are_the_drawn_rooms() -> None:
    port = free_port()
    request = read_request({"PORT": str(port), "SOURCE": "", "ZONES": "", "EMPTY": ""})
    assert (request.port, request.desk) == (port, None)
    assert len({request.port, request.kiosk_port, request.broker_port}) == 3


def test_a_real_desk_is_named_by_whole_paths(desk: dict[str, str], tmp_path: Path) -> None:
    expected = RealDesk(str(tmp_path / "desk.mp4"), tmp_path / "zones.yaml", "0-5")
    assert read_request(desk).desk == expected
    assert read_request({**desk, "EMPTY": ""}).desk == RealDesk(
        expected.source, expected.zones_file, None
    )


@pytest.mark.parametrize("source", ["rtsp://127.0.0.1/desk", "usb:0", "0"])
def test_a_stream_or_a_device_need_not_be_a_file(desk: dict[str, str], source: str) -> None:
    real = read_request({**desk, "SOURCE": source}).desk
    assert real is not None
    assert real.source == source


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"PORT": "eighty"}, "a port is a number"),
        ({"PORT": "70000"}, "a port is a number"),
        ({"SOURCE": "gone.mp4"}, "no such file"),
        ({"SOURCE": ""}, "there is none"),
        ({"ZONES": ""}, "name a file"),
        ({"ZONES": "gone.yaml"}, "name a file"),
        ({"EMPTY": "five"}, "seconds in which nobody is there"),
    ],
)
def test_what_can_not_be_shown_is_refused(
    desk: dict[str, str], change: dict[str, str], message: str
) -> None:
    with pytest.raises(WrongRequestError, match=message):
        read_request({**desk, **change})


def test_a_port_in_use_is_named() -> None:
    with socket.create_server(("127.0.0.1", 0)) as other:
        port = other.getsockname()[1]
        with pytest.raises(WrongRequestError, match=f"port {port} is in use"):
            read_request({"PORT": str(port)})
