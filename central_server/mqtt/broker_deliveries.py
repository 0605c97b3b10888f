"""amqtt's way of sending to a client, with what was under way when its connection ended kept.

amqtt forgets it, and sends again, while it lets a client in, what it sent a moment before.
"""

from asyncio import Queue

from amqtt.mqtt.protocol.broker_handler import BrokerProtocolHandler
from amqtt.session import ApplicationMessage, Session


class DeliveryHandler(BrokerProtocolHandler):
    """One connection's packets; what is not acknowledged at its end waits in the session."""

    async def _retry_deliveries(self) -> None:
        """Nothing: at the beginning of a connection all that is under way was sent over it."""

    async def stop(self) -> None:
        """Ends the connection. The caller marks the session as away without waiting, so that what
        comes later is put behind."""
        session = self.session
        under_way = {} if session is None else dict(session.inflight_out)
        await super().stop()
        if session is not None:
            under_way |= session.inflight_out  # was handed to it while it stopped
            session.inflight_out.clear()
            _put_before(session, list(under_way.values()))


def _put_before(session: Session, under_way: list[ApplicationMessage]) -> None:
    waiting: Queue[ApplicationMessage] = Queue()
    for message in under_way:
        waiting.put_nowait(message)
    while not session.retained_messages.empty():
        waiting.put_nowait(session.retained_messages.get_nowait())
    session.retained_messages = waiting
