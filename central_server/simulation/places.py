"""Where simulated desks stand: a province, its communes, two desks to a box. Invented places."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import yaml

from central_server.simulation.fleet import SimulatedDevice
from central_server.simulation.habits import DISHONEST, HONEST
from event_protocol.names import DeskId, DeviceId

PROVINCE = "simulated"
PROVINCE_NAME = "Tỉnh mô phỏng"
DESKS_A_BOX = 2
# Names that many provinces have, so that none is meant.
_NAMES = (
    "Phường An Bình",
    "Xã Hòa Sơn",
    "Xã Tân Lập",
    "Phường Minh Khai",
    "Xã Phú Xuân",
    "Xã Đông Hải",
    "Phường Quảng Phú",
    "Xã Yên Thịnh",
    "Xã Nghĩa Hưng",
    "Xã Thanh Liên",
)


def plan_devices(desks: int, dishonest: int) -> list[SimulatedDevice]:
    """A box for each commune; the last `dishonest` desks game their measurement."""
    found = []
    for box, first in enumerate(range(0, desks, DESKS_A_BOX), 1):
        numbers = range(first, min(first + DESKS_A_BOX, desks))
        found.append(
            SimulatedDevice(
                DeviceId(f"sim-{box:04d}-box"),
                tuple(
                    (
                        DeskId(f"sim-{box:04d}-desk-{number % DESKS_A_BOX + 1}"),
                        DISHONEST if number >= desks - dishonest else HONEST,
                    )
                    for number in numbers
                ),
            )
        )
    return found


def write_units(devices: list[SimulatedDevice], province: str | None, file: Path) -> None:
    """The file that `load-units` reads; `province`: an existing unit to put the communes under."""
    units: list[dict[str, Any]] = []
    if province is None:
        units.append({"id": PROVINCE, "name": PROVINCE_NAME, "kind": "province"})
    parent = province or PROVINCE
    for box, device in enumerate(devices):
        units.append(
            {
                "id": _unit_of(device),
                "parent": parent,
                "name": _name_of(box),
                "kind": "commune",
            }
        )
    document = {
        "units": units,
        "devices": [{"id": one.device, "unit": _unit_of(one)} for one in devices],
        "desks": list(_desks_of(devices)),
    }
    file.write_text(yaml.safe_dump(document, allow_unicode=True, sort_keys=False))


def _desks_of(devices: list[SimulatedDevice]) -> Iterator[dict[str, str]]:
    for one in devices:
        for number, (desk, _) in enumerate(one.desks, 1):
            yield {
                "id": desk,
                "unit": _unit_of(one),
                "name": f"Bàn {number}",
                "device": one.device,
            }


def _unit_of(device: SimulatedDevice) -> str:
    return device.device.removesuffix("-box")


def _name_of(box: int) -> str:
    name = _NAMES[box % len(_NAMES)]
    return name if box < len(_NAMES) else f"{name} {box // len(_NAMES) + 1}"
