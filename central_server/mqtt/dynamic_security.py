"""Accounts and topic rules in the terms of Mosquitto's dynamic security plug-in.

The rule is `event_protocol.topics`' one; the plug-in of Mosquitto 2.0 fills no name into a pattern,
so each device has a role of its own.
"""

import hashlib
from collections.abc import Iterable, Mapping
from typing import Any

from event_protocol.names import DeviceId
from event_protocol.topics import FROM_DEVICE, TO_DEVICE, topic_of, topics_of_all

CONTROL_TOPIC = "$CONTROL/dynamic-security/v1"
ANSWER_TOPIC = f"{CONTROL_TOPIC}/response"

_SEND, _RECEIVE, _SUBSCRIBE = "publishClientSend", "publishClientReceive", "subscribeLiteral"
_SERVER_ROLE = "server"
# Nothing is allowed that no role allows; to want less is always allowed.
_DEFAULTS = {_SEND: False, _RECEIVE: False, "subscribe": False, "unsubscribe": True}


def role_of(device: DeviceId) -> str:
    """The role's name; no device's name holds a dot, so it is nobody else's."""
    return f"device.{device}"


def mark_of(hashed: str) -> str:
    """Stands with the account at the broker and changes with the password."""
    return hashlib.sha256(hashed.encode()).hexdigest()[:16]


def creation(device: DeviceId, password: str, hashed: str) -> list[dict[str, Any]]:
    """Commands that give a device its account: its own client id, its own topics."""
    return [
        {"command": "createRole", **_device_role(device)},
        {
            "command": "createClient",
            "username": device,
            "password": password,
            "clientid": device,
            "textdescription": mark_of(hashed),
            "roles": [{"rolename": role_of(device)}],
        },
    ]


def removal(device: DeviceId) -> list[dict[str, Any]]:
    """Commands that take the account away; who is connected by it is cut off at once."""
    return [
        {"command": "deleteClient", "username": device},
        {"command": "deleteRole", "rolename": role_of(device)},
    ]


def read_marks(clients: Iterable[Mapping[str, Any]]) -> dict[DeviceId, str]:
    """The mark of each device's account, from the answer to a verbose `listClients`.

    Accounts that are not ours to keep are left out.
    """
    return {
        DeviceId(client["username"]): client.get("textdescription", "")
        for client in clients
        if any(role["rolename"] == role_of(client["username"]) for role in client["roles"])
    }


def first_state(server: str, server_hash: str, devices: Mapping[str, str]) -> dict[str, Any]:
    """What the plug-in begins with: its whole file, from names and password hashes."""
    return {
        "defaultACLAccess": _DEFAULTS,
        "clients": [
            {
                "username": server,
                **_hash_fields(server_hash),
                "roles": [{"rolename": _SERVER_ROLE}],
            },
            *(
                {
                    "username": device,
                    "clientid": device,
                    "textdescription": mark_of(hashed),
                    **_hash_fields(hashed),
                    "roles": [{"rolename": role_of(DeviceId(device))}],
                }
                for device, hashed in sorted(devices.items())
            ),
        ],
        "groups": [],
        "roles": [_server_role(), *(_device_role(DeviceId(device)) for device in sorted(devices))],
    }


def _device_role(device: DeviceId) -> dict[str, Any]:
    down = [topic_of(device, channel) for channel in sorted(TO_DEVICE)]
    return {
        "rolename": role_of(device),
        "acls": [
            *(_allow(_SEND, topic_of(device, channel)) for channel in sorted(FROM_DEVICE)),
            *(_allow(kind, topic) for topic in down for kind in (_SUBSCRIBE, _RECEIVE)),
        ],
    }


def _server_role() -> dict[str, Any]:
    up = [*(topics_of_all(channel) for channel in sorted(FROM_DEVICE)), ANSWER_TOPIC]
    down = [*(topics_of_all(channel) for channel in sorted(TO_DEVICE)), CONTROL_TOPIC]
    return {
        "rolename": _SERVER_ROLE,
        "acls": [
            *(_allow(_SEND, topic) for topic in down),
            *(_allow(kind, topic) for topic in up for kind in (_SUBSCRIBE, _RECEIVE)),
        ],
    }


def _allow(kind: str, topic: str) -> dict[str, Any]:
    return {"acltype": kind, "topic": topic, "allow": True, "priority": 0}


def _hash_fields(hashed: str) -> dict[str, Any]:
    """From `$7$iterations$salt$hash`, which is how Mosquitto's password files have it."""
    _, _, iterations, salt, digest = hashed.split("$")
    return {"password": digest, "salt": salt, "iterations": int(iterations)}
