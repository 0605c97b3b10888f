"""A real PostgreSQL in a folder of its own on a free port; gone with its folder when stopped."""

import getpass
import os
import pwd
import shutil
import signal
import subprocess
import tempfile
from pathlib import Path
from typing import Self
from uuid import uuid4

import psycopg

from tests.processes.ports import free_port, is_listening, wait_until
from tests.processes.program import Program


class PostgreSQL(Program):
    """Takes every local connection without a password. A commit is durable if `durable`: tests pull
    no plug.

    PostgreSQL refuses to run as root: there it runs as `postgres`, the user that Debian's package
    makes, in a folder outside the test's own, which that user may not enter.
    """

    def __init__(self, *, durable: bool = False) -> None:
        self.folder = Path(tempfile.mkdtemp(prefix="onestop-postgresql-"))
        self.port = free_port()
        self.user = "postgres" if os.geteuid() == 0 else getpass.getuser()
        if os.geteuid() == 0:
            os.chown(self.folder, pwd.getpwnam(self.user).pw_uid, -1)
        self._run_as_user(
            _binary("initdb"),
            *("--pgdata", self.folder / "data"),
            *("--auth", "trust", "--encoding", "UTF8", "--no-sync"),
        )
        super().__init__(
            _as_user(
                self.user,
                _binary("postgres"),
                *("-D", self.folder / "data", "-p", self.port, "-k", self.folder),
                *("-c", f"fsync={'on' if durable else 'off'}"),
                *("-c", "listen_addresses=127.0.0.1"),
            ),
            self.folder / "log",
            cwd=self.folder,
        )

    def start(self) -> Self:
        """Start and return once it takes connections."""
        super().start()
        wait_until(lambda: is_listening(self.port) or not self.is_running, 20, "PostgreSQL listens")
        assert self.is_running, self.output
        return self

    def crash(self) -> None:
        """As by a power cut: every one of its processes ends at once; `start` mends it."""
        assert self.process is not None
        self.process.send_signal(signal.SIGQUIT)
        self.process.wait(20)

    def new_database(self, template: str = "template1") -> str:
        """The SQLAlchemy address of a fresh database, empty or a copy of `template`."""
        name = f"test_{uuid4().hex}"
        wait_until(lambda: self._create(name, template), 10, "PostgreSQL is ready")
        return f"postgresql+psycopg://{self.user}@127.0.0.1:{self.port}/{name}"

    def stop(self, timeout_s: float = 15) -> int:
        """Stop, and take the folder away."""
        code = super().stop(timeout_s)
        shutil.rmtree(self.folder, ignore_errors=True)
        return code

    def _create(self, name: str, template: str) -> bool:
        address = f"postgresql://{self.user}@127.0.0.1:{self.port}/postgres"
        try:
            with psycopg.connect(address, autocommit=True) as connection:
                connection.execute(f'CREATE DATABASE "{name}" TEMPLATE "{template}"'.encode())
        except psycopg.OperationalError:  # listens, but is still starting up
            return False
        return True

    def _run_as_user(self, *arguments: object) -> None:
        subprocess.run(
            _as_user(self.user, *arguments), check=True, capture_output=True, cwd=self.folder
        )


def _as_user(user: str, *arguments: object) -> list[str]:
    command = [str(argument) for argument in arguments]
    if os.geteuid() != 0:
        return command
    # setpriv replaces itself by the program, so that our pid is the program's.
    return ["setpriv", f"--reuid={user}", f"--regid={user}", "--init-groups", *command]


def _binary(name: str) -> str:
    """Debian keeps the server's programs in a folder for each version, off everybody's PATH."""
    newest = sorted(Path("/usr/lib/postgresql").glob(f"*/bin/{name}"))
    found = str(newest[-1]) if newest else shutil.which(name)
    assert found, f"{name} is not installed (apt install postgresql)"
    return found
