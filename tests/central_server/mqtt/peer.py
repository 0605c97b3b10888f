"""One MQTT client under test: what it was granted, what it heard, when it was cut off."""

import queue
import socket
import ssl
import time
from typing import Self

import paho.mqtt.client as mqtt
from paho.mqtt.enums import CallbackAPIVersion, MQTTProtocolVersion


class Peer:
    """A connected client that keeps what it receives."""

    def __init__(
        self,
        port: int,
        name: str | None,
        password: str | None = None,
        *,
        client_id: str | None = None,
        tls: ssl.SSLContext | None = None,
        clean: bool = True,
        will: str | None = None,
        last_word: bytes = b"will",
        keep_alive_s: int = 60,
        acknowledges: bool = True,
    ) -> None:
        self.client = mqtt.Client(
            CallbackAPIVersion.VERSION2,
            client_id=client_id or name or "nobody",
            clean_session=clean,
            protocol=MQTTProtocolVersion.MQTTv311,
            reconnect_on_failure=False,
            manual_ack=not acknowledges,
        )
        if name is not None:
            self.client.username_pw_set(name, password)
        if tls is not None:
            self.client.tls_set_context(tls)
        if will is not None:
            self.client.will_set(will, last_word, qos=1)
        self.answers: queue.Queue[bool] = queue.Queue()
        self.granted: queue.Queue[bool] = queue.Queue()
        self.received: queue.Queue[tuple[str, bytes]] = queue.Queue()
        self.gone_at: float | None = None
        self.client.on_connect = lambda _c, _u, _f, reason, _p: self.answers.put(
            not reason.is_failure
        )
        self.client.on_connect_fail = lambda _c, _u: self.answers.put(False)
        self.client.on_disconnect = lambda *_: self._gone()
        self.client.on_subscribe = lambda _c, _u, _m, codes, _p: self.granted.put(
            not codes[0].is_failure
        )
        self.client.on_message = lambda _c, _u, message: self.received.put(
            (message.topic, bytes(message.payload))
        )
        try:
            self.client.connect("127.0.0.1", port, keep_alive_s)
        except ssl.SSLError:
            self.answers.put(False)
        self.client.loop_start()
        self.is_accepted = self.answers.get(timeout=10)

    @property
    def is_gone(self) -> bool:
        """Whether the connection ended."""
        return self.gone_at is not None

    def _gone(self) -> None:
        self.gone_at = time.monotonic()
        self.answers.put(False)

    def subscribe(self, topic: str) -> bool:
        """Whether it was granted."""
        self.client.subscribe(topic, qos=1)
        return self.granted.get(timeout=10)

    def publish(self, topic: str, payload: bytes = b"x", *, retain: bool = False) -> None:
        """Hands it to the broker, which may not take it."""
        self.client.publish(topic, payload, qos=1, retain=retain)

    def next(self, timeout_s: float = 10) -> tuple[str, bytes] | None:
        """Topic and payload of the next message; `None` if none comes."""
        try:
            return self.received.get(timeout=timeout_s)
        except queue.Empty:
            return None

    def fall_silent(self) -> None:
        """As if its power had gone: the connection stands, and nobody is there any more."""
        self.client.loop_stop()

    def drop(self) -> None:
        """Without a farewell, so that the will is sent."""
        sock = self.client.socket()
        assert isinstance(sock, socket.socket)
        socket.socket.shutdown(sock, socket.SHUT_RDWR)  # below TLS, which would say goodbye

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.client.disconnect()
        self.client.loop_stop()
        # The callbacks close a circle; without it the client gives its sockets back at once.
        self.client.on_connect = self.client.on_connect_fail = self.client.on_disconnect = None
        self.client.on_subscribe = self.client.on_message = None
