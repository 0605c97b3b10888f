"""The embedded broker's plug-ins: who may connect, and which topics are theirs."""

from dataclasses import dataclass
from pathlib import Path

import structlog
from amqtt.contexts import Action, BaseContext
from amqtt.plugins.base import BaseAuthPlugin, BaseTopicPlugin
from amqtt.session import Session

from central_server.services.broker_accounts import is_password, read_password_file
from event_protocol.names import DeviceId
from event_protocol.topics import (
    may_publish,
    may_subscribe,
    server_may_publish,
    server_may_receive,
    server_may_subscribe,
)

_log = structlog.get_logger()

_SERVER_MAY = {
    Action.PUBLISH: server_may_publish,
    Action.SUBSCRIBE: server_may_subscribe,
    Action.RECEIVE: server_may_receive,
}


class AccountFile:
    """Names and password hashes from the server's file, read again whenever it changed."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._version: tuple[int, int] | None = None
        self._hashes: dict[str, str] = {}

    @property
    def is_changed(self) -> bool:
        """Whether it was written since it was last read."""
        return self._version != self._written()

    def is_right(self, name: str, password: str) -> bool:
        """Whether that is the password of that account now."""
        if self.is_changed:
            self._version = self._written()
            self._hashes = read_password_file(self._path.read_text())
        return name in self._hashes and is_password(password, self._hashes[name])

    def _written(self) -> tuple[int, int]:
        status = self._path.stat()
        return status.st_mtime_ns, status.st_ino


def is_let_in(session: Session, accounts: AccountFile) -> bool:
    """Whether a session that was let in would be let in now."""
    return accounts.is_right(session.username or "", session.password or "")


class AccountPlugin(BaseAuthPlugin):
    """Lets in who has an account."""

    @dataclass
    class Config:
        """`server` is the name of the server's own account."""

        password_file: str
        server: str

    def __init__(self, context: BaseContext) -> None:
        super().__init__(context)
        self._accounts = AccountFile(Path(self.config.password_file))

    async def authenticate(self, *, session: Session) -> bool | None:
        """Right name and password, an own client id, an own topic for the will."""
        name, password = session.username or "", session.password or ""
        allowed = (
            self._accounts.is_right(name, password)
            and self._may_use(name, session.client_id or "")
            and self._may_leave(name, session)
        )
        if not allowed:
            _log.warning("broker refused a connection", account=name[:64])
        return allowed

    def _may_use(self, name: str, client_id: str) -> bool:
        """A device has one session, under its own name; the server as many as it has workers."""
        return client_id == name or name == self.config.server

    def _may_leave(self, name: str, session: Session) -> bool:
        """The broker publishes last wills without asking whether the topic is allowed."""
        if not session.will_flag:
            return True
        topic = session.will_topic or ""
        if name == self.config.server:
            return server_may_publish(topic)
        return may_publish(DeviceId(name), topic)


class TopicPlugin(BaseTopicPlugin):
    """Each publishes and reads what is its own only; see event_protocol/topics.py."""

    @dataclass
    class Config:
        """`server` is the name of the server's own account."""

        server: str

    async def topic_filtering(
        self,
        *,
        session: Session | None = None,
        topic: str | None = None,
        action: Action | None = None,
    ) -> bool | None:
        """Whether this session may do that with that topic."""
        name = session.username if session is not None else None
        if name is None or topic is None or action is None:
            return False
        if name == self.config.server:
            return _SERVER_MAY[action](topic)
        if action is Action.PUBLISH:
            return may_publish(DeviceId(name), topic)
        return may_subscribe(DeviceId(name), topic)
