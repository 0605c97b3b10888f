"""amqtt's broker, with its sessions put right: whose one is, which connection has it, when it ends.

amqtt itself changes the session kept under a client id before it knows who asks for it, and lets
the end of a connection that was thrown out mark the session of the next one as away: that one was
answered and never sent anything again. Nor does it miss a client that lost its power.
"""

import asyncio
import time
from collections.abc import Callable, Iterator
from contextlib import suppress
from typing import Any

from amqtt.adapters import StreamReaderAdapter, StreamWriterAdapter
from amqtt.broker import Broker
from amqtt.errors import AMQTTError, MQTTError, NoDataError
from amqtt.mqtt.protocol.broker_handler import BrokerProtocolHandler
from amqtt.session import Session

from central_server.mqtt.broker_deliveries import DeliveryHandler
from event_protocol.messages import MAX_MESSAGE_BYTES

_MAX_PACKET_BYTES = MAX_MESSAGE_BYTES + 1024  # topic and header besides
_PEERS_FAULT = (AMQTTError, MQTTError, NoDataError)
CONNECT_WITHIN_S = 5.0  # a client says who it is in its first packet
_LONGEST_SLEEP_S = 3600.0
_SILENT_KEEP_ALIVES = 1.5  # MQTT 3.1.1, 3.1.2.10: then the client is taken for gone
# What a connection brings to the session that is kept for it.
_OF_A_CONNECTION = (
    *("will_flag", "will_retain", "will_qos", "will_topic", "will_message"),
    *("username", "password", "keep_alive", "remote_address", "remote_port", "ssl_object"),
)


class PacketTooLargeError(AMQTTError):
    """The sender is cut off: reading on would mean holding all of it in memory."""


class _ClientReader(StreamReaderAdapter):
    """Knows when the client was last heard, and reads no packet of any length that it claims."""

    def __init__(self, reader: asyncio.StreamReader) -> None:
        super().__init__(reader)
        self._heard_at = time.monotonic()

    async def read(self, n: int = -1) -> bytes:
        """Up to the largest honest packet, which amqtt wants in one piece."""
        if n > _MAX_PACKET_BYTES:
            raise PacketTooLargeError(f"a packet of {n} bytes")
        content = await super().read(n)
        self._heard_at = time.monotonic()
        return content

    async def fall_silent(self, keep_alive_s: int) -> None:
        """Returns once the client has let its time pass; 0 seconds: it may be silent for ever."""
        patience_s = _SILENT_KEEP_ALIVES * keep_alive_s if keep_alive_s else float("inf")
        while (left_s := self._heard_at + patience_s - time.monotonic()) > 0:
            await asyncio.sleep(min(left_s, _LONGEST_SLEEP_S))


class _Subscriptions(dict[str, list[tuple[Session, int]]]):
    """Filters, and who has them.

    amqtt waits for other tasks while it goes through; if one of them subscribed meanwhile, the
    connection at hand hung, accepted and never served.
    """

    def __iter__(self) -> Iterator[str]:
        """Over the filters as they were at the beginning."""
        return iter(tuple(self.keys()))


class _Connection:
    """The bytes from and to one client, and who serves it once it was let in."""

    def __init__(
        self, reader: _ClientReader, writer: StreamWriterAdapter, abort: Callable[[], None]
    ) -> None:
        self.reader, self.writer, self.abort = reader, writer, abort
        self.serving: asyncio.Task[None] | None = None
        self.is_over = asyncio.Event()

    async def end(self) -> None:
        """Returns once nothing of it can touch its session any more."""
        if self.serving is not None:
            self.serving.cancel()
        await self.is_over.wait()


