"""The places and people of the demo, and its server's settings. Imports neither program."""

from dataclasses import dataclass
from pathlib import Path

from scripts.demo_request import Request

UNITS_FILE = Path(__file__).resolve().parent.parent / "configs" / "demo" / "units.yaml"
CLUSTER = "cluster"  # where the chief's units are, simulated ones included
WARD = "ward"
BOX = "ward-box"
DESKS = ("ward-1", "ward-2")

# Who, as what, over which units.
LOGINS = (
    ("lead", "lead_inspector", "province"),
    ("inspector", "inspector", "province"),
    ("chief", "supervisor", CLUSTER),
    ("officer", "unit_officer", WARD),
    ("operator", "operator", "province"),
    ("auditor", "auditor", "province"),
    ("admin", "administrator", "province"),
)


@dataclass(frozen=True, slots=True)
class Login:
    """A log-in of the demo; the password is told once."""

    name: str
    role: str
    password: str


@dataclass(frozen=True, slots=True)
class Prepared:
    """What must be told to people and to the agent."""

    logins: list[Login]
    pairing_code: str


def server_environment(request: Request, folder: Path) -> dict[str, str]:
    """The server's settings as environment variables."""
    address = f"http://127.0.0.1:{request.port}"
    return {
        "ONESTOP_DIRECTORY": str(folder / "server"),
        "ONESTOP_RULES_FILE": str(UNITS_FILE.parent.parent / "flag_rules.yaml"),
        "ONESTOP_WEB__PORT": str(request.port),
        "ONESTOP_WEB__PUBLIC_URL": address,
        "ONESTOP_WEB__INTERNAL_URL": address,  # where boxes bring pictures, too
        "ONESTOP_BROKER__EMBEDDED": "true",
        "ONESTOP_BROKER__PORT": str(request.broker_port),
    }
