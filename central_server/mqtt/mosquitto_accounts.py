"""Keeps a Mosquitto's accounts equal to the registry, over a connection of its own.

Nobody copies a file after pairing, and who is revoked is cut off with the next round. A broker that
lost its accounts, but for the server's own, gets them all again.
"""

import queue
import ssl
import threading
import time
from collections.abc import Callable, Sequence
from itertools import count
from typing import Any

import orjson
import paho.mqtt.client as mqtt
import structlog
from paho.mqtt.enums import CallbackAPIVersion, MQTTProtocolVersion

from central_server.domain.device_log import DeviceRevoked
from central_server.domain.server_log import DevicePaired, RegistryChanged
from central_server.mqtt import dynamic_security
from central_server.mqtt.dynamic_security import ANSWER_TOPIC, CONTROL_TOPIC
from central_server.services import broker_accounts
from central_server.services.context import ServerContext
from central_server.storage import server_log
from event_protocol.names import DeviceId

_log = structlog.get_logger()

KEEPALIVE_S = 30
_ANSWER_WITHIN_S = 30.0
# A command for one device is about 1 KB, and our brokers take messages of 256 KiB.
_DEVICES_AT_ONCE = 50
_LISTED_AT_ONCE = 1000
_CHANGES = tuple(
    str(entry.model_fields["type"].default)
    for entry in (DevicePaired, DeviceRevoked, RegistryChanged)
)


Command = dict[str, Any]


class BrokerSilentError(RuntimeError):
    """The broker did not answer, or refused: the plug-in is missing, or our role was changed."""


class MosquittoAccounts:
    """`run` is one round, called every few seconds by one thread; paho's thread takes answers."""

    def __init__(self, context: ServerContext, tls: ssl.SSLContext | None) -> None:
        self._context = context
        settings = context.settings.broker
        self._answers: queue.SimpleQueue[bytes] = queue.SimpleQueue()
        self._listening = threading.Event()
        self._link = 0  # counts connections: each may be to a broker that lost its accounts
        self._settled: tuple[int, int] | None = None  # on which link, for which entry of the log
        self._numbers = count(1)  # of questions: an answer that comes too late is known by it
        self._client = mqtt.Client(
            CallbackAPIVersion.VERSION2,
            client_id=f"{settings.username}.accounts",
            protocol=MQTTProtocolVersion.MQTTv311,
        )
        self._client.username_pw_set(settings.username, broker_accounts.own_password(context))
        if tls is not None:
            self._client.tls_set_context(tls)
        self._client.on_connect = self._on_connect
        self._client.on_subscribe = self._on_subscribe
        self._client.on_disconnect = lambda *_: self._listening.clear()
        self._client.on_message = lambda _c, _u, message: self._answers.put(bytes(message.payload))

    def start(self) -> None:
        """Connects in the background, and again whenever the link breaks."""
        settings = self._context.settings.broker
        self._client.connect_async(settings.host, settings.port, KEEPALIVE_S)
        self._client.loop_start()

    def stop(self) -> None:
        """Closes the link."""
        self._client.disconnect()
        self._client.loop_stop()
        # The callbacks close a circle; without it the client gives its sockets back at once.
        self._client.on_connect = self._client.on_subscribe = None
        self._client.on_disconnect = self._client.on_message = None

    def run(self) -> None:
        """Compares and corrects, if anything changed here or the link is new."""
        if not self._listening.is_set():
            return
        with self._context.database.reading() as db:
            newest = max(server_log.last_sequence_of(db, kind) for kind in _CHANGES)
        state = (self._link, newest)
        if state == self._settled:
            return
        try:
            self._settle()
        except BrokerSilentError as error:
            _log.error("broker's accounts can't be kept", reason=str(error))
            return
        self._settled = state

    def _settle(self) -> None:
        wanted = {DeviceId(d): h for d, h in broker_accounts.device_hashes(self._context).items()}
        marks = {device: dynamic_security.mark_of(hashed) for device, hashed in wanted.items()}
        found = self._list_marks()
        outdated = [device for device, mark in found.items() if marks.get(device) != mark]
        missing = [device for device, mark in marks.items() if found.get(device) != mark]
        self._tell(outdated, dynamic_security.removal)
        self._tell(missing, lambda device: self._creation(device, wanted[device]))
        if outdated or missing:
            _log.info("broker's accounts corrected", removed=len(outdated), made=len(missing))

    def _creation(self, device: DeviceId, hashed: str) -> list[Command]:
        password = broker_accounts.password_behind(self._context, device, hashed)
        return dynamic_security.creation(device, password, hashed)

    def _tell(
        self, devices: Sequence[DeviceId], commands_of: Callable[[DeviceId], list[Command]]
    ) -> None:
        for at in range(0, len(devices), _DEVICES_AT_ONCE):
            chosen = devices[at : at + _DEVICES_AT_ONCE]
            answers = self._ask([one for device in chosen for one in commands_of(device)])
            # A role that was left, or is gone already, is what was wanted.
            faults = {a["error"] for a in answers if a["command"] != "createRole" and "error" in a}
            if faults - {"Role not found", "Client not found"}:
                raise BrokerSilentError(", ".join(sorted(faults)))

    def _list_marks(self) -> dict[DeviceId, str]:
        clients: list[dict[str, Any]] = []
        while True:
            question = {"verbose": True, "count": _LISTED_AT_ONCE, "offset": len(clients)}
            (answer,) = self._ask([{"command": "listClients", **question}])
            if "data" not in answer:
                raise BrokerSilentError(str(answer.get("error")))
            clients += answer["data"]["clients"]
            if not answer["data"]["clients"] or len(clients) >= answer["data"]["totalCount"]:
                return dynamic_security.read_marks(clients)

    def _ask(self, commands: Sequence[Command]) -> list[dict[str, Any]]:
        """The broker's answer to each; raises `BrokerSilentError` if none comes."""
        number = str(next(self._numbers))
        marked = [{**command, "correlationData": number} for command in commands]
        self._client.publish(CONTROL_TOPIC, orjson.dumps({"commands": marked}), qos=1)
        deadline = time.monotonic() + _ANSWER_WITHIN_S
        while True:
            try:
                answer = self._answers.get(timeout=max(0.0, deadline - time.monotonic()))
            except queue.Empty:
                raise BrokerSilentError(
                    "no answer: is its plug-in loaded, and ours to use?"
                ) from None
            responses: list[dict[str, Any]] = orjson.loads(answer)["responses"]
            if responses and responses[0].get("correlationData") == number:
                return responses

    # --- paho's thread ---------------------------------------------------------------------------

    def _on_connect(
        self, client: mqtt.Client, _data: object, _flags: object, reason: Any, _properties: object
    ) -> None:
        if reason.is_failure:
            _log.error("broker refuses the server", reason=str(reason))
            return
        self._link += 1
        client.subscribe(ANSWER_TOPIC, qos=1)

    def _on_subscribe(
        self, _client: mqtt.Client, _data: object, _mid: int, codes: Any, _properties: object
    ) -> None:
        if codes[0].is_failure:
            _log.error("broker's accounts can't be kept", reason="the server may not read answers")
        else:
            self._listening.set()