class SessionBroker(Broker):
    """amqtt's broker with one connection for each session, and a limit to the size of a packet."""

    def __init__(self, config: dict[str, Any]) -> None:
        super().__init__(config)
        self._subscriptions = _Subscriptions()
        self._connections: dict[str, _Connection] = {}

    async def stream_connected(
        self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, listener_name: str
    ) -> None:
        """A client connected by TCP; whatever ends its session ends the connection."""
        connection = _Connection(
            _ClientReader(reader), StreamWriterAdapter(writer), writer.transport.abort
        )
        try:
            if connection.writer.get_peer_info() is not None:  # else it has gone already
                with suppress(*_PEERS_FAULT, TimeoutError):
                    await self._receive(connection, listener_name)
        finally:
            writer.close()

    async def cut_off(self, client_id: str) -> None:
        """Ends that client's connection, if there is one; its session stays."""
        if client_id in self._connections:
            await self._connections[client_id].end()

    async def _receive(self, connection: _Connection, listener_name: str) -> None:
        """Who has no right to the session is refused before anybody notices."""
        async with asyncio.timeout(CONNECT_WITHIN_S):
            handler, arriving = await DeliveryHandler.init_from_connect(
                connection.reader, connection.writer, self.plugins_manager
            )
        is_let_in = await self._authenticate(arriving, self.listeners_config[listener_name])
        if is_let_in and self._is_owner(arriving):
            await self._serve_alone(arriving, handler, connection)
        else:
            handler.attach(arriving, connection.reader, connection.writer)
            await handler.mqtt_connack_authorize(authorize=False)

    def _is_owner(self, arriving: Session) -> bool:
        """A session stays with the account that began it."""
        kept = self._kept(arriving)
        return kept is None or kept.username == arriving.username

    async def _serve_alone(
        self, arriving: Session, handler: BrokerProtocolHandler, connection: _Connection
    ) -> None:
        """Serves it once no other connection has that client id, until it ends or another comes."""
        client_id = arriving.client_id or ""
        while client_id in self._connections:
            await self._connections[client_id].end()
        # Nothing waits between that look and the two lines below, so that only one gets here.
        self._connections[client_id] = connection
        serving = asyncio.create_task(self._serve(arriving, handler, connection))
        silence = asyncio.create_task(connection.reader.fall_silent(arriving.keep_alive))
        connection.serving = serving
        try:
            await asyncio.wait([serving, silence], return_when=asyncio.FIRST_COMPLETED)
            silence.cancel()
            serving.cancel()
            await asyncio.wait([serving])
            session = handler.session
            if session is not None and session.transitions.is_connected():
                # Thrown out, silent, or not to be served; amqtt knows no end but the client's.
                connection.abort()  # else stopping may wait for a reader that waits for the client
                await self._handle_disconnect(session, handler, _a_break())
        finally:
            del self._connections[client_id]
            connection.is_over.set()

    async def _serve(
        self, arriving: Session, handler: BrokerProtocolHandler, connection: _Connection
    ) -> None:
        session = await self._session_of(arriving)
        session.transitions.connect()
        handler.attach(session, connection.reader, connection.writer)
        self._sessions[session.client_id or ""] = session, handler
        with suppress(*_PEERS_FAULT):
            await handler.mqtt_connack_authorize(authorize=True)
            await handler.start()
            await self._publish_session_retained_messages(session)
            await self._client_message_loop(session, handler)

    async def _session_of(self, arriving: Session) -> Session:
        """The one that is kept under that client id, or the new one."""
        kept = self._kept(arriving)
        if kept is None or kept.clean_session or arriving.clean_session:
            await self._delete_session(arriving.client_id or "")
            return arriving
        for name in _OF_A_CONNECTION:
            setattr(kept, name, getattr(arriving, name))
        kept.parent = 1  # its client is told that a session was present
        return kept

    def _kept(self, arriving: Session) -> Session | None:
        kept, _ = self._sessions.get(arriving.client_id or "", (None, None))
        return kept


def _a_break() -> asyncio.Future[None]:
    """A connection's last word when there was none: the will is due."""
    ended = asyncio.get_running_loop().create_future()
    ended.set_result(None)
    return ended
