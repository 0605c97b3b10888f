"""A real Mosquitto on a free port, passwords on, in its own folder; may be killed and restarted."""

import shutil
import subprocess
from collections.abc import Mapping
from pathlib import Path
from typing import Self

from tests.processes.ports import free_port, is_listening, wait_until
from tests.processes.program import Program

# Debian puts daemons where a user's PATH does not look.
DAEMON = shutil.which("mosquitto", path="/usr/sbin:/usr/local/sbin:/usr/bin:/usr/local/bin")


class Mosquitto(Program):
    """`users`: passwords by name. Persistence is off unless asked for: receipts must do without.

    `settings` are further lines of its configuration file (an `acl_file`, queue limits, …).
    """

    def __init__(
        self,
        folder: Path,
        users: Mapping[str, str],
        *,
        port: int | None = None,
        persistent: bool = False,
        settings: str = "",
    ) -> None:
        assert DAEMON is not None, "mosquitto is not installed (apt install mosquitto)"
        folder.mkdir(parents=True, exist_ok=True)
        self.folder = folder
        self.port = port or free_port()
        passwords, configuration = folder / "passwords", folder / "mosquitto.conf"
        passwords.touch(mode=0o600)
        for name, password in users.items():
            subprocess.run(["mosquitto_passwd", "-b", passwords, name, password], check=True)
        configuration.write_text(
            f"listener {self.port} 127.0.0.1\n"
            "allow_anonymous false\n"
            f"password_file {passwords}\n"
            f"persistence {str(persistent).lower()}\n"
            f"persistence_location {folder}/\n"
            "max_queued_messages 0\n"
            # Started as root it would otherwise change to a user who can't read the folder.
            "user root\n"
            f"{settings}\n"
        )
        super().__init__([DAEMON, "-c", configuration], folder / "mosquitto.log")

    def forget(self) -> None:
        """Delete all that the stopped broker kept: sessions, messages."""
        assert not self.is_running
        (self.folder / "mosquitto.db").unlink(missing_ok=True)

    def start(self) -> Self:
        """Start (again) and return once it takes connections."""
        super().start()
        wait_until(lambda: is_listening(self.port) or not self.is_running, 10, "Mosquitto listens")
        assert self.is_running, self.output
        return self
