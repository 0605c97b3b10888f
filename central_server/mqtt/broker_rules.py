"""The embedded broker's plug-ins: who may connect, and which topics are theirs."""

from dataclasses import dataclass
from pathlib import Path

import structlog
from amqtt.contexts import Action, BaseContext
from amqtt.plugins.base import BaseAuthPlugin, BaseTopicPlugin
from amqtt.session import Session

from central_server.services.broker_accounts import is_password, read_password_file
from event_protocol.names import DeviceId
from event_protocol.topics import may_publish, may_subscribe

_log = structlog.get_logger()

# Set on a session once its password was right. A refused connection overwrites the user name of
# the session whose client id it claims, so that the name alone would not do.
_ACCOUNT = "onestop.account"


class AccountPlugin(BaseAuthPlugin):
    """Names and passwords from the server's file, read again whenever it changed."""

    @dataclass
    class Config:
        """`server` is the name that may write and read everywhere."""

        password_file: str
        server: str

    def __init__(self, context: BaseContext) -> None:
        super().__init__(context)
        self._file = Path(self.config.password_file)
        self._version: tuple[int, int] | None = None
        self._hashes: dict[str, str] = {}

    async def authenticate(self, *, session: Session) -> bool | None:
        """Right name and password, a client id that is nobody else's, an own topic for the will."""
        name = session.username or ""
        hashed = self._read_hashes().get(name)
        owner = session.attributes.get(_ACCOUNT, name)
        allowed = (
            hashed is not None
            and is_password(session.password or "", hashed)
            and owner == name
            and self._may_leave(name, session)
        )
        if allowed:
            session.attributes[_ACCOUNT] = name
        else:
            _log.warning("broker refused a connection", account=name[:64])
        return allowed

    def _may_leave(self, name: str, session: Session) -> bool:
        """The broker publishes last wills without asking whether the topic is allowed."""
        if not session.will_flag or name == self.config.server:
            return True
        return may_publish(DeviceId(name), session.will_topic or "")

    def _read_hashes(self) -> dict[str, str]:
        status = self._file.stat()
        version = (status.st_mtime_ns, status.st_ino)
        if version != self._version:
            self._hashes = read_password_file(self._file.read_text())
            self._version = version
        return self._hashes


class TopicPlugin(BaseTopicPlugin):
    """A device publishes and reads under its own name only."""

    @dataclass
    class Config:
        """`server` is the name that may write and read everywhere."""

        server: str

    async def topic_filtering(
        self,
        *,
        session: Session | None = None,
        topic: str | None = None,
        action: Action | None = None,
    ) -> bool | None:
        """Whether this session may do that with that topic."""
        name = session.attributes.get(_ACCOUNT) if session is not None else None
        if name is None or topic is None:
            return False
        if name == self.config.server:
            return True
        if action is Action.PUBLISH:
            return may_publish(DeviceId(name), topic)
        return may_subscribe(DeviceId(name), topic)
